"""Pictures and videos written for people who look at results: new files that only their owner can read."""

from __future__ import annotations

import os
from pathlib import Path

import cv2

from device.errors import UsageError
from device.private_file import make_private_file
from device.types import Image

#: Between two frames, seconds: recordings with damaged times claim less.
_SHORTEST_S = 1e-3


def write_picture(path: Path, image: Image) -> None:
    """Write a BGR picture into a new file as JPEG or PNG, by the file's ending. Raises UsageError."""
    suffix = path.suffix.lower()
    if suffix not in (".jpg", ".jpeg", ".png"):
        raise UsageError(f"{path} is neither .jpg nor .png", hint="choose another ending")
    done, encoded = cv2.imencode(suffix, image)
    if not done:
        raise UsageError(f"the picture cannot be written as {suffix}", hint="try .png")
    try:
        with os.fdopen(make_private_file(path), "wb") as file:
            file.write(encoded.tobytes())
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}", hint="choose another place") from exc


class VideoWriter:
    """Writes frames of one size to an .mp4 (MPEG-4) or .avi (Motion JPEG) file, at the pace of the first two.

    Args:
        path: Where; must not exist.

    Raises:
        UsageError: Another ending.
    """

    def __init__(self, path: Path) -> None:
        codecs = {".mp4": "mp4v", ".avi": "MJPG"}
        if path.suffix.lower() not in codecs:
            raise UsageError(f"{path} is neither .mp4 nor .avi", hint="choose another ending")
        self._path = path
        self._fourcc = cv2.VideoWriter.fourcc(*codecs[path.suffix.lower()])
        self._first: tuple[Image, float] | None = None
        self._writer: cv2.VideoWriter | None = None

    def write(self, image: Image, *, at_s: float) -> None:
        """Append one BGR frame, seen at ``at_s``. Raises UsageError when the file cannot be written."""
        if self._writer is not None:
            self._writer.write(image)
        elif self._first is None:
            self._first = image, at_s
        else:
            first, began_s = self._first
            self._begin(first, fps=1 / max(at_s - began_s, _SHORTEST_S)).write(image)

    def close(self) -> None:
        """Finish the file; harmless when nothing was written. Raises UsageError like :meth:`write`."""
        if self._writer is None and self._first is not None:
            self._begin(self._first[0], fps=1.0)
        if self._writer is not None:
            self._writer.release()

    def _begin(self, first: Image, *, fps: float) -> cv2.VideoWriter:
        height, width = first.shape[:2]
        self._first = None
        os.close(make_private_file(self._path))  # OpenCV itself would make it for everybody to read
        self._writer = cv2.VideoWriter(str(self._path), self._fourcc, fps, (width, height))
        if not self._writer.isOpened():
            self._path.unlink()
            raise UsageError(f"cannot write {self._path}", hint="choose another place")
        self._writer.write(first)
        return self._writer
