"""How large a face must be to be found.

A detection is the annotated face when both boxes overlap by enough; each annotated face is found once at most, and
whatever is left over is a false positive. The finder is told by the caller: the detector alone, or the detector and the
mesh that confirms its answers, as the door uses them.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from device.camera.photo import read_photo
from device.errors import UsageError
from device.types import Image, Points
from device.vision.landmarks import roi_of_detection
from device.vision.tracker import overlap
from device.wiring.models import Vision
from export_tools.evaluate.annotations import EYE_COLUMNS, AnnotatedPicture, FaceBox
from export_tools.evaluate.intervals import rate_of
from export_tools.evaluate.results.detection import DetectionBin, DetectionResult
from export_tools.sources.download import Reporter, Silent

#: Annotators draw boxes differently: boxes of one face overlap by 0.5 to 0.8, those of two faces hardly at all.
MIN_OVERLAP: Final = 0.4
#: Limits of bins of face widths in pixels.
BINS_PX: Final = (0.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 200.0)
#: The same for distances between the eyes, which are some 0.42 face widths.
EYE_BINS_PX: Final = (0.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 80.0)
#: Corners of the person's right and left eye in the mesh.
_RIGHT_EYE: Final = (33, 133)
_LEFT_EYE: Final = (362, 263)

Size = Literal["face_width", "eye_distance"]


FindAll = Callable[[Image], Sequence[FaceBox]]


def detector_alone(vision: Vision) -> FindAll:
    """What the detector says."""

    def find(image: Image) -> Sequence[FaceBox]:
        return [FaceBox(box=found.box, eyes=found.keypoints[:2]) for found in vision.detector.detect(image)]

    return find


def detector_and_mesh(vision: Vision) -> FindAll:
    """What the detector says and the mesh confirms, framed as the detector frames it; eyes are the mesh's."""

    def find(image: Image) -> Sequence[FaceBox]:
        faces = []
        for found in vision.detector.detect(image):
            mesh = vision.mesh.locate(image, roi_of_detection(found))
            if math.isfinite(mesh.presence) and mesh.presence >= vision.config.vision.min_presence:
                corners = mesh.landmarks[:, :2]
                eyes = np.stack([corners[list(_RIGHT_EYE)].mean(axis=0), corners[list(_LEFT_EYE)].mean(axis=0)])
                faces.append(FaceBox(box=found.box, eyes=eyes.astype(np.float32)))
        return faces

    return find


def run_detection(
    pictures: Sequence[AnnotatedPicture],
    *,
    find: FindAll,
    name: str,
    size: Size = "face_width",
    min_overlap: float = MIN_OVERLAP,
    reporter: Reporter | None = None,
) -> DetectionResult:
    """Recall over face size on annotated pictures.

    Args:
        pictures: Annotated pictures.
        find: What finds faces.
        name: What to call it.
        size: What the bins measure; ``eye_distance`` needs annotated eyes.
        min_overlap: Intersection over union from which a detection is the annotated face.
        reporter: Who is told how far it is.

    Raises:
        UsageError: No faces, or eyes wanted and not annotated.
        PhotoError: A file is no picture.
        ModelError: A model failed.
    """
    if size == "eye_distance" and any(face.eyes is None for picture in pictures for face in picture.faces):
        raise UsageError("not every face has annotated eyes", hint=f"give the columns {', '.join(EYE_COLUMNS)}")
    images = ((read_photo(picture.file), picture.faces) for picture in pictures)
    bins = BINS_PX if size == "face_width" else EYE_BINS_PX
    return measure(
        images,
        total=len(pictures),
        find=find,
        name=name,
        measured="annotations",
        size=size,
        edges=bins,
        min_overlap=min_overlap,
        reporter=reporter or Silent(),
    )


