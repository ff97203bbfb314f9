"""What every frame source promises. To put another source under the promises, add a case to ``CASES``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from device.camera.opencv import OpenCvCamera
from device.camera.pace import FastPace, NativePace
from device.camera.recorded import PictureFolder, VideoFile
from device.config import CameraConfig
from device.errors import CameraError
from device.interfaces import FrameSource
from device.sim.camera import SceneCamera
from device.sim.clock import ManualClock
from device.sim.signals import PromptBoard
from device.types import Image

Make = Callable[[Path, ManualClock, pytest.MonkeyPatch], FrameSource]
#: Frames that are read from a source at most: a live camera has no end.
_ENOUGH = 12


def _video(folder: Path) -> Path:
    path = folder / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for level in range(6):
        writer.write(np.full((48, 64, 3), 40 * level, np.uint8))
    writer.release()
    return path


def _folder(folder: Path) -> Path:
    for number in range(6):
        Pillow.new("RGB", (64, 48), (40 * number, 0, 0)).save(folder / f"{number:02}.png")
    return folder


class _Camera:
    """Stands in for ``cv2.VideoCapture``: a laptop has no camera that tests may open."""

    def __init__(self, *_arguments: object) -> None:
        self._shown = 0

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return True

    def set(self, _prop: int, _value: float) -> bool:
        return True

    def get(self, prop: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0}.get(prop, 0.0)

    def grab(self) -> bool:
        self._shown += 1
        return True

    def retrieve(self) -> tuple[bool, object]:
        return True, np.full((480, 640, 3), self._shown % 256, np.uint8)

    def release(self) -> None:
        """Nothing to free."""


def _device(_folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> FrameSource:
    monkeypatch.setattr(cv2, "VideoCapture", _Camera)
    return OpenCvCamera(CameraConfig(source="/dev/video0"), clock)


CASES: dict[str, Make] = {
    "video, fast": lambda folder, clock, _: VideoFile(_video(folder), FastPace(clock)),
    "video, native": lambda folder, clock, _: VideoFile(_video(folder), NativePace(clock, clock.advance)),
    "pictures, fast": lambda folder, clock, _: PictureFolder(_folder(folder), FastPace(clock), fps=10),
    "pictures, native": lambda folder, clock, _: PictureFolder(
        _folder(folder), NativePace(clock, clock.advance), fps=10
    ),
    "device": _device,
    "scene": lambda _, clock, __: SceneCamera([], clock=clock, prompts=PromptBoard(clock=clock), gap_s=0.2),
}


@pytest.fixture
def clock() -> ManualClock:
    """A clock that has run for a while already."""
    clock = ManualClock()
    clock.advance(1000)
    return clock


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def source(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> FrameSource:
    """Each source in turn, not opened yet."""
    made: FrameSource = request.param(tmp_path, clock, monkeypatch)
    return made


def test_every_frame_is_a_contiguous_bgr_picture(source: FrameSource) -> None:
    """uint8, (height, width, 3), one block, and none shares memory with the one before."""
    source.open()
    images: list[Image] = []
    while len(images) < _ENOUGH and (frame := source.read()) is not None:
        images.append(frame.image)
    source.close()
    assert images
    for image in images:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.flags.c_contiguous
    assert not any(np.shares_memory(one, other) for one, other in pairwise(images))


def test_numbers_count_up_and_times_run_forward_but_never_ahead(source: FrameSource, clock: ManualClock) -> None:
    """A frame from the future could outlive the age limit of the door."""
    source.open()
    last_number, last_s = -1, 1000.0
    for _ in range(_ENOUGH):
        frame = source.read()
        if frame is None:
            break
        assert frame.number > last_number
        assert last_s <= frame.captured_s <= clock.monotonic()
        last_number, last_s = frame.number, frame.captured_s
    source.close()


def test_the_end_is_none_again_and_again(source: FrameSource) -> None:
    """A source that ends stays ended."""
    source.open()
    for _ in range(_ENOUGH):
        if source.read() is None:
            assert source.read() is None
            break
    source.close()


def test_numbers_go_on_when_it_is_opened_again(source: FrameSource) -> None:
    """A frame number is never used twice: decisions are told apart by it."""
    source.open()
    first = source.read()
    source.close()
    source.open()
    second = source.read()
    source.close()
    assert first is not None
    assert second is not None
    assert second.number > first.number
    assert second.captured_s >= first.captured_s


def test_closing_is_always_harmless_and_reading_closed_is_an_error(source: FrameSource) -> None:
    """Before opening, after opening, twice."""
    source.close()
    with pytest.raises(CameraError):
        source.read()
    source.open()
    source.close()
    source.close()
    with pytest.raises(CameraError):
        source.read()


def test_it_says_what_it_is(source: FrameSource) -> None:
    """In words for people, before it is opened."""
    assert source.description
    assert isinstance(source.live, bool)
