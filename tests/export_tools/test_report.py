"""The report of packs: what is measured, what is written, and what is refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from device.errors import NotFoundError, PackError, UsageError
from export_tools.cards import ModelCard, load_pack_card
from export_tools.cli import run
from export_tools.precision.ranges import load_ranges
from export_tools.report.engines import BuiltEngines, NoEngines, find_engines
from export_tools.report.machine import describe_processor, this_machine
from export_tools.report.measure import measure_packs
from export_tools.report.pack_page import pack_page
from export_tools.report.result import ReportResult, read_report
from export_tools.report.runner import Settings
from export_tools.report.tables import MODEL_COLUMNS, report_tables
from export_tools.sources.fetch import Fetcher, default_cache
from tests.export_tools import report_samples as samples

SETTINGS = Settings(command="doorward-export report", measured_on="2026-01-02", rounds=5)


class Told:
    """Remembers the steps."""

    def __init__(self) -> None:
        self.total = self.ends = 0
        self.steps: list[str] = []

    def begin(self, total: int) -> None:
        """Remember."""
        self.total = total

    def step(self, what: str) -> None:
        """Remember."""
        self.steps.append(what)

    def end(self) -> None:
        """Remember."""
        self.ends += 1


# ---- Measured


@pytest.fixture(scope="module")
def told() -> Told:
    """Who was told about the measurement of ``measured``."""
    return Told()


@pytest.fixture(scope="module")
def measured(told: Told) -> ReportResult:
    """The pack `door` on the demo's photographs."""
    fetcher = Fetcher(cache=default_cache())
    return measure_packs(["door"], fetcher=fetcher, settings=SETTINGS, steps=told, engines=NoEngines("a test"))


@pytest.mark.slow
def test_every_model_is_measured_at_every_precision_or_excluded_with_a_reason(measured: ReportResult) -> None:
    """Nothing is left out in silence."""
    assert [model.name for model in measured.models] == [
        "blazeface-full-range-sparse",
        "facemesh-468",
        "mediapipe-iris",
        "dlib-resnet29-v1",
    ]
    for model in measured.models:
        assert [each.precision for each in model.precisions] == ["fp32", "fp16", "int8-u8", "int8-s8"]
        for each in model.precisions:
            if each.excluded is not None:
                assert (each.size_bytes, each.drift, each.latency) == (None, None, ())
            else:
                assert each.size_bytes
                assert [row.backend for row in each.latency] == ["onnxruntime"]
                assert (each.drift is None) == (each.precision == "fp32")
    detector = measured.model("blazeface-full-range-sparse")
    assert detector.at("int8-u8").excluded == load_pack_card("door")[0].models["detector"].excluded["int8-u8"]


@pytest.mark.slow
def test_the_figures_of_the_embedder_are_those_of_its_artefacts(measured: ReportResult) -> None:
    """Sizes fall, FP16 turns nothing, INT8 turns little, and every chip is counted with its mirror image."""
    model = measured.model("dlib-resnet29-v1")
    sizes = [model.at(precision).size_bytes or 0 for precision in ("fp32", "fp16", "int8-u8")]
    assert sizes == sorted(sizes, reverse=True)
    assert 5_500_000 < model.parameters < 5_700_000
    for precision, least in (("fp16", 0.99999), ("int8-u8", 0.997), ("int8-s8", 0.997)):
        drift = model.at(precision).drift  # type: ignore[arg-type]
        assert drift is not None
        assert drift.embedding is not None
        assert drift.embedding.cosine_min >= least
        assert drift.embedding.embeddings == drift.inputs == sum(drift.distribution.counts)
        assert drift.inputs % 2 == 0


@pytest.mark.slow
def test_the_demos_people_are_told_apart_at_every_precision(measured: ReportResult) -> None:
    """With chip and mirrored chip every pair of one person is nearer than every pair of two."""
    (pack,) = measured.packs
    assert {(pair.precision, pair.mirrored) for pair in pack.pairs} == {
        (precision, mirrored) for precision in ("fp32", "fp16", "int8-u8", "int8-s8") for mirrored in (False, True)
    }
    for pair in pack.pairs:
        assert pair.least_same > pair.greatest_different
    assert pack.alignment is not None
    assert pack.alignment.residual_median_px < 5


