"""What was presented to the camera: clips, with the truth about each, as a manifest names them.

A manifest is a CSV file with the columns ``file, subject, clip, label, species``: a video file is a clip by itself;
pictures with the same subject and clip are frames of one clip. ``label`` is ``bona_fide`` or ``attack``; ``species`` is
the attack type, empty where it is bona fide.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from device.camera.pace import FastPace
from device.camera.photo import read_photo
from device.camera.recorded import VideoFile
from device.camera.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from device.errors import CameraError, NotFoundError, PhotoError, UsageError
from device.sim.clock import ManualClock
from device.types import Image
from export_tools.evaluate.files import inside, read_list, refuse, told

SPECIES: Final = (
    "print",
    "print_bent",
    "print_cut",
    "replay_phone",
    "replay_tablet",
    "replay_monitor",
    "mask_paper",
    "mask_rigid",
    "mask_flexible",
)
"""Attack types that are known unless the caller declares others."""
_COLUMNS: Final = ("file", "subject", "clip", "label", "species")
#: Of a video so many frames are scored, evenly spread: the median over 30 told all recorded live and replayed clips
#: apart.
MAX_FRAMES: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """One clip; ``species`` is None where it is bona fide."""

    subject: str
    clip: str
    species: str | None
    files: tuple[Path, ...]


def read_manifest(
    path: Path, *, folder: Path | None = None, species: Sequence[str] = SPECIES
) -> tuple[Presentation, ...]:
    """The clips of a manifest, all checked before anything is scored.

    Args:
        path: The CSV file.
        folder: Where its files are; beside the manifest without it.
        species: The attack types that are declared.

    Raises:
        NotFoundError: The manifest or files are not there.
        UsageError: Faults of the manifest, with their line numbers: columns, labels, attack types, rows given twice.
    """
    rows = _rows(read_list(path), name=str(path))
    collector = _Collector(folder=path.parent if folder is None else folder, species=species)
    for line, row in rows:
        collector.take(line, row)
    if collector.problems:
        raise refuse(
            str(path), collector.problems, hint=f"columns are {', '.join(_COLUMNS)}; types are {', '.join(species)}"
        )
    if collector.missing:
        raise NotFoundError(
            f"{path} names files that do not exist: {told(collector.missing, 'file')}",
            hint="check --images, or the paths",
        )
    return tuple(
        Presentation(subject=subject, clip=clip, species=started.species, files=tuple(started.files))
        for (subject, clip), started in collector.clips.items()
    )


@dataclass(slots=True)
class _Started:
    """A clip whose rows are being collected; ``line`` is its first."""

    line: int
    species: str | None
    files: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class _Collector:
    """Joins rows into clips and remembers what is wrong with them."""

    folder: Path
    species: Sequence[str]
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    clips: dict[tuple[str, str], _Started] = field(default_factory=dict)
    seen: dict[Path, int] = field(default_factory=dict)

    def take(self, line: int, row: dict[str, str]) -> None:
        """One row."""
        faults = _faults(row, self.species)
        file = inside(self.folder, row["file"])
        if file is None:
            faults.append(f"{row['file']!r} is not a file below {self.folder}")
        else:
            faults.extend(self._file_faults(line, file))
            faults.extend(self._join(line, row, file))
        self.problems.extend(f"line {line}: {fault}" for fault in faults)

    def _file_faults(self, line: int, file: Path) -> list[str]:
        if file.suffix.lower() not in PICTURE_SUFFIXES | VIDEO_SUFFIXES:
            return [f"{file.name!r} is neither a picture nor a video"]
        first = self.seen.setdefault(file, line)
        if first != line:
            return [f"{file.name!r} was given on line {first} already"]
        if not file.is_file():
            self.missing.append(f"line {line}: {file}")
        return []

    def _join(self, line: int, row: dict[str, str], file: Path) -> list[str]:
        species = row["species"] or None
        started = self.clips.setdefault((row["subject"], row["clip"]), _Started(line, species))
        name = f"clip {row['clip']!r} of {row['subject']!r}"
        started.files.append(file)
        if started.species != species:
            return [f"{name} is of another label or type on line {started.line}"]
        if len(started.files) > 1 and any(each.suffix.lower() in VIDEO_SUFFIXES for each in started.files):
            return [f"{name} is a video and has other files, see line {started.line}"]
        return []


def frames_of(presentation: Presentation) -> Iterator[Image]:
    """The pictures of a clip, uint8 BGR; of a video some, evenly spread. Raises PhotoError."""
    first = presentation.files[0]
    if first.suffix.lower() not in VIDEO_SUFFIXES:
        for file in presentation.files:
            yield read_photo(file)
        return
    total = sum(1 for _ in _video(first))
    wanted = set(np.linspace(0, total - 1, min(total, MAX_FRAMES)).astype(np.int64).tolist())
    for number, image in enumerate(_video(first)):
        if number in wanted:
            yield image


def _video(file: Path) -> Iterator[Image]:
    source = VideoFile(file, FastPace(ManualClock()))
    try:
        source.open()
        while (frame := source.read()) is not None:
            yield frame.image
    except CameraError as exc:
        raise PhotoError(exc.message, reason="unreadable", hint=exc.hint) from exc
    finally:
        source.close()


def _rows(text: str, *, name: str) -> list[tuple[int, dict[str, str]]]:
    """Every row with its line number. Raises UsageError for what is no such table."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    hint = f"a CSV file with the columns {', '.join(_COLUMNS)}"
    found: list[tuple[int, dict[str, str]]] = []
    problems = []
    try:
        header = [field.strip() for field in next(reader, [])]
        if sorted(header) != sorted(_COLUMNS):
            raise UsageError(f"{name}: the columns are {', '.join(header) or 'missing'}", hint=hint)
        for row in reader:
            if not any(field.strip() for field in row):
                continue
            if len(row) != len(header):
                problems.append(f"line {reader.line_num}: {len(row)} fields instead of {len(header)}")
                continue
            found.append((reader.line_num, {key: field.strip() for key, field in zip(header, row, strict=True)}))
    except csv.Error as exc:
        raise UsageError(f"{name}: line {reader.line_num}: {exc}", hint=hint) from exc
    if problems:
        raise refuse(name, problems, hint=hint)
    if not found:
        raise UsageError(f"{name} names no file", hint=hint)
    return found


def _faults(row: dict[str, str], species: Sequence[str]) -> list[str]:
    faults = [f"{column} is empty" for column in ("file", "subject", "clip") if not row[column]]
    if row["label"] not in ("bona_fide", "attack"):
        faults.append(f"label {row['label']!r} is neither bona_fide nor attack")
    elif row["label"] == "bona_fide" and row["species"]:
        faults.append(f"bona fide, and of attack type {row['species']!r}")
    elif row["label"] == "attack" and row["species"] not in species:
        faults.append(f"attack type {row['species']!r} is not declared")
    return faults
