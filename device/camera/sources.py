"""What ``camera.source`` means: told from the words alone and what lies on the disk, before anything is opened."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from device.errors import CameraError
from device.types import Word

#: Containers that are tried; a playlist could name other files and addresses, so it is not among them.
VIDEO_SUFFIXES = frozenset({".avi", ".gif", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".webm"})
#: Formats of :mod:`device.camera.photo`.
PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})

_ALLOWED = "use /dev/videoN, rtsp://HOST/PATH, a video file, a folder of pictures, or scene (simulated)"


class SourceKind(Word):
    """Which adapter serves a source, and whether losing it is a fault that reopening can mend."""

    SCENE = "scene"
    DEVICE = "device"
    STREAM = "stream"
    VIDEO = "video"
    FOLDER = "folder"

    @property
    def camera(self) -> bool:
        """Whether it is a camera, which is opened again when lost; a recording or a scene is played once."""
        return self in (SourceKind.DEVICE, SourceKind.STREAM)


def classify_source(source: str) -> SourceKind:
    """Tell what ``camera.source`` names.

    Raises:
        CameraError: Nothing of what is allowed, or a file that does not exist.
    """
    if source == "scene":
        return SourceKind.SCENE
    if re.fullmatch(r"/dev/video\d{1,3}", source):
        return SourceKind.DEVICE
    if "://" in source:
        return _classify_address(source)
    path = Path(source)
    try:
        if path.is_dir():
            return SourceKind.FOLDER
        if path.is_file():
            return _classify_file(path)
    except ValueError as exc:  # a NUL byte
        raise CameraError(f"{source!r} is not a path", hint=_ALLOWED) from exc
    hint = f"did you mean /dev/video{source}?" if source.isdecimal() else _ALLOWED
    raise CameraError(f"the camera source {source!r} does not exist", hint=hint)


def public_name(source: str) -> str:
    """The source as it may be logged: of an address only the host, because passwords stand in paths and queries too."""
    if "://" not in source:
        return source
    scheme = source.partition("://")[0]
    try:
        host = urlsplit(source).hostname or ""
    except ValueError:
        host = ""
    return f"{scheme}://{host}/..."


def _classify_address(source: str) -> SourceKind:
    try:
        parts = urlsplit(source)
        usable = parts.scheme in ("rtsp", "rtsps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise CameraError(
            f"the camera address {public_name(source)!r} is not one of rtsp:// or rtsps://", hint=_ALLOWED
        )
    return SourceKind.STREAM


def _classify_file(path: Path) -> SourceKind:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return SourceKind.VIDEO
    if suffix in PICTURE_SUFFIXES:
        raise CameraError(f"{path} is a single picture", hint="name the folder that it lies in")
    raise CameraError(
        f"{path} is not a video file that is known ({', '.join(sorted(VIDEO_SUFFIXES))})", hint="convert it to .mp4"
    )
