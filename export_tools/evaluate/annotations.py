"""Where the faces in a picture are: values, and the CSV file that names them."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from device.errors import NotFoundError, UsageError
from device.types import Box, Points
from export_tools.evaluate.files import inside, read_list, refuse, told

_COLUMNS: Final = ("file", "x", "y", "w", "h")
EYE_COLUMNS: Final = ("right_eye_x", "right_eye_y", "left_eye_x", "left_eye_y")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceBox:
    """A face, annotated or found.

    Attributes:
        box: Pixels.
        eyes: (2, 2) float32, the person's right and left eye in pixels; None where not known.
    """

    box: Box
    eyes: Points | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnnotatedPicture:
    """A picture's file and the faces in it."""

    file: Path
    faces: tuple[FaceBox, ...]


def read_annotations(path: Path, *, images: Path) -> tuple[AnnotatedPicture, ...]:
    """A CSV file with the columns ``file, x, y, w, h`` and, wanted or not, the eyes; one row per face.

    A picture without a face has a row with empty numbers.

    Raises:
        NotFoundError: The list or pictures are not there; all that is missing is counted.
        UsageError: Faults of the list, with their line numbers.
    """
    hint = f"columns are {', '.join(_COLUMNS)}, and {', '.join(EYE_COLUMNS)} where the eyes are known"
    reader = csv.reader(io.StringIO(read_list(path), newline=""), strict=True)
    problems: list[str] = []
    found: dict[Path, list[FaceBox]] = {}
    try:
        header = tuple(field.strip() for field in next(reader, []))
        if set(header) not in (set(_COLUMNS), {*_COLUMNS, *EYE_COLUMNS}) or len(set(header)) != len(header):
            raise UsageError(f"{path}: the columns are {', '.join(header) or 'missing'}", hint=hint)
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            row = dict(zip(header, (field.strip() for field in fields), strict=False))
            file = inside(images, row.get("file", ""))
            face = _face(row) if len(fields) == len(header) else f"{len(fields)} fields instead of {len(header)}"
            if file is None:
                problems.append(f"line {reader.line_num}: no file below {images}")
            elif isinstance(face, str):
                problems.append(f"line {reader.line_num}: {face}")
            else:
                found.setdefault(file, []).extend([face] if face is not None else [])
    except csv.Error as exc:
        raise UsageError(f"{path}: line {reader.line_num}: {exc}", hint=hint) from exc
    if problems:
        raise refuse(str(path), problems, hint=hint)
    if not found:
        raise UsageError(f"{path} names no picture", hint=hint)
    if missing := [str(file) for file in found if not file.is_file()]:
        raise NotFoundError(f"{path} names files that do not exist: {told(missing, 'file')}", hint="check --images")
    return tuple(AnnotatedPicture(file=file, faces=tuple(faces)) for file, faces in found.items())


def _face(row: dict[str, str]) -> FaceBox | str | None:
    """The face of a row, None for a picture without one, or what is wrong."""
    texts = [row[name] for name in _COLUMNS[1:]]
    eye_texts = [row[name] for name in EYE_COLUMNS if name in row]
    if not any((*texts, *eye_texts)):
        return None
    try:
        x, y, width, height = map(float, texts)
        eyes = np.array([float(text) for text in eye_texts], np.float32) if any(eye_texts) else None
    except ValueError:
        return "not all values are numbers"
    if not (all(map(math.isfinite, (x, y, width, height))) and width > 0 and height > 0):
        return "a box needs a place, and a width and height above 0"
    if eyes is not None and not np.isfinite(eyes).all():
        return "an eye is nowhere"
    return FaceBox(box=Box(x, y, width, height), eyes=None if eyes is None else eyes.reshape(2, 2))
