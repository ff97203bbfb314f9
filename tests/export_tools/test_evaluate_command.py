"""The command: one JSON, CSV files, a summary; wrong input says so and leaves nothing behind."""

from __future__ import annotations

import argparse
import csv
import io
import json
import shlex
from pathlib import Path

import pytest

from device.errors import DoorwardError, NotFoundError, UsageError
from export_tools.commands import evaluate
from export_tools.commands.delivering import reproducing_command
from export_tools.evaluate.annotations import EYE_COLUMNS
from export_tools.evaluate.pad import summarise
from export_tools.evaluate.presentations import SPECIES
from export_tools.evaluate.results.latency import LatencyResult
from export_tools.evaluate.results.pad import PadResult
from export_tools.evaluate.results.recognition import VerificationResult
from export_tools.evaluate.tables import tables_of
from export_tools.whole import write_whole
from tests.export_tools.lfw_like import write_pairs, write_set
from tests.export_tools.test_evaluate_pad import by_hand, clip


def run(*arguments: str) -> None:
    """`doorward-export evaluate` with these arguments."""
    parser = argparse.ArgumentParser()
    evaluate.add(parser.add_subparsers(required=True))
    options = parser.parse_args(["evaluate", *arguments])
    options.action(options)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, demo_photos: dict[str, bytes]) -> Path:
    """Ten pictures of each of two people."""
    return write_set(tmp_path_factory.mktemp("set") / "images", demo_photos, per_person=10)


