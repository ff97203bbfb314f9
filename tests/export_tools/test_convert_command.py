"""`doorward-export convert`: one model, one file, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from device.errors import PackError, UsageError
from device.vision.backends.onnx import OnnxSession
from export_tools import cli
from export_tools.cards import RANGES_DIRECTORY, ModelCard, load_pack_card
from export_tools.convert.convert import convert
from export_tools.whole import write_whole


def _run(*arguments: str) -> int:
    return cli.run(["convert", "--pack", "door", "--offline", *arguments])


@pytest.mark.usefixtures("door_pack")
@pytest.mark.parametrize(
    ("precision", "batch", "shape"),
    [("fp32", None, -1), ("fp16", "2", 2), ("int8-u8", "free", -1), ("int8-s8", "1", 1)],
)
def test_a_model_is_written_at_the_precision_and_batch_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], precision: str, batch: str | None, shape: int
) -> None:
    """It loads, and its batch is free or fixed."""
    out = tmp_path / "embedder.onnx"
    extra = ["--batch", batch] if batch else []
    arguments = ["--role", "embedder", "--precision", precision, "--out", str(out), "--json"]
    assert _run(*arguments, *extra) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model_id"] == f"dlib-resnet29-v1-{precision}"
    assert told["size_bytes"] == out.stat().st_size
    session = OnnxSession(out.read_bytes(), model="embedder", threads=1)
    assert session.input_shape == (shape, 3, 150, 150)
    count = abs(shape) if shape > 0 else 3
    (answer,) = session.run(np.full((count, 3, 150, 150), 90, np.float32))
    assert answer.shape == (count, 128)
    assert [path.name for path in tmp_path.iterdir()] == ["embedder.onnx"]


@pytest.mark.usefixtures("door_pack")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--role", "detector", "--precision", "int8-u8"], 70, "is not built as int8-u8"),
        (["--role", "pad_wide"], 64, "has no pad_wide"),
        (["--role", "doorbell"], 64, "doorbell"),
        (["--role", "iris", "--batch", "0"], 64, "--batch"),
        (["--role", "iris", "--batch", "many"], 64, "--batch"),
        (["--role", "iris", "--precision", "int8-u8", "--ranges", "/nonexistent.json"], 70, "/nonexistent.json"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    """With the reason, and what to do."""
    assert _run(*arguments, "--out", str(tmp_path / "model.onnx")) == code
    told = capsys.readouterr().err
    assert said in told
    assert "hint: " in told
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("door_pack")
def test_ranges_of_another_model_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They would scale the wrong tensors."""
    ranges = str(RANGES_DIRECTORY / "facemesh-468.json")
    arguments = ["--role", "iris", "--precision", "int8-s8", "--ranges", ranges, "--out", str(tmp_path / "iris.onnx")]
    assert _run(*arguments) == 70
    assert "belong to another model" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("card", load_pack_card("door-plus")[0].models.values(), ids=lambda card: card.name)
def test_a_file_that_cannot_be_converted_is_named(card: ModelCard) -> None:
    """A pack has up to six models: which one, and which file of its source; reason and hint stay."""
    with pytest.raises(PackError) as refused:
        convert(card, b"no model")
    assert refused.value.message.startswith(f"{card.name} ({card.member or card.source}): ")
    assert refused.value.reason == "unconvertible"
    cause = refused.value.__cause__
    assert isinstance(cause, PackError)
    assert refused.value.hint == cause.hint


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temp file and rename."""
    (tmp_path / "model.onnx").write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        write_whole(tmp_path / "model.onnx", b"new")
    assert (tmp_path / "model.onnx").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
