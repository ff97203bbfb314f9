"""Pictures and videos written for people who look at results."""

from __future__ import annotations

from pathlib import Path

import cv2

from device.errors import UsageError
from device.types import Image


def write_picture(path: Path, image: Image) -> None:
    """Write a BGR picture as JPEG or PNG, by the file's ending. Raises UsageError."""
    suffix = path.suffix.lower()
    if suffix not in (".jpg", ".jpeg", ".png"):
        raise UsageError(f"{path} is neither .jpg nor .png", hint="choose another ending")
    done, encoded = cv2.imencode(suffix, image)
    if not done:
        raise UsageError(f"the picture cannot be written as {suffix}", hint="try .png")
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}", hint="choose another place") from exc


class VideoWriter:
    """Writes frames of one size to an .mp4 (MPEG-4) or .avi (Motion JPEG) file.

    Args:
        path: Where; replaced if it exists.
        fps: Frames per second.

    Raises:
        UsageError: Another ending, or the file cannot be written.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        codecs = {".mp4": "mp4v", ".avi": "MJPG"}
        if path.suffix.lower() not in codecs:
            raise UsageError(f"{path} is neither .mp4 nor .avi", hint="choose another ending")
        self._path = path
        self._fourcc = cv2.VideoWriter.fourcc(*codecs[path.suffix.lower()])
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None

    def write(self, image: Image) -> None:
        """Append one BGR frame. Raises UsageError."""
        if self._writer is None:
            height, width = image.shape[:2]
            self._writer = cv2.VideoWriter(str(self._path), self._fourcc, self._fps, (width, height))
            if not self._writer.isOpened():
                raise UsageError(f"cannot write {self._path}", hint="choose another place")
        self._writer.write(image)

    def close(self) -> None:
        """Finish the file; harmless when nothing was written."""
        if self._writer is not None:
            self._writer.release()
