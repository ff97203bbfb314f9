"""V4L2 devices and RTSP streams, and the one place where ``cv2.VideoCapture`` is spoken to.

A picture that is missing, of another size or no picture at all is a CameraError: the capture loop then closes the
device and opens it again from nothing, because after an unplugged cable OpenCV may report success and hand out the last
picture for ever (opencv/opencv issue 14044).
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from device.camera.sources import public_name
from device.camera.stream_times import StreamTimes
from device.config import CameraConfig
from device.errors import CameraError
from device.interfaces import Clock
from device.types import Frame, Image

#: OpenCV's own limit for streams is 30 s: too long to notice that a camera is gone.
_TIMEOUT_MS = 5000
#: YUYV of this size at 30 frames/s is 18 MB/s; more hardly passes USB 2, so larger pictures are asked for as JPEG.
_UNCOMPRESSED_PX = 640 * 480
#: The first picture after opening is fresh: a driver's time stamp that differs by more counts on another clock.
_SAME_CLOCK_S = 1.0


class OpenCvReader:
    """A ``cv2.VideoCapture`` that raises instead of returning falsehoods. Used by one thread."""

    def __init__(self, name: str, *, backend: int, description: str, parameters: tuple[int, ...] = ()) -> None:
        # Its warnings would repeat on the terminal what the CameraError says.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._description = description
        self._size: tuple[int, int] | None = None
        try:
            self._capture = cv2.VideoCapture(name, backend, list(parameters))
        except (cv2.error, SystemError) as exc:
            raise CameraError(f"cannot open {description}", hint=_hint(backend)) from exc
        if not self._capture.isOpened():
            self._capture.release()
            raise CameraError(f"cannot open {description}", hint=_hint(backend))

    def ask(self, prop: int, value: float) -> None:
        """Ask for a property; a device that does not know it goes on without."""
        self._capture.set(prop, value)

    def get(self, prop: int) -> float:
        """A property; 0 where it is unknown."""
        return float(self._capture.get(prop))

    def grab(self) -> bool:
        """Fetch the next picture without decoding it; False when there is none."""
        try:
            return bool(self._capture.grab())
        except cv2.error as exc:
            raise CameraError(f"{self._description} failed: {exc}", hint="see the line before") from exc

    def position_s(self) -> float:
        """The grabbed picture's own time in seconds; 0 where the source tells none."""
        return self.get(cv2.CAP_PROP_POS_MSEC) / 1000

    def retrieve(self) -> Image:
        """The grabbed picture, uint8 BGR. Raises CameraError for anything else, or when the size has changed."""
        try:
            arrived, image = self._capture.retrieve()
        except cv2.error as exc:
            raise CameraError(f"{self._description} failed: {exc}", hint="see the line before") from exc
        picture = checked_picture(image if arrived else None, size=self._size, description=self._description)
        self._size = (picture.shape[1], picture.shape[0])
        return picture

    def close(self) -> None:
        """Release it; harmless when released already."""
        self._capture.release()


def checked_picture(image: object, *, size: tuple[int, int] | None, description: str) -> Image:
    """``image`` if it is a BGR picture of ``size`` (width, height; None: any). Raises CameraError."""
    if not isinstance(image, np.ndarray) or image.size == 0:
        raise CameraError(f"{description} delivered no picture", hint="check its cable and power")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise CameraError(
            f"{description} delivered {image.dtype} of shape {image.shape} instead of a BGR picture",
            hint="choose a colour camera that UVC or RTSP describes",
        )
    if size is not None and (image.shape[1], image.shape[0]) != size:
        raise CameraError(
            f"{description} changed from {size[0]}x{size[1]} to {image.shape[1]}x{image.shape[0]} pixels",
            hint="nobody else may use the camera",
        )
    return image


