"""V4L2 and RTSP: what a camera must deliver to be believed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from device.camera.opencv import OpenCvCamera, checked_picture
from device.config import CameraConfig
from device.errors import CameraError
from device.sim.clock import ManualClock


class _Camera:
    """A scripted ``cv2.VideoCapture``: a laptop has no camera that tests may open."""

    def __init__(
        self, pictures: list[object], *, times_s: list[float] | None = None, size: tuple[int, int] = (64, 48)
    ) -> None:
        self.pictures = pictures
        self.times_s = times_s or [0.0] * len(pictures)
        self.size = size
        self.asked: dict[int, float] = {}
        self.opened: tuple[object, ...] = ()
        self.released = 0
        self._at = -1

    def __call__(self, *arguments: object) -> _Camera:
        self.opened = arguments
        return self

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return True

    def set(self, prop: int, value: float) -> bool:
        self.asked[prop] = value
        return False

    def get(self, prop: int) -> float:
        if prop == cv2.CAP_PROP_POS_MSEC:
            return 1000 * self.times_s[self._at]
        return float({cv2.CAP_PROP_FRAME_WIDTH: self.size[0], cv2.CAP_PROP_FRAME_HEIGHT: self.size[1]}[prop])

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self.pictures)

    def retrieve(self) -> tuple[bool, object]:
        picture = self.pictures[self._at]
        return picture is not None, picture

    def release(self) -> None:
        self.released += 1


def _picture(width: int = 64, height: int = 48) -> object:
    return np.zeros((height, width, 3), np.uint8)


def _open(
    monkeypatch: pytest.MonkeyPatch, camera: _Camera, *, source: str = "/dev/video0", now_s: float = 500.0
) -> tuple[OpenCvCamera, ManualClock]:
    monkeypatch.setattr(cv2, "VideoCapture", camera)
    clock = ManualClock()
    clock.advance(now_s)
    config = CameraConfig.model_construct(source=source, width=64, height=48, fps=30)
    opened = OpenCvCamera(config, clock)
    opened.open()
    return opened, clock


@pytest.mark.parametrize(
    "picture",
    [
        None,
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.full((48, 64, 3), np.nan, np.float32),
        np.zeros((48, 64, 3), np.uint16),
        "picture",
    ],
    ids=["none", "empty", "grey", "four channels", "nan", "sixteen bit", "words"],
)
def test_what_is_no_bgr_picture_is_an_error(picture: object) -> None:
    """It never reaches a model."""
    with pytest.raises(CameraError) as refused:
        checked_picture(picture, size=None, description="camera")
    assert refused.value.hint


def test_a_device_that_offers_another_size_is_refused_with_the_size_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV itself would go on with another picture than configured, in silence."""
    camera = _Camera([], size=(80, 60))
    with pytest.raises(CameraError, match="80x60") as refused:
        _open(monkeypatch, camera)
    assert "camera.width to 80" in refused.value.hint
    assert camera.released == 1


def test_a_size_that_changes_on_the_way_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Landmarks of one size mean nothing in another."""
    source, _ = _open(monkeypatch, _Camera([_picture(), _picture(32, 24)]))
    assert source.read() is not None
    with pytest.raises(CameraError, match="32x24"):
        source.read()


def test_no_picture_is_a_lost_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera has no end of stream."""
    source, _ = _open(monkeypatch, _Camera([_picture(), None]))
    source.read()
    with pytest.raises(CameraError, match="no picture"):
        source.read()
    with pytest.raises(CameraError, match="lost"):
        source.read()


def test_the_drivers_time_of_exposure_counts_where_it_is_on_our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that waited in a queue shows its age."""
    source, clock = _open(monkeypatch, _Camera([_picture()] * 3, times_s=[499.96, 500.0, 500.1]))
    frame = source.read()
    assert frame is not None
    assert frame.captured_s == pytest.approx(499.96)
    clock.advance(3)
    stale = source.read()
    assert stale is not None
    assert clock.monotonic() - stale.captured_s == pytest.approx(3)


@pytest.mark.parametrize("first_s", [0.0, 1.7e9, float("nan"), float("inf"), -5.0, 498.0, 500.5])
def test_a_driver_on_another_clock_is_timed_by_arrival(monkeypatch: pytest.MonkeyPatch, first_s: float) -> None:
    """Decided on the first frame after opening, which is fresh."""
    source, clock = _open(monkeypatch, _Camera([_picture()] * 2, times_s=[first_s, 500.0]))
    first = source.read()
    clock.advance(0.5)
    second = source.read()
    assert first is not None
    assert second is not None
    assert (first.captured_s, second.captured_s) == (500.0, 500.5)


def test_a_driver_that_jumps_into_the_future_is_timed_by_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame from the future would outlive the age limit."""
    source, _ = _open(monkeypatch, _Camera([_picture()] * 2, times_s=[500.0, 900.0]))
    source.read()
    frame = source.read()
    assert frame is not None
    assert frame.captured_s == 500.0


def test_a_stream_that_stalled_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that waited four seconds in a network is no picture of now."""
    camera = _Camera([_picture()] * 4, times_s=[0.04, 0.08, 0.04, 0.08])
    source, clock = _open(monkeypatch, camera, source="rtsp://camera/1")
    source.read()
    clock.advance(4.04)
    late = source.read()
    assert late is not None
    assert clock.monotonic() - late.captured_s == pytest.approx(4.0)
    source.open()
    fresh = source.read()
    assert fresh is not None
    assert fresh.captured_s == clock.monotonic()


def test_a_stream_without_times_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could stall unseen; what its pictures show could be long over."""
    source, clock = _open(monkeypatch, _Camera([_picture()] * 2), source="rtsp://camera/1")
    source.read()
    clock.advance(0.04)
    with pytest.raises(CameraError, match="does not tell when"):
        source.read()


def test_a_device_is_asked_for_one_buffer_and_a_stream_for_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old pictures must not queue, and a dead address must not hang."""
    device = _Camera([])
    _open(monkeypatch, device)
    assert device.asked[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert device.opened[1] == cv2.CAP_V4L2
    stream = _Camera([])
    _open(monkeypatch, stream, source="rtsp://user:secret@camera/1")
    assert stream.opened[:2] == ("rtsp://user:secret@camera/1", cv2.CAP_FFMPEG)
    parameters = stream.opened[2]
    assert isinstance(parameters, list)
    assert {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC} <= set(parameters)


@pytest.mark.parametrize("source", ["/dev/video99", "rtsp://user:secret@127.0.0.1:1/stream"])
def test_a_camera_that_is_not_there_is_an_error_with_a_hint_and_without_password(source: str) -> None:
    """With OpenCV itself."""
    camera = OpenCvCamera(CameraConfig(source=source), ManualClock())
    with pytest.raises(CameraError) as refused:
        camera.open()
    assert refused.value.hint
    assert "secret" not in refused.value.message + refused.value.hint + camera.description
