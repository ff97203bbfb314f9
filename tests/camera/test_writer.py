"""Pictures and videos of people are written for one pair of eyes, and over nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.camera.writer import VideoWriter, write_picture
from device.errors import UsageError
from device.types import Image

_IMAGE: Image = np.full((48, 64, 3), 128, np.uint8)


def _video(path: Path) -> None:
    writer = VideoWriter(path)
    for number in range(5):
        writer.write(_IMAGE, at_s=number / 25)
    writer.close()


def _picture(path: Path) -> None:
    write_picture(path, _IMAGE)


CASES = {"out.jpg": _picture, "out.png": _picture, "out.mp4": _video, "out.avi": _video}


@pytest.fixture(params=list(CASES.items()), ids=list(CASES))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Callable[[Path], None], Path]]:
    """What writes, and where to; with a umask that hides nothing."""
    before = os.umask(0)
    name, write = request.param
    yield write, tmp_path / name
    os.umask(before)


def test_only_the_owner_can_read_what_was_written(case: tuple[Callable[[Path], None], Path]) -> None:
    """Faces with names on them, in a folder that others can look into."""
    write, path = case
    write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    capture = cv2.VideoCapture(str(path))
    assert capture.read()[0]
    capture.release()


def test_no_link_is_followed_and_nothing_overwritten(case: tuple[Callable[[Path], None], Path]) -> None:
    """Somebody was there before: a file, a link to a file, a link to nowhere."""
    write, path = case
    other = path.with_name("precious")
    other.write_bytes(b"precious")
    for target in (other, path.with_name("nowhere")):
        path.symlink_to(target)
        with pytest.raises(UsageError) as refused:
            write(path)
        assert refused.value.hint
        path.unlink()
    assert other.read_bytes() == b"precious"
    assert not path.with_name("nowhere").exists()
    path.write_bytes(b"precious")
    with pytest.raises(UsageError):
        write(path)
    assert path.read_bytes() == b"precious"