class OpenCvCamera:
    """A V4L2 device or an RTSP stream.

    A device must deliver the configured size, because nothing tells a distorted picture later; a stream has the size
    that the camera was set to. A device's capture times are the driver's own where they count on the monotonic clock,
    otherwise the moment of arrival. A stream's are told from the times in it: see :mod:`device.camera.stream_times`,
    also for what they do not show. OpenCV tells FFmpeg's presentation time of the grabbed picture, 0 where there is
    none; a stream without such times is refused on its second picture, because it cannot show a stall.
    """

    def __init__(self, config: CameraConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._stream = "://" in config.source
        self._description = f"camera {public_name(config.source)}"
        self._reader: OpenCvReader | None = None
        self._driver_times: bool | None = None
        self._stream_times = StreamTimes(self._description)
        self._number = 0

    @property
    def description(self) -> str:
        """Device or address, without password."""
        return self._description

    @property
    def live(self) -> bool:
        """Always: the world does not wait."""
        return True

    def open(self) -> None:
        """Acquire the camera. Raises CameraError."""
        self.close()
        self._reader = self._open_stream() if self._stream else self._open_device()
        self._driver_times = None
        self._stream_times = StreamTimes(self._description)

    def read(self) -> Frame | None:
        """The next frame; never None. Raises CameraError when the camera is lost."""
        reader = self._reader
        if reader is None:
            raise CameraError(f"{self._description} is not open", hint="open it first")
        if not reader.grab():
            raise CameraError(f"{self._description} is lost", hint="check its cable, power and network")
        position_s, now_s = reader.position_s(), self._clock.monotonic()
        if self._stream:
            captured_s = self._stream_times.captured_s(position_s, now_s=now_s)
        else:
            captured_s = self._captured_s(position_s, now_s=now_s)
        frame = Frame(image=reader.retrieve(), captured_s=captured_s, number=self._number)
        self._number += 1
        return frame

    def close(self) -> None:
        """Release the camera; harmless when closed already."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open_stream(self) -> OpenCvReader:
        return OpenCvReader(
            self._config.source,
            backend=cv2.CAP_FFMPEG,
            description=self._description,
            parameters=(
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                _TIMEOUT_MS,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                _TIMEOUT_MS,
            ),
        )

    def _open_device(self) -> OpenCvReader:
        # V4L2 waits at most 10 s for a picture (OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT); it knows no property for that.
        reader = OpenCvReader(self._config.source, backend=cv2.CAP_V4L2, description=self._description)
        if self._config.width * self._config.height > _UNCOMPRESSED_PX:
            reader.ask(cv2.CAP_PROP_FOURCC, float(cv2.VideoWriter.fourcc(*"MJPG")))
        reader.ask(cv2.CAP_PROP_FRAME_WIDTH, self._config.width)
        reader.ask(cv2.CAP_PROP_FRAME_HEIGHT, self._config.height)
        reader.ask(cv2.CAP_PROP_FPS, self._config.fps)
        # The newest picture is wanted, not a queue of old ones.
        reader.ask(cv2.CAP_PROP_BUFFERSIZE, 1)
        width, height = (int(reader.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if (width, height) != (self._config.width, self._config.height):
            reader.close()
            raise CameraError(
                f"{self._description} offers {width}x{height} pixels instead of "
                f"{self._config.width}x{self._config.height}",
                hint=f"set camera.width to {width} and camera.height to {height}, or choose another size it knows",
            )
        return reader

    def _captured_s(self, driver_s: float, *, now_s: float) -> float:
        """The driver's time of exposure if it counts on our clock (decided on the first frame), else now."""
        if self._driver_times is None:
            self._driver_times = math.isfinite(driver_s) and 0 <= now_s - driver_s <= _SAME_CLOCK_S
        if self._driver_times and math.isfinite(driver_s) and driver_s <= now_s:
            return driver_s
        return now_s


def open_video_file(path: Path) -> OpenCvReader:
    """A reader over a recording, through FFmpeg only. Raises CameraError."""
    # An absolute path cannot be taken for an address or an option.
    return OpenCvReader(str(path.resolve()), backend=cv2.CAP_FFMPEG, description=f"recording {path}")


def _hint(backend: int) -> str:
    if backend == cv2.CAP_V4L2:
        return "check that the camera is plugged in, that you are in the group video, and that nobody else uses it"
    return "check the address or file, and that it plays elsewhere"
