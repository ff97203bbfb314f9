"""Detection: which faces are found, over their size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from export_tools.evaluate.results.common import Count, Rate, Result, Share


class DetectionBin(Result):
    """Faces of one size."""

    from_px: Annotated[float, Field(ge=0)]
    to_px: Annotated[float, Field(gt=0)] | None
    """Null: without limit."""
    recall: Rate
    eye_error: Annotated[float, Field(ge=0)] | None
    """Median distance of the found eyes from the true ones, in distances between the eyes; null where not known."""
    eye_error_p90: Annotated[float, Field(ge=0)] | None


class DetectionResult(Result):
    """How large a face must be to be found: `evaluate detection`."""

    kind: Literal["detection"] = "detection"
    detector: str
    measured: Literal["annotations", "sweep"]
    size: Literal["face_width", "eye_distance"]
    """What ``from_px`` and ``to_px`` measure."""
    min_overlap: Share
    """Intersection over union from which a detection is the annotated face."""
    pictures: Count
    faces: Count
    recall: Rate
    false_positives: Count
    false_positives_per_picture: Annotated[float, Field(ge=0)] | None
    bins: tuple[DetectionBin, ...]
    elapsed_s: Annotated[float, Field(ge=0)]