@pytest.mark.slow
def test_every_target_has_a_choice_and_a_reason(measured: ReportResult) -> None:
    """Four models, two targets."""
    (pack,) = measured.packs
    assert len(pack.choices) == 8
    for choice in pack.choices:
        assert choice.reason.startswith(f"{choice.precision}: ")
        assert len(choice.reason) > len(choice.precision) + 10


@pytest.mark.slow
def test_progress_counts_every_step(measured: ReportResult, told: Told) -> None:
    """So many as were promised, and an end."""
    assert measured.packs
    assert len(told.steps) == told.total
    assert told.ends == 1


@pytest.mark.slow
def test_a_result_comes_back_from_its_file_and_gives_the_same_page(measured: ReportResult, tmp_path: Path) -> None:
    """Nothing is measured for that."""
    path = tmp_path / "report.json"
    path.write_text(measured.model_dump_json(indent=1))
    found = read_report(path)
    assert found == measured
    assert pack_page(found) == pack_page(measured)


def test_missing_ranges_end_a_report_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error names the file, and offline nothing else is reached."""
    monkeypatch.setattr("export_tools.precision.artefact.RANGES_DIRECTORY", tmp_path)
    fetcher = Fetcher(cache=tmp_path / "empty", offline=True)
    with pytest.raises(PackError, match="cannot read the recorded ranges") as caught:
        measure_packs(["door"], fetcher=fetcher, settings=SETTINGS, engines=NoEngines("a test"))
    assert caught.value.reason == "calibration"


def test_an_unknown_pack_is_named(tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(PackError, match="no pack 'cellar'") as caught:
        measure_packs(["cellar"], fetcher=Fetcher(cache=tmp_path), settings=SETTINGS, engines=NoEngines("a test"))
    assert "door-plus" in caught.value.hint


# ---- Machine and runtimes


def test_a_processor_is_described_by_what_decides_about_precisions() -> None:
    """x86 has flags, ARM has Features; the rest of /proc/cpuinfo does not matter."""
    x86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: avx2 avx512_vnni sse4_1\n\nprocessor\t: 1\nflags\t: fpu\n"
    assert describe_processor(x86) == ("AMD EPYC", ("sse4_1", "avx2", "avx512_vnni"))
    assert describe_processor("processor : 0\nFeatures : fp asimd asimddp\n") == ("", ("asimd", "asimddp"))
    assert describe_processor("") == ("", ())


def test_this_machine_has_a_name_and_versions() -> None:
    """A latency without them says nothing."""
    machine = this_machine()
    assert machine.processor
    assert machine.cores >= 1
    assert {"python", "numpy", "onnx", "onnxruntime"} <= {library.name for library in machine.libraries}


def test_a_machine_without_tensorrt_says_why() -> None:
    """And offers nothing to time."""
    engines = find_engines()
    if isinstance(engines, NoEngines):
        assert not engines.available
        assert engines.note.startswith("not run on this machine: ")
    else:
        assert isinstance(engines, BuiltEngines)
        assert engines.note.startswith("TensorRT ")
    card: ModelCard = samples.card()
    assert NoEngines("a test").cases(card, {"fp32": b""}, threads=1) == {}


# ---- Files


def test_tables_have_a_row_per_model_and_precision_and_one_per_choice() -> None:
    """Read back as CSV."""
    tables = report_tables(samples.report())
    models = list(csv.DictReader(tables["models.csv"].splitlines()))
    assert tuple(models[0]) == MODEL_COLUMNS
    assert [each["precision"] for each in models] == ["fp32", "fp16", "int8-u8", "int8-s8"]
    assert models[2]["cosine_min"] == "0.9989"
    assert models[2]["times_as_fast_as_fp32"].startswith("2.7")
    assert models[0]["cosine_min"] == ""
    assert len(list(csv.DictReader(tables["choices.csv"].splitlines()))) == 2


def test_a_name_that_a_spreadsheet_would_compute_stays_text() -> None:
    """A leading equals sign is quoted."""
    tables = report_tables(samples.report(name="=1+1"))
    assert next(csv.DictReader(tables["models.csv"].splitlines()))["model"] == "'=1+1"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"[1]", b'{"kind": "verification"}', b"\xff\xfe", b'{"kind": "report", "more": 1}'],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    """With the place of the fault."""
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is no result of a report"):
        read_report(path)


def test_a_report_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    """By its path."""
    with pytest.raises(NotFoundError, match="absent"):
        read_report(tmp_path / "absent.json")


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    """NaN in a figure is a fault, not a figure."""
    path = tmp_path / "report.json"
    path.write_text(samples.report().model_dump_json().replace('"elapsed_s":46.0', '"elapsed_s":NaN'))
    with pytest.raises(UsageError, match="is no result of a report"):
        read_report(path)


# ---- The command


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A result in a file."""
    path = tmp_path / "saved.json"
    path.write_text(samples.report().model_dump_json())
    return path


