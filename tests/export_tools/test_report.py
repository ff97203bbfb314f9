"""The report of packs: what is measured, what is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import PackError
from export_tools.build import read_sources
from export_tools.cards import ModelCard, load_pack_card
from export_tools.convert.convert import convert
from export_tools.precision.graph import open_session
from export_tools.precision.pictures import split_sources
from export_tools.precision.record import default_sources, detector_of, observe_pack
from export_tools.report.engines import BuiltEngines, NoEngines, find_engines
from export_tools.report.machine import describe_processor, this_machine
from export_tools.report.measure import measure_packs
from export_tools.report.pack_page import pack_page
from export_tools.report.result import ReportResult, read_report
from export_tools.report.runner import Settings
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
def test_every_model_is_measured_at_every_precision_excluded_ones_too(measured: ReportResult) -> None:
    """Nothing is left out in silence, and a reason stands beside figures of the same run."""
    assert [model.name for model in measured.models] == [
        "blazeface-full-range-sparse",
        "facemesh-468",
        "mediapipe-iris",
        "dlib-resnet29-v1",
    ]
    for model in measured.models:
        assert [each.precision for each in model.precisions] == ["fp32", "fp16", "int8-u8", "int8-s8"]
        for each in model.precisions:
            assert each.size_bytes
            assert [row.backend for row in each.latency] == ["onnxruntime"]
            assert (each.drift is None) == (each.precision == "fp32")
    detector = measured.model("blazeface-full-range-sparse")
    assert detector.at("int8-u8").excluded == load_pack_card("door")[0].models["detector"].excluded["int8-u8"]
    drift = detector.at("int8-u8").drift
    assert drift is not None
    assert drift.detection is not None
    assert detector.ranges == "the other side of this report's set, for this report alone"


@pytest.mark.slow
def test_a_report_measures_on_what_was_held_out_and_on_nothing_else(measured: ReportResult) -> None:
    """Counted here: pictures, chips, faces that the detector finds; the other side of the split has more of each."""
    fetcher = Fetcher(cache=default_cache())
    card, _ = load_pack_card("door")
    sources = read_sources(card, fetcher)
    references = {role: convert(model, sources[role]) for role, model in card.models.items()}
    split = split_sources(default_sources(fetcher=fetcher, clips=None))
    counts = []
    for side in (split.held_out, split.calibration):
        seen = observe_pack(card, references, side)
        detector = detector_of(card.models["detector"], open_session(references["detector"], name="fp32"))
        faces = sum(len(detector.detect(picture)) for source in side for picture in source.pictures())
        counts.append((seen.pictures, sum(len(batch) for batch in seen.batches["embedder"]), faces))
    assert all(held < other for held, other in zip(*counts, strict=True))
    chips = measured.model("dlib-resnet29-v1").at("fp16").drift
    found = measured.model("blazeface-full-range-sparse").at("fp16").drift
    assert chips is not None
    assert found is not None
    assert found.detection is not None
    assert (measured.held_out.pictures, chips.inputs, found.detection.reference) == counts[0]
    assert (measured.held_out.sources, measured.held_out.calibration_sources) == (
        len(split.held_out),
        len(split.calibration),
    )


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
