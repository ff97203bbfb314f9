"""What a pack is built from: the ranges behind INT8 count, and the golden vectors are those of FP32."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from device.vision.backends.onnx import OnnxSession
from device.vision.manifest import Precision
from export_tools import golden
from export_tools.build import build_pack
from export_tools.cards import RANGES_DIRECTORY, load_pack_card
from export_tools.cli import run
from export_tools.recipe import BuildOptions, make_recipe
from export_tools.sources.fetch import Fetcher, default_cache

KEY = bytes(range(32))


@pytest.fixture
def ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recorded ranges that may be changed, in the place of the recorded ones."""
    copy = tmp_path / "ranges"
    shutil.copytree(RANGES_DIRECTORY, copy)
    monkeypatch.setattr("export_tools.precision.artefact.RANGES_DIRECTORY", copy)
    return copy


def _widen(path: Path) -> None:
    tree = json.loads(path.read_text())
    tree["tensors"]["input"]["high"] += 1
    path.write_text(json.dumps(tree))


def _digest(embedder: Precision) -> str:
    return make_recipe("door", BuildOptions(precisions={"embedder": embedder})).inputs_sha256


@pytest.mark.parametrize("precision", ["int8-u8", "int8-s8"])
def test_other_ranges_make_another_pack_where_int8_is_made_from_them(ranges: Path, precision: Precision) -> None:
    """By the digest that decides whether a pack is built again; what stays in floating point does not ask for them."""
    before, plain = _digest(precision), _digest("fp32")
    assert _digest(precision) == before
    _widen(ranges / "facemesh-468.json")
    assert _digest(precision) == before
    _widen(ranges / "dlib-resnet29-v1.json")
    assert _digest(precision) != before
    assert _digest("fp32") == plain


def _build(state: Path) -> tuple[Path, bool]:
    found = build_pack(
        "door",
        state=state,
        mac_key=KEY,
        fetcher=Fetcher(cache=default_cache()),
        options=BuildOptions(precisions={"embedder": "int8-u8"}),
    )
    return found.pack.directory, found.built


def test_an_int8_pack_carries_the_answers_of_fp32_and_is_built_again_for_other_ranges(
    door_pack: Path, tmp_path: Path, ranges: Path
) -> None:
    """What it is held against is never what it answers itself."""
    folder, built = _build(tmp_path / "state")
    assert built
    first = (folder / "embedder.onnx").read_bytes()
    preprocessing = load_pack_card("door")[0].models["embedder"].preprocessing
    vectors = golden.load((folder / "golden.npz").read_bytes(), "embedder", preprocessing)
    answers = [
        golden.run(OnnxSession(data, model="m", threads=1), vectors.inputs, batch=None)[0]
        for data in ((door_pack / "embedder.onnx").read_bytes(), first)
    ]
    assert np.array_equal(vectors.outputs[0], answers[0])
    assert np.abs(vectors.outputs[0] - answers[1]).max() > 1e-3
    assert not _build(tmp_path / "state")[1]
    _widen(ranges / "dlib-resnet29-v1.json")
    assert _build(tmp_path / "state")[1]
    assert (folder / "embedder.onnx").read_bytes() != first


def test_ranges_that_are_missing_are_an_error_with_a_hint_and_nothing_is_written(
    ranges: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the command: exit code 70, no traceback."""
    (ranges / "dlib-resnet29-v1.json").unlink()
    state = tmp_path / "state"
    command = ["build", "--pack", "door", "--target", "onnxruntime", "--precision", "embedder=int8-u8", "--offline"]
    assert run([*command, "--state", str(state)]) == 70
    told = capsys.readouterr().err
    assert "dlib-resnet29-v1.json" in told
    assert "hint: " in told
    assert not (state / "packs").exists()
