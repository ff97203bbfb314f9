"""What a report writes: the page, JSON, tables; and what the command refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from device.errors import NotFoundError, UsageError
from export_tools.cli import run
from export_tools.precision.ranges import load_ranges
from export_tools.report.pack_page import pack_page
from export_tools.report.result import ReportResult, read_report
from export_tools.report.tables import MODEL_COLUMNS, report_tables
from tests.export_tools import report_samples as samples

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
        (["--html", "{tmp}/r.html", "--from", __file__], 64, "it is no JSON"),
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