def assign(faces: Sequence[FaceBox], found: Sequence[FaceBox], *, min_overlap: float) -> list[int | None]:
    """Which detection is each face: pairs by falling overlap, each used once; None for a face that was missed."""
    pairs = sorted(
        (
            (overlap(face.box, other.box), row, column)
            for row, face in enumerate(faces)
            for column, other in enumerate(found)
        ),
        key=lambda pair: -pair[0],
    )
    chosen: list[int | None] = [None] * len(faces)
    for shared, row, column in pairs:
        if shared >= min_overlap and chosen[row] is None and column not in chosen:
            chosen[row] = column
    return chosen


@dataclass(frozen=True, slots=True)
class _Seen:
    """One annotated face: its size, whether it was found, and how far off the eyes were, in eye distances."""

    size_px: float
    found: bool
    eye_error: float | None


def measure(
    images: Iterable[tuple[Image, tuple[FaceBox, ...]]],
    *,
    total: int,
    find: FindAll,
    name: str,
    measured: Literal["annotations", "sweep"],
    size: Size,
    edges: Sequence[float],
    min_overlap: float,
    reporter: Reporter,
) -> DetectionResult:
    """Find faces in every picture, compare with the truth, sort by size.

    Args:
        images: Pictures with their faces.
        total: How many there are.
        find: What finds faces.
        name: What to call it.
        measured: Where the truth is from.
        size: What ``edges`` measure.
        edges: Lower limits of the bins in pixels, rising.
        min_overlap: Intersection over union from which a detection is the annotated face.
        reporter: Who is told how far it is.

    Raises:
        UsageError: There is no face in any picture.
        ModelError: A model failed.
    """
    started = time.monotonic()
    seen: list[_Seen] = []
    false_positives = 0
    reporter.begin("pictures", total=total, done=0)
    try:
        for number, (image, faces) in enumerate(images, start=1):
            found = find(image)
            chosen = assign(faces, found, min_overlap=min_overlap)
            false_positives += len(found) - sum(place is not None for place in chosen)
            for face, place in zip(faces, chosen, strict=True):
                error = None if place is None else _eye_error(face, found[place])
                seen.append(_Seen(_size(face, size), place is not None, error))
            reporter.at(number)
    finally:
        reporter.end()
    if not seen:
        raise UsageError("no face is annotated", hint="recall needs faces to be found")
    limits = [*itertools.pairwise(edges), (edges[-1], None)]
    return DetectionResult(
        detector=name,
        measured=measured,
        size=size,
        min_overlap=min_overlap,
        pictures=total,
        faces=len(seen),
        recall=rate_of(np.array([each.found for each in seen], np.bool_)),
        false_positives=false_positives,
        false_positives_per_picture=false_positives / total if total else None,
        bins=tuple(_bin(seen, low, high) for low, high in limits),
        elapsed_s=time.monotonic() - started,
    )


def _bin(seen: Sequence[_Seen], low: float, high: float | None) -> DetectionBin:
    inside_bin = [each for each in seen if each.size_px >= low and (high is None or each.size_px < high)]
    errors = [each.eye_error for each in inside_bin if each.eye_error is not None]
    return DetectionBin(
        from_px=low,
        to_px=high,
        recall=rate_of(np.array([each.found for each in inside_bin], np.bool_)),
        eye_error=float(np.median(errors)) if errors else None,
        eye_error_p90=float(np.quantile(errors, 0.9)) if errors else None,
    )


def _size(face: FaceBox, size: Size) -> float:
    return face.box.width if size == "face_width" or face.eyes is None else _eye_distance(face.eyes)


def _eye_distance(eyes: Points) -> float:
    return float(np.linalg.norm(eyes[1] - eyes[0]))


def _eye_error(face: FaceBox, found: FaceBox) -> float | None:
    """Mean distance of the two found eyes from the true ones, in true eye distances."""
    if face.eyes is None or found.eyes is None or not (distance := _eye_distance(face.eyes)) > 0:
        return None
    error = float(np.linalg.norm(found.eyes - face.eyes, axis=1).mean()) / distance
    return error if math.isfinite(error) else None
