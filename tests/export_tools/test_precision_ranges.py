"""Recorded ranges are data: strict, whole, and of one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import PackError
from export_tools.cards import PACKS_DIRECTORY, RANGES_DIRECTORY, load_pack_card
from export_tools.precision.calibration import record_ranges
from export_tools.precision.int8 import quantize
from export_tools.precision.ranges import Ranges, load_ranges, write_ranges
from tests.export_tools import precision_models as small


@pytest.fixture(scope="module")
def ranges() -> Ranges:
    """Of the residual net, on noise."""
    return record_ranges(small.residual_net(), small.inputs(6), name="small", description="noise")


def _changed(ranges: Ranges, tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "small.json"
    path.write_text(json.dumps({**ranges.model_dump(mode="json"), **changes}))
    return path


def test_ranges_are_read_as_they_were_written(ranges: Ranges, tmp_path: Path) -> None:
    """Every bit of every number, and no other file left behind."""
    write_ranges(tmp_path / "deep" / "small.json", ranges)
    assert load_ranges(tmp_path / "deep" / "small.json") == ranges
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["small.json"]


@pytest.mark.parametrize(("text", "said"), [("# Doorward", " is no JSON"), ("[1]", ": the whole: ")])
def test_a_file_that_is_no_ranges_at_all_is_called_that(tmp_path: Path, text: str, said: str) -> None:
    """No field of it can be at fault."""
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(PackError, match=f"README.md{said}") as caught:
        load_ranges(tmp_path / "README.md")
    assert caught.value.reason == "calibration"


def test_a_folder_in_the_files_place_leaves_nothing_half_written(ranges: Ranges, tmp_path: Path) -> None:
    """The temporary file goes too."""
    (tmp_path / "small.json").mkdir()
    with pytest.raises(PackError) as caught:
        write_ranges(tmp_path / "small.json", ranges)
    assert caught.value.reason == "unwritable"
    assert [path.name for path in tmp_path.iterdir()] == ["small.json"]


@pytest.mark.parametrize(
    "changes",
    [
        {"tensors": {}},
        {"tensors": {"input": {"low": 2.0, "high": 1.0}}},
        {"tensors": {"input": {"low": float("nan"), "high": 1.0}}},
        {"tensors": {"input": {"low": 0.0, "high": float("inf")}}},
        {"format": 2},
        {"method": "guess"},
        {"fingerprint": "0"},
        {"stranger": 1},
    ],
)
def test_ranges_that_say_what_they_may_not_are_refused(ranges: Ranges, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Empty, upside down, not a number, infinite, of another format, with unknown keys."""
    with pytest.raises(PackError) as caught:
        load_ranges(_changed(ranges, tmp_path, **changes))
    assert caught.value.reason == "calibration"
    assert caught.value.hint


@given(st.binary(max_size=200))
def test_no_file_of_ranges_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever lies there: ranges, or a PackError."""
    path = tmp_path_factory.mktemp("ranges") / "x.json"
    path.write_bytes(data)
    with pytest.raises(PackError):
        load_ranges(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(PackError, match=r"nothing\.json") as caught:
        load_ranges(tmp_path / "nothing.json")
    assert "record" in caught.value.hint


def test_ranges_of_another_model_are_refused(ranges: Ranges) -> None:
    """One weight differs."""
    with pytest.raises(PackError, match="belong to another model"):
        quantize(small.residual_net(scale=1.5), ranges=ranges, activation="u8")


def test_ranges_without_a_needed_tensor_are_refused(ranges: Ranges) -> None:
    """No value is made up."""
    spans = {name: span for name, span in ranges.tensors.items() if name != "p0"}
    with pytest.raises(PackError, match="no range of 'p0'"):
        quantize(small.residual_net(), ranges=ranges.model_copy(update={"tensors": spans}), activation="s8")


def test_ranges_of_a_tensor_that_the_model_does_not_have_are_refused(ranges: Ranges) -> None:
    """They were recorded from something else, whatever the fingerprint says."""
    spans = {**ranges.tensors, "stranger": ranges.tensors["input"]}
    with pytest.raises(PackError, match="stranger"):
        quantize(small.residual_net(), ranges=ranges.model_copy(update={"tensors": spans}), activation="u8")


def test_an_empty_calibration_set_is_refused() -> None:
    """There is nothing to record."""
    with pytest.raises(PackError, match="no calibration input") as caught:
        record_ranges(small.residual_net(), [], name="small", description="nothing")
    assert caught.value.reason == "calibration"


def test_an_input_that_is_not_finite_is_refused() -> None:
    """It would make every range infinite."""
    batch = np.full((1, 3, 8, 8), np.nan, np.float32)
    with pytest.raises(PackError, match="not finite"):
        record_ranges(small.residual_net(), [batch], name="small", description="nothing")


def test_ranges_cover_every_batch_and_say_what_they_come_from(ranges: Ranges) -> None:
    """The input's own range is known exactly; rows are counted, not runs."""
    batches = small.inputs(6)
    assert ranges.of("input").low == min(float(batch.min()) for batch in batches)
    assert ranges.of("input").high == max(float(batch.max()) for batch in batches)
    together = record_ranges(small.residual_net(), [np.concatenate(batches)], name="small", description="noise")
    assert together.calibration.inputs == ranges.calibration.inputs == 6
    assert together.calibration.sha256 != ranges.calibration.sha256


@pytest.mark.parametrize("path", sorted(RANGES_DIRECTORY.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_ranges_are_sound_and_named_by_a_pack(path: Path) -> None:
    """Each belongs to a model of a pack, under its name."""
    names = {
        model.name: model.ranges
        for card in (load_pack_card(pack.stem)[0] for pack in PACKS_DIRECTORY.glob("door*.yaml"))
        for model in card.models.values()
    }
    ranges = load_ranges(path)
    assert names[ranges.model] == path.name
    assert ranges.calibration.inputs >= 90


@pytest.mark.parametrize(
    ("role", "name"), [("embedder", "dlib-resnet29-v1"), ("landmarks", "facemesh-468"), ("iris", "mediapipe-iris")]
)
def test_shipped_ranges_belong_to_the_models_that_are_built(door_pack: Path, role: str, name: str) -> None:
    """A converter that gives other numbers needs new ranges."""
    load_ranges(RANGES_DIRECTORY / f"{name}.json").check_model((door_pack / f"{role}.onnx").read_bytes())
