"""Golden vectors: drawings, and what a pack's FP32 models answer to them on the machine that built it.

Every artefact of a model, at any precision and on any backend, is held against the same answers. The pictures are
drawn, never photographs of people.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError, PackError
from device.interfaces import InferenceSession
from device.vision.manifest import Preprocessing, Role, TensorSpec

Picture = NDArray[np.uint8]

_DRAWINGS = ((0.0, 0.0), (0.06, 0.3), (-0.05, -0.2))
"""Shift (share of the side) and tilt (radians) of each drawn face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatModel:
    """An FP32 model and how it is fed."""

    name: str
    data: bytes
    preprocessing: Preprocessing
    input: TensorSpec


SessionMaker = Callable[[FloatModel], InferenceSession]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenVectors:
    """For one role: inputs (N, C, H, W) float32 and the FP32 answers, one array (N, ...) per output."""

    inputs: NDArray[np.float32]
    outputs: tuple[NDArray[np.float32], ...]


def drawing(height: int, width: int, *, shift: float, tilt: float) -> Picture:
    """A cartoon face on a gradient, (height, width, 3): smooth areas and edges, as the networks expect them."""
    side = min(height, width)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    rows, columns = (rows - height / 2) / side, (columns - width / 2) / side
    x = columns * np.cos(tilt) + rows * np.sin(tilt) - shift
    y = rows * np.cos(tilt) - columns * np.sin(tilt)
    picture = np.stack([90 + 80 * columns, 110 + 60 * rows, 140 - 50 * columns], axis=-1)

    def paint(cx: float, cy: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        picture[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = colour

    paint(0, -0.05, 0.30, 0.38, (70, 45, 30))
    paint(0, 0, 0.26, 0.34, (224, 180, 150))
    for side_of_face in (-1, 1):
        paint(0.11 * side_of_face, -0.07, 0.055, 0.028, (245, 245, 245))
        paint(0.11 * side_of_face, -0.07, 0.024, 0.026, (60, 40, 30))
        paint(0.11 * side_of_face, -0.14, 0.065, 0.012, (70, 45, 30))
    paint(0, 0.05, 0.035, 0.06, (205, 155, 130))
    paint(0, 0.18, 0.09, 0.028, (170, 70, 70))
    clipped: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    return clipped


def record(models: Mapping[Role, FloatModel], *, make_session: SessionMaker) -> bytes:
    """Draw the pictures, run every model, and pack both into one NPZ file.

    Raises:
        PackError: A model cannot be loaded or run, or answers what is no number (``unconvertible``).
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for role, model in models.items():
        height, width = model.input.shape[2:]
        if height is None or width is None:
            raise PackError(
                f"the {role} model has an input of free size", reason="card", hint="fix it in its description"
            )
        batch = model.input.shape[0]
        pictures = np.stack([drawing(height, width, shift=shift, tilt=tilt) for shift, tilt in _DRAWINGS])
        planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
        inputs = prepared(planes, model.preprocessing)
        try:
            outputs = run(make_session(model), inputs, batch=batch)
        except ModelError as exc:
            raise PackError(
                f"the {role} {model.name} is of no use as it was published: {exc.message}",
                reason="unconvertible",
                hint="compare its description with its publisher's code (mean, divisor, shape), or export it again",
            ) from exc
        arrays[f"{role}.pictures"] = planes
        arrays |= {f"{role}.output{number}": output for number, output in enumerate(outputs)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes a keyword of its own for a name
    return buffer.getvalue()


def load(data: bytes, role: Role, preprocessing: Preprocessing) -> GoldenVectors:
    """The vectors of one role out of a pack's verified golden file. Raises PackError (``golden``)."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            pictures = arrays[f"{role}.pictures"]
            names = sorted(name for name in arrays.files if name.startswith(f"{role}.output"))
            outputs = tuple(arrays[f"{role}.output{number}"] for number in range(len(names)))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as exc:
        raise PackError(
            f"the golden vectors of the {role} model cannot be read ({exc})",
            reason="golden",
            hint="build the pack again: doorward-export build --force",
        ) from exc
    return GoldenVectors(inputs=prepared(pictures, preprocessing), outputs=outputs)


def prepared(planes: Picture, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Pictures (N, 3, H, W) as a model takes them: (value - mean) / divisor."""
    values: NDArray[np.float32] = planes.astype(np.float32)
    values -= np.float32(preprocessing.mean)
    values /= np.float32(preprocessing.divisor)
    return values


def run(
    session: InferenceSession, inputs: NDArray[np.float32], *, batch: int | None
) -> tuple[NDArray[np.float32], ...]:
    """Answers to all inputs: in one run where the batch is free, else ``batch`` at a time. Raises ModelError."""
    step = len(inputs) if batch is None else batch
    runs = []
    for start in range(0, len(inputs), step):
        part = inputs[start : start + step]
        short = step - len(part)
        if short:  # a fixed batch is filled up, and what answers the filling is dropped
            part = np.concatenate([part, np.repeat(part[-1:], short, axis=0)])
        answers = session.run(np.ascontiguousarray(part))
        runs.append([answer[: step - short].copy() for answer in answers])
    return tuple(np.concatenate(parts) for parts in zip(*runs, strict=True))
