"""Pictures and videos for people who look at results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.camera.writer import VideoWriter, write_picture
from device.errors import UsageError

_GREY = np.full((48, 64, 3), 128, np.uint8)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".AVI"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_video_has_as_many_frames_as_were_written(tmp_path: Path, suffix: str, count: int) -> None:
    """Also a single one; at the pace of the first two."""
    path = tmp_path / f"copy{suffix}"
    writer = VideoWriter(path)
    for number in range(count):
        writer.write(_GREY, at_s=5.0 + number / 20)
    writer.close()
    frames, fps = _read(path)
    assert frames == count
    if count > 1:
        assert fps == pytest.approx(20.0, abs=0.1)


def test_a_video_of_nothing_is_no_file(tmp_path: Path) -> None:
    """Nothing was seen, nothing is written."""
    writer = VideoWriter(tmp_path / "copy.mp4")
    writer.close()
    assert not list(tmp_path.iterdir())


def test_frames_without_a_pace_are_written_all_the_same(tmp_path: Path) -> None:
    """Two frames that claim the same moment."""
    writer = VideoWriter(tmp_path / "copy.avi")
    for _ in range(3):
        writer.write(_GREY, at_s=1.0)
    writer.close()
    assert _read(tmp_path / "copy.avi")[0] == 3


def test_another_ending_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    for name in ("copy.gif", "copy", "copy.mkv"):
        with pytest.raises(UsageError):
            VideoWriter(tmp_path / name)
    with pytest.raises(UsageError):
        write_picture(tmp_path / "copy.tiff", _GREY)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Not a video that silently is not there."""
    writer = VideoWriter(tmp_path / "none" / "copy.avi")
    writer.write(_GREY, at_s=0.0)
    with pytest.raises(UsageError):
        writer.write(_GREY, at_s=0.1)
    with pytest.raises(UsageError):
        write_picture(tmp_path / "none" / "copy.png", _GREY)


def test_a_picture_comes_back(tmp_path: Path) -> None:
    """PNG exactly, JPEG nearly."""
    noise: Any = np.random.default_rng(1).integers(0, 255, (32, 40, 3), np.uint8)
    write_picture(tmp_path / "a.png", noise)
    assert np.array_equal(_picture(tmp_path / "a.png"), noise)
    write_picture(tmp_path / "a.JPEG", _GREY)
    assert np.abs(_picture(tmp_path / "a.JPEG").astype(int) - 128).max() <= 2


def _picture(path: Path) -> Any:
    return cv2.imread(str(path))


def _read(path: Path) -> tuple[int, float]:
    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count, fps
