"""The pictures in a folder that somebody named."""

from __future__ import annotations

from pathlib import Path

from device.camera.sources import PICTURE_SUFFIXES
from device.errors import NotFoundError


def pictures_in(folder: Path, *, called: str = "pictures") -> list[Path]:
    """The picture files directly in a folder, by name; never none.

    Raises:
        NotFoundError: The folder cannot be read, or holds no such file; ``called`` is what they are to the user.
    """
    try:
        found = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as exc:
        raise NotFoundError(f"cannot look into {folder}: {exc.strerror}", hint="check who may read it") from exc
    if not found:
        raise NotFoundError(f"{folder} holds no {called}", hint=f"known endings: {', '.join(sorted(PICTURE_SUFFIXES))}")
    return found
