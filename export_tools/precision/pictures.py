"""Pictures to calibrate and to compare with: photographs and clips, split by source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device.camera.opencv import open_video_file
from device.camera.photo import decode_photo, read_photo
from device.camera.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from device.errors import CameraError, PackError, PhotoError
from device.types import Image

CLIP_STEP: Final = 6
"""Every so-manieth frame of a clip: neighbours show the same face in the same place."""
CLIP_PICTURES: Final = 32
"""At most so many frames of one clip, so that a long one does not outweigh the others."""
_HELD_OUT_EVERY: Final = 3
_HELD_OUT_REMAINDER: Final = 2
"""Of the first 32 bits of a file's sha256: leaves each person of the demo and of the recorded clips on both sides."""
_HINT: Final = "name a folder with photographs (JPEG, PNG, WebP, BMP) or clips (MKV, MP4, GIF ...) of faces"


@dataclass(frozen=True, slots=True)
class PictureSource:
    """One photograph or clip.

    Attributes:
        name: File name, for messages.
        sha256: Of the file.
        path: Where it lies; None for a photograph held in memory.
        data: The photograph, where there is no path.
    """

    name: str
    sha256: str
    path: Path | None = None
    data: bytes = b""

    def pictures(self) -> Iterator[Image]:
        """Its pictures, uint8 BGR (height, width, 3). Raises PackError (``calibration``) for what cannot be read."""
        try:
            if self.path is None:
                yield decode_photo(self.data, name=self.name)
            elif self.path.suffix.lower() in PICTURE_SUFFIXES:
                yield read_photo(self.path)
            else:
                yield from _frames(self.path)
        except (PhotoError, CameraError) as exc:
            raise PackError(exc.message, reason="calibration", hint=exc.hint or _HINT) from exc


@dataclass(frozen=True, slots=True)
class Split:
    """Sources to calibrate with and sources to measure with; none is in both."""

    calibration: tuple[PictureSource, ...]
    held_out: tuple[PictureSource, ...]


def photo_sources(photos: Mapping[str, bytes]) -> tuple[PictureSource, ...]:
    """Photographs held in memory, by file name."""
    return tuple(
        PictureSource(name=name, sha256=hashlib.sha256(data).hexdigest(), data=data)
        for name, data in sorted(photos.items())
    )


def folder_sources(folder: Path) -> tuple[PictureSource, ...]:
    """The photographs and clips directly in a folder, by name; other files are passed over.

    Raises:
        PackError: The folder cannot be read or holds neither (``calibration``).
    """
    try:
        paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES
            and not path.name.startswith(".")
            and path.is_file()
        )
        found = tuple(PictureSource(name=path.name, sha256=_digest(path), path=path) for path in paths)
    except OSError as exc:
        raise PackError(f"cannot read the folder {folder}: {exc.strerror}", reason="calibration", hint=_HINT) from exc
    if not found:
        raise PackError(f"the folder {folder} holds no photograph and no clip", reason="calibration", hint=_HINT)
    return found


def split_sources(sources: Sequence[PictureSource]) -> Split:
    """Hold out about a third, by content: a file is on the same side in every set, whatever it is called.

    What INT8 ranges were recorded from is therefore never measured with, also in another set.

    Raises:
        PackError: One side is empty (``calibration``).
    """
    different = [source for _, source in sorted({source.sha256: source for source in sources}.items())]
    held_out = tuple(source for source in different if _is_held_out(source))
    kept = tuple(source for source in different if not _is_held_out(source))
    if not held_out or not kept:
        raise PackError(
            f"{len(different)} different file(s), {len(kept)} to calibrate with and {len(held_out)} to measure with:"
            " both are needed",
            reason="calibration",
            hint="add files: which side one is on follows from its content, about every third is held out",
        )
    return Split(calibration=kept, held_out=held_out)


def _is_held_out(source: PictureSource) -> bool:
    return int(source.sha256[:8], 16) % _HELD_OUT_EVERY == _HELD_OUT_REMAINDER


def _frames(path: Path) -> Iterator[Image]:
    reader = open_video_file(path)
    try:
        number = taken = 0
        while taken < CLIP_PICTURES and reader.grab():
            if number % CLIP_STEP == 0:
                yield reader.retrieve()
                taken += 1
            number += 1
        if not taken:
            raise CameraError(f"{path} holds no picture", hint="check that it plays elsewhere")
    finally:
        reader.close()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