def test_verification_writes_one_json_and_tables(
    images: Path, tmp_path: Path, door_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a page, and says what it found; the JSON is the whole result."""
    pairs = write_pairs(tmp_path / "pairs.txt", folds=2, per_kind=5, per_person=10)
    run(
        *("verification", "--pairs", str(pairs), "--images", str(images), "--state", str(door_state)),
        *("--json", str(tmp_path / "result.json"), "--csv", str(tmp_path / "tables"), "--workers", "2"),
        *("--embeddings", str(tmp_path / "embeddings"), "--html", str(tmp_path / "page.html")),
    )
    page = (tmp_path / "page.html").read_text()
    assert "<svg" in page
    assert f"doorward-export evaluate verification --pack door --pairs {pairs} --images {images}" in page
    result = VerificationResult.model_validate_json((tmp_path / "result.json").read_text())
    assert (result.all_pairs.genuine, result.all_pairs.impostor) == (10, 10)
    assert "2-fold accuracy" in capsys.readouterr().out
    with (tmp_path / "tables" / "verification_all_pairs_curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["far"]) for row in rows] == list(result.all_pairs.curve.far)
    with (tmp_path / "tables" / "verification_figures.csv").open() as file:
        figures = {row["figure"]: row["value"] for row in csv.DictReader(file)}
    assert float(figures["all_pairs.auc"]) == result.all_pairs.auc


def test_identification_goes_from_folders_to_json(
    images: Path, tmp_path: Path, door_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Obama is enrolled with three pictures and comes with seven; Biden is a stranger."""
    for person, part, numbers in (
        ("Obama", "gallery", range(1, 4)),
        ("Obama", "probes", range(4, 11)),
        ("Biden", "probes", range(1, 11)),
    ):
        folder = tmp_path / part / person
        folder.mkdir(parents=True)
        for number in numbers:
            name = f"{person}_{number:04d}.jpg"
            (folder / name).write_bytes((images / person / name).read_bytes())
    run(
        *("identification", "--gallery", str(tmp_path / "gallery"), "--probes", str(tmp_path / "probes")),
        *("--state", str(door_state), "--no-embeddings", "--json", "-"),
    )
    found = json.loads(capsys.readouterr().out)
    assert (found["people"], found["mated"], found["strangers"]) == (1, 7, 10)
    assert found["rank1"]["value"] == 1
    assert found["at_threshold"]["fpir"]["count"] == 0


def test_a_copied_picture_is_refused_unless_the_set_is_taken_as_it_is(
    images: Path, tmp_path: Path, door_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its content; a public list may hold true duplicates."""
    for name, source in (("A_0001", "Obama"), ("A_0002", "Obama"), ("B_0001", "Biden")):
        (tmp_path / f"{name}.jpg").write_bytes((images / source / f"{source}_0001.jpg").read_bytes())
    (tmp_path / "list").write_text("A 1 2\nA 1 B 1\n")
    arguments = ("verification", "--pairs", str(tmp_path / "list"), "--images", str(tmp_path), "--no-embeddings")
    with pytest.raises(UsageError, match=r"A_0002\.jpg is the same picture as"):
        run(*arguments, "--state", str(door_state))
    run(*arguments, "--state", str(door_state), "--allow-duplicates", "--json", "-")
    assert json.loads(capsys.readouterr().out)["all_pairs"]["genuine"] == 1


def test_a_sweep_leaves_out_widths_that_the_picture_does_not_have(
    images: Path, door_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a note; where none is left it is an error."""
    portrait = images / "Biden" / "Biden_0001.jpg"
    sweep = ("detection", "--sweep", str(portrait), "--state", str(door_state))
    run(*sweep, "--widths", "247,60", "--json", "-")
    printed = capsys.readouterr()
    assert [found["from_px"] for found in json.loads(printed.out)["bins"]] == [59.5]
    assert "left out: 247 px" in printed.err
    with pytest.raises(UsageError, match="cannot be shown"):
        run(*sweep, "--widths", "247")


@pytest.mark.parametrize(
    ("measure", "columns"),
    [
        ("verification", ()),
        ("identification", ()),
        ("pad", ("file", "subject", "clip", "label", "species", "frames of one clip share its name", *SPECIES)),
        ("detection", ("file, x, y, w, h", *EYE_COLUMNS)),
        ("latency", ()),
    ],
)
def test_help_has_an_example_that_is_understood(
    measure: str, columns: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """And says what columns a list has, and which attack types there are."""
    parser = argparse.ArgumentParser()
    evaluate.add(parser.add_subparsers(required=True))
    with pytest.raises(SystemExit):
        parser.parse_args(["evaluate", measure, "--help"])
    text = capsys.readouterr().out
    examples = [line.split()[1:] for line in text.splitlines() if line.startswith("  doorward-export evaluate")]
    assert examples
    for example in examples:
        assert parser.parse_args(example).measure == measure
    assert not [column for column in columns if column not in text]


def test_the_command_of_a_page_measures_the_same_again() -> None:
    """Read by the command itself it gives the same options, but for where the result goes."""
    parser = argparse.ArgumentParser()
    evaluate.add(parser.add_subparsers(required=True))
    given = ["evaluate", "verification", "--pairs", "a b", "--images", "i", "--door-gates", "--threshold", "0.5"]
    options = parser.parse_args([*given, "--json", "-", "--no-embeddings"])
    again = vars(parser.parse_args(shlex.split(reproducing_command(options))[1:]))
    assert again == {**vars(options), "json": None, "html": Path("verification.html")}


@pytest.mark.parametrize("threads", ["1.7", "0.5", "1,2.5", "65", "nan", "x", "-1"])
def test_half_a_thread_is_refused(threads: str) -> None:
    """It does not mean one."""
    with pytest.raises(UsageError, match="--threads"):
        run("latency", "--threads", threads)


def test_latency_measures_every_precision_on_real_inputs(
    tmp_path: Path, demo_photos: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """The detector has no INT8; TensorRT is named whether it is there or not."""
    (tmp_path / "biden.jpg").write_bytes(demo_photos["biden.jpg"])
    run("latency", "--images", str(tmp_path), "--roles", "detector", "--threads", "1", "--rounds", "2", "--json", "-")
    printed = capsys.readouterr()
    result = LatencyResult.model_validate_json(printed.out)
    assert [row.precision for row in result.rows if row.backend == "onnxruntime"] == ["fp32", "fp16"]
    assert result.rows[0].ratio == 1
    assert "TensorRT" in printed.err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("verification", "--pairs", "{tmp}/none", "--images", "{tmp}"), NotFoundError),
        (("verification", "--pairs", "{tmp}/list", "--images", "{tmp}"), NotFoundError),
        (("pad", "--manifest", "{tmp}/bad.csv"), UsageError),
        (("detection", "--annotations", "{tmp}/bad.csv"), UsageError),
        (("identification", "--gallery", "{tmp}/none", "--probes", "{tmp}"), NotFoundError),
    ],
)
def test_wrong_input_leaves_nothing_behind(
    arguments: tuple[str, ...], error: type[DoorwardError], tmp_path: Path, door_state: Path
) -> None:
    """Neither JSON nor tables, not even the folder."""
    (tmp_path / "list").write_text("Ann 1 2\nAnn 1 Bob 1\n")
    (tmp_path / "bad.csv").write_text("nothing,of,this\n")
    with pytest.raises(error) as caught:
        run(
            *(part.format(tmp=tmp_path) for part in arguments),
            *("--state", str(door_state), "--json", str(tmp_path / "out.json"), "--csv", str(tmp_path / "tables")),
            *("--html", str(tmp_path / "page.html")),
        )
    assert caught.value.hint
    assert {path.name for path in tmp_path.iterdir()} == {"list", "bad.csv"}


def test_a_pack_without_passive_liveness_cannot_be_asked_about_attacks(tmp_path: Path, door_state: Path) -> None:
    """The pack `door` challenges; there is nothing to be measured."""
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "m.csv").write_text("file,subject,clip,label,species\na.png,ann,1,bona_fide,\n")
    with pytest.raises(UsageError, match="no passive liveness"):
        run("pad", "--manifest", str(tmp_path / "m.csv"), "--state", str(door_state))


def test_every_list_of_a_result_is_a_table_and_every_value_a_row() -> None:
    """Clips, species and people have tables; rates stand in the rows."""
    result = by_hand()
    tables = tables_of(result)
    assert set(tables) == {"figures", "species", "subjects", "clips"}
    assert tables["clips"].splitlines()[0] == "subject,clip,species,frames,scored,score,decision"
    assert tables["species"].count("\n") == 1 + len(result.species)
    assert "bpcer.count,1\n" in tables["figures"]
    assert PadResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x/?"&A1)', "@SUM(1)", "+1+cmd", "-2+3", "\t=1", " =1", "\uff1d1"])
def test_a_name_that_a_spreadsheet_would_compute_stays_text(name: str) -> None:
    """Subjects and clips are called as their folders are."""
    clips = [clip(name, name, species, [0.9] * 5) for species in (None, "print")]
    tables = tables_of(summarise(clips, name="networks", threshold=0.5, rule="median", elapsed_s=1.0))
    rows = list(csv.DictReader(io.StringIO(tables["clips"])))
    assert {row["subject"] for row in rows} == {row["clip"] for row in rows} == {f"'{name}"}


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """What cannot be encoded leaves the old file as it was, and no other."""
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="cannot write"):
        write_whole(tmp_path / "none" / "result.json", "x")
