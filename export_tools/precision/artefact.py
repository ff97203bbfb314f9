"""From the FP32 file of a model to the one that runs, at the precision that was chosen for it."""

from __future__ import annotations

from device.errors import PackError
from device.vision.manifest import Precision
from export_tools.cards import RANGES_DIRECTORY, ModelCard
from export_tools.precision.fp16 import to_fp16
from export_tools.precision.int8 import quantize
from export_tools.precision.ranges import Ranges, load_ranges


def make_artefact(card: ModelCard, reference: bytes, precision: Precision, *, ranges: Ranges | None = None) -> bytes:
    """The artefact of one precision.

    Args:
        card: The model's description.
        reference: Its FP32 ONNX file.
        precision: Which artefact.
        ranges: Activation ranges for INT8; the recorded ones if None.

    Raises:
        PackError: The precision is excluded for this model, or its ranges do not belong to it.
    """
    if exclusion := card.exclusion(precision):
        raise PackError(exclusion, reason="precision", hint=f"choose one of {', '.join(card.precisions)}")
    return _make(card, reference, precision, ranges=ranges)


def make_excluded_for_measuring(
    card: ModelCard, reference: bytes, precision: Precision, *, ranges: Ranges | None = None
) -> bytes:
    """The artefact of a precision that no pack may hold, so that a report can say what it would do.

    Args:
        card: The model's description.
        reference: Its FP32 ONNX file.
        precision: One that the description excludes.
        ranges: Activation ranges for INT8; the recorded ones if None.

    Raises:
        PackError: The precision is not excluded (``precision``): such artefacts are made by :func:`make_artefact`; or
            it cannot be made.
    """
    if card.exclusion(precision) is None:
        raise PackError(
            f"{card.name} as {precision} is not excluded", reason="precision", hint="make it as a build makes it"
        )
    return _make(card, reference, precision, ranges=ranges)


def _make(card: ModelCard, reference: bytes, precision: Precision, *, ranges: Ranges | None) -> bytes:
    if precision == "fp32":
        return reference
    if precision == "fp16":
        return to_fp16(reference)
    found = ranges or recorded_ranges(card)
    return quantize(reference, ranges=found, activation="u8" if precision == "int8-u8" else "s8")


def recorded_ranges(card: ModelCard) -> Ranges:
    """The recorded activation ranges of a model. Raises PackError (``calibration``)."""
    if card.ranges is None:
        raise PackError(
            f"{card.name} has no recorded activation ranges",
            reason="calibration",
            hint="record them: doorward-export quantize",
        )
    return load_ranges(RANGES_DIRECTORY / card.ranges)
