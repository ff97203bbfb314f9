"""`doorward-export quantize`: a named set of pictures becomes ranges and INT8 models, or one error and nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from export_tools import cli
from export_tools.commands import pictures
from export_tools.precision.ranges import load_ranges


def _run(*arguments: str) -> int:
    return cli.run(["quantize", "--pack", "door", "--offline", *arguments])


@pytest.fixture(autouse=True)
def no_clips_beside_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What lies there must not decide what a test sees."""
    monkeypatch.setattr(pictures, "CLIPS", tmp_path / "nowhere")


def test_clips_beside_the_checkout_are_used_where_nothing_else_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder that was named comes first."""
    options = argparse.Namespace(calibration=None)
    assert pictures.calibration_folder(options) is None
    monkeypatch.setattr(pictures, "CLIPS", tmp_path)
    assert pictures.calibration_folder(options) == tmp_path
    assert pictures.calibration_folder(argparse.Namespace(calibration=tmp_path / "own")) == tmp_path / "own"


@pytest.mark.usefixtures("door_pack", "demo_photos")
def test_the_embedder_is_quantised_and_measured_on_pictures_that_were_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ranges and both INT8 models, with the cosine to FP32."""
    out = tmp_path / "made" / "on the way"
    assert _run("--role", "embedder", "--out", str(out), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["calibration_sources"] == 4
    assert told["held_out"] == 2
    assert [row["model_id"] for row in told["models"]] == ["dlib-resnet29-v1-int8-u8", "dlib-resnet29-v1-int8-s8"]
    for row in told["models"]:
        assert row["share_of_fp32"] < 0.3
        assert row["drift"]["embedding"]["cosine_min"] > 0.99
        assert (out / f"{row['model_id']}.onnx").stat().st_size == row["size_bytes"]
    ranges = load_ranges(out / "dlib-resnet29-v1.json")
    assert ranges.calibration.sources == 4
    assert len(list(out.iterdir())) == 3


def _grey(folder: Path) -> None:
    cv2.imwrite(str(folder / "wall.png"), np.full((240, 320, 3), 120, np.uint8))


@pytest.mark.usefixtures("door_pack", "demo_photos")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 64, "nothing would be kept"),
        (["--out", "{broken}/broken.jpg"], 64, "is no folder"),
        (["--out", "{out}/missing", "--calibration", "{empty}"], 70, "{empty}"),
        (["--out", "{out}", "--role", "detector"], 64, "is not quantised"),
        (["--out", "{out}", "--role", "pad_close"], 64, "has no pad_close"),
        (["--out", "{out}", "--calibration", "{empty}"], 70, "{empty}"),
        (["--out", "{out}", "--calibration", "{out}/missing"], 70, "missing"),
        (["--out", "{out}", "--calibration", "{broken}"], 70, "broken.jpg"),
    ],
)
def test_a_set_that_is_of_no_use_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    """Empty, missing, unreadable; a model that is excluded."""
    places = {name: tmp_path / name for name in ("out", "empty", "broken")}
    for place in places.values():
        place.mkdir()
    (places["broken"] / "broken.jpg").write_bytes(b"\xff\xd8\xff half a picture")
    shown = {name: str(place) for name, place in places.items()}
    assert _run(*(argument.format(**shown) for argument in arguments)) == code
    told = capsys.readouterr().err
    assert said.format(**shown) in told
    assert "hint: " in told
    assert not list(places["out"].iterdir())
