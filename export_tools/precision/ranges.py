"""Recorded ranges: what a model's inner tensors reach on the calibration set, as data of the project.

A device builds its INT8 model from these numbers, without the pictures they were recorded from, and gets the same
bytes as every other device.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError, model_validator

from device.errors import PackError
from device.vision.manifest import ModelId, Sha256, Strict, Text
from export_tools.precision.graph import fingerprint
from export_tools.whole import replace_file

_MAX_BYTES: Final = 4 << 20
_RECORD: Final = "record the ranges again: doorward-export quantize --record"

GraphTensor = Annotated[str, Field(min_length=1, max_length=300)]


class Span(Strict):
    """The least and the greatest value that a tensor took; finite, low <= high."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if not self.low <= self.high:
            raise ValueError("low must not be above high")
        return self


class CalibrationSet(Strict):
    """What the ranges were recorded from, without a picture in it."""

    description: Text
    sources: Annotated[int, Field(ge=1)]
    """Photographs and clips."""
    inputs: Annotated[int, Field(ge=1)]
    """Tensors that the model was run with, counted by batch row."""
    sha256: Sha256
    """Over the shapes and values of these tensors, in order."""


class Ranges(Strict):
    """The ranges of one model."""

    format: Literal[1]
    model: ModelId
    fingerprint: Sha256
    """Of the FP32 model, see :func:`export_tools.precision.graph.fingerprint`."""
    method: Literal["minmax"]
    calibration: CalibrationSet
    recorded_with: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,31}$")], Text]
    tensors: Annotated[dict[GraphTensor, Span], Field(min_length=1)]

    def check_model(self, model: bytes) -> None:
        """See that the ranges belong to this FP32 model. Raises PackError (``calibration``)."""
        if fingerprint(model) != self.fingerprint:
            raise PackError(
                f"the recorded ranges {self.model} belong to another model", reason="calibration", hint=_RECORD
            )

    def of(self, tensor: str) -> Span:
        """The range of one tensor. Raises PackError (``calibration``) where none was recorded."""
        span = self.tensors.get(tensor)
        if span is None:
            raise PackError(f"{self.model}: no range of {tensor!r} was recorded", reason="calibration", hint=_RECORD)
        if not (math.isfinite(span.low) and math.isfinite(span.high)):
            raise PackError(f"{self.model}: the range of {tensor!r} is not finite", reason="calibration", hint=_RECORD)
        return span


def load_ranges(path: Path) -> Ranges:
    """Read recorded ranges. Raises PackError (``calibration``)."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise PackError(
            f"cannot read the recorded ranges {path}: {exc.strerror}", reason="calibration", hint=_RECORD
        ) from exc
    if len(data) > _MAX_BYTES:
        raise PackError(f"{path} is larger than {_MAX_BYTES} bytes", reason="calibration", hint=_RECORD)
    try:
        return Ranges.model_validate_json(data)
    except ValidationError as exc:
        first = exc.errors()[0]
        if first["type"] == "json_invalid":
            raise PackError(f"{path} is no JSON", reason="calibration", hint=_RECORD) from exc
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise PackError(f"{path}: {place}: {first['msg']}", reason="calibration", hint=_RECORD) from exc


def write_ranges(path: Path, ranges: Ranges) -> None:
    """Write ranges, whole or not at all. Raises PackError (``unwritable``)."""
    data = json.dumps(ranges.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data.encode(), mode=0o644)
    except OSError as exc:
        raise PackError(
            f"cannot write {path}: {exc.strerror}", reason="unwritable", hint="name a folder that can be written"
        ) from exc