def test_a_saved_result_becomes_a_page_json_and_tables(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without measuring; JSON on standard output is nothing but JSON."""
    page, tables = tmp_path / "report.html", tmp_path / "tables"
    assert run(["report", "--from", str(saved), "--html", str(page), "--json", "-", "--csv", str(tables)]) == 0
    captured = capsys.readouterr()
    assert ReportResult.model_validate(json.loads(captured.out)) == samples.report()
    assert page.read_text() == pack_page(samples.report())
    assert sorted(path.name for path in tables.iterdir()) == ["choices.csv", "models.csv"]
    assert str(page) in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "saved.json", "tables"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 64, "no place to go"),
        (["--html", "{tmp}/no/report.html"], 66, "there is no folder"),
        (["--html", "{tmp}/r.html", "--threads", "0"], 64, "--threads 0"),
        (["--html", "{tmp}/r.html", "--packs", ","], 64, "names no packs"),
        (["--html", "{tmp}/r.html", "--packs", "door,door"], 64, "or one twice"),
        (["--html", "{tmp}/r.html", "--packs", "cellar"], 70, "no pack 'cellar'"),
        (["--html", "{tmp}/r.html", "--from", "{tmp}/absent.json"], 66, "absent.json"),
    ],
)
def test_a_wrong_call_is_told_with_a_hint_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    """Each with its exit code."""
    assert run(["report", *(argument.format(tmp=tmp_path) for argument in arguments)]) == code
    told = capsys.readouterr().err
    assert words in told
    assert "hint: " in told
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_leaves_nothing_behind(saved: Path, tmp_path: Path) -> None:
    """The place is a folder: the temporary file goes, too."""
    place = tmp_path / "folder.html"
    place.mkdir()
    assert run(["report", "--from", str(saved), "--html", str(place)]) == 64
    assert list(place.iterdir()) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
def test_one_command_measures_both_packs(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From upstream files to one page, with the INT8 embedder within its promised limits on held-out chips."""
    page, result = tmp_path / "report.html", tmp_path / "report.json"
    places = ["--mirror", str(shared / "models"), "--calibration", str(shared / "clips")]
    assert run(["report", *places, "--html", str(page), "--json", str(result)]) == 0
    found = read_report(result)
    assert [pack.pack for pack in found.packs] == ["door", "door-plus"]
    assert found.command.startswith("doorward-export report --packs door,door-plus --mirror ")
    model = found.model("dlib-resnet29-v1")
    for precision, mean, least in (("int8-u8", 0.999, 0.997), ("int8-s8", 0.998, 0.997)):
        drift = model.at(precision).drift  # type: ignore[arg-type]
        assert drift is not None
        assert drift.embedding is not None
        assert drift.embedding.cosine_mean >= mean
        assert drift.embedding.cosine_min >= least
    if {"avx512_vnni", "avx_vnni"} & set(found.machine.flags):
        assert (model.at("int8-u8").speed("onnxruntime") or 0) >= 2
    assert len(re.findall("<h2>Pack ", page.read_text())) == 2
    assert "1 of " in capsys.readouterr().err


def test_recorded_ranges_of_all_packs_are_there() -> None:
    """A report of the packs as they are published needs no option."""
    for name in ("dlib-resnet29-v1", "facemesh-468", "mediapipe-iris", "yunet-2026may"):
        path = Path(__file__).parents[2] / "models" / "ranges" / f"{name}.json"
        assert load_ranges(path).model == name
