"""Recordings as cameras: a video file, or a folder of pictures. Played once; the end is the end of the stream."""

from __future__ import annotations

import math
from pathlib import Path

import cv2

from device.camera.opencv import OpenCvReader, open_video_file
from device.camera.pace import Pace
from device.camera.photo import read_photo
from device.camera.sources import PICTURE_SUFFIXES
from device.errors import CameraError, PhotoError
from device.types import Frame

#: A longer gap between two pictures of a file is a damaged time stamp, or nothing that anybody wants to wait for.
_MAX_GAP_S = 10.0
#: Where a file does not tell how many frames a second it has.
_USUAL_FPS = 25.0


class VideoFile:
    """A video file (mkv, mp4, avi, GIF ...), with the times that the file gives its frames."""

    def __init__(self, path: Path, pace: Pace) -> None:
        self._path = path
        self._pace = pace
        self._reader: OpenCvReader | None = None
        self._number = 0
        self._period_s = 1 / _USUAL_FPS
        self._offset_s: float | None = None

    @property
    def description(self) -> str:
        """The file's name."""
        return f"recording {self._path}"

    @property
    def live(self) -> bool:
        """Whether it is played at its own pace."""
        return self._pace.live

    def open(self) -> None:
        """Open the file at its beginning. Raises CameraError."""
        self.close()
        self._reader = open_video_file(self._path)
        fps = self._reader.get(cv2.CAP_PROP_FPS)
        self._period_s = 1 / fps if math.isfinite(fps) and 1 <= fps <= 1000 else 1 / _USUAL_FPS
        self._offset_s = None
        self._pace.start()

    def read(self) -> Frame | None:
        """The next frame that is not too late; None at the end. Raises CameraError for a file without a picture."""
        reader = self._reader
        if reader is None:
            raise CameraError(f"{self.description} is not open", hint="open it first")
        while True:
            if not reader.grab():
                if self._offset_s is None:
                    raise CameraError(f"{self.description} holds no picture", hint="check that it plays elsewhere")
                return None
            offset_s = self._next_offset_s(reader.position_s())
            number = self._number
            self._number += 1
            if not self._pace.overdue(offset_s + self._period_s):
                break
        captured_s = self._pace.reach(offset_s)
        return Frame(image=reader.retrieve(), captured_s=captured_s, number=number)

    def close(self) -> None:
        """Release the file; harmless when closed already."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _next_offset_s(self, told_s: float) -> float:
        """The file's own time of the frame; one period after the last where that makes no sense."""
        last_s = self._offset_s
        if last_s is None:
            self._offset_s = 0.0
        elif math.isfinite(told_s) and last_s < told_s <= last_s + _MAX_GAP_S:
            self._offset_s = told_s
        else:
            self._offset_s = last_s + self._period_s
        return self._offset_s


class PictureFolder:
    """The JPEG, PNG, WebP and BMP pictures of a folder in the order of their names, ``fps`` of them a second."""

    def __init__(self, path: Path, pace: Pace, *, fps: float) -> None:
        self._path = path
        self._pace = pace
        self._period_s = 1 / fps
        self._pictures: tuple[Path, ...] | None = None
        self._next = 0
        self._number = 0

    @property
    def description(self) -> str:
        """The folder's name."""
        return f"pictures in {self._path}"

    @property
    def live(self) -> bool:
        """Whether it is played at its own pace."""
        return self._pace.live

    def open(self) -> None:
        """List the pictures. Raises CameraError when there are none."""
        self._pictures = list_pictures(self._path)
        self._next = 0
        self._pace.start()

    def read(self) -> Frame | None:
        """The next picture that is not too late; None after the last. Raises CameraError for one that is none."""
        pictures = self._pictures
        if pictures is None:
            raise CameraError(f"{self.description} are not open", hint="open them first")
        while self._next < len(pictures):
            at, number = self._next, self._number
            self._next += 1
            self._number += 1
            if self._pace.overdue((at + 1) * self._period_s):
                continue
            captured_s = self._pace.reach(at * self._period_s)
            try:
                return Frame(image=read_photo(pictures[at]), captured_s=captured_s, number=number)
            except PhotoError as exc:
                raise CameraError(exc.message, hint=exc.hint) from exc
        return None

    def close(self) -> None:
        """Forget the list; harmless when closed already."""
        self._pictures = None


def list_pictures(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder in the order of their names. Raises CameraError when there are none."""
    try:
        found = sorted(entry for entry in folder.iterdir() if _is_picture(entry))
    except OSError as exc:
        raise CameraError(f"cannot read the folder {folder}: {exc.strerror}", hint="check the path") from exc
    if not found:
        raise CameraError(
            f"the folder {folder} holds no picture",
            hint=f"put files in it: {', '.join(sorted(PICTURE_SUFFIXES))}",
        )
    return tuple(found)


def _is_picture(entry: Path) -> bool:
    return entry.suffix.lower() in PICTURE_SUFFIXES and not entry.name.startswith(".") and entry.is_file()
