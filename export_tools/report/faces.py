"""What the held-out pictures and the demo's photographs say about a pack beyond its tensors: faces, chips, pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.camera.photo import decode_photo
from device.config import VisionConfig
from device.errors import ModelError
from device.interfaces import InferenceSession
from device.types import Detection, Face, Image, Points
from device.vision.align import ALIGNMENTS, Aligner, Alignment
from device.vision.detector import FaceDetector
from device.vision.embedder import FaceEmbedder
from device.vision.landmarks import FaceMesh
from device.vision.manifest import Precision
from device.vision.photo import find_faces
from device.vision.quality import Gates
from export_tools.cards import PackCard
from export_tools.precision.drift import compare_detections
from export_tools.precision.pictures import PictureSource
from export_tools.precision.record import detector_of
from export_tools.report.errors import detection_error
from export_tools.report.result import AlignmentFigures, DetectionError, PairFigures

PEOPLE: Final[dict[str, tuple[str, ...]]] = {
    "obama": ("obama.jpg", "obama2.jpg", "obama3.jpg"),
    "biden": ("biden.jpg",),
}
"""Photographs of the demo that show one whole face each."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the pictures of the held-out side showed."""

    detection: Mapping[Precision, DetectionError]
    alignment: AlignmentFigures | None


def alignment_of(card: PackCard) -> Alignment:
    """The template of the pack's embedder."""
    return ALIGNMENTS[card.models["embedder"].family]


def look_for_faces(
    card: PackCard,
    detectors: Mapping[Precision, InferenceSession],
    *,
    mesh: InferenceSession,
    sources: Sequence[PictureSource],
) -> Looked:
    """Let the detector at every precision look at every picture, and align the faces that FP32 finds.

    Args:
        card: The pack.
        detectors: Sessions of its detector, ``fp32`` among them.
        mesh: Its landmark model in FP32.
        sources: The held-out side.

    Raises:
        ModelError: A model failed.
        PackError: A picture cannot be read (``calibration``).
    """
    parts = {precision: detector_of(card.models["detector"], session) for precision, session in detectors.items()}
    found: dict[Precision, list[tuple[Detection, ...]]] = {precision: [] for precision in parts}
    residuals: list[float] = []
    alignment = alignment_of(card)
    landmarks = FaceMesh(mesh)
    for source in sources:
        for picture in source.pictures():
            for precision, detector in parts.items():
                found[precision].append(detector.detect(picture))
            residuals += [residual_px(face.landmarks, alignment) for face in _faces(picture, parts["fp32"], landmarks)]
    return Looked(
        detection={
            precision: detection_error(compare_detections(found["fp32"], found[precision]))
            for precision in parts
            if precision != "fp32"
        },
        alignment=AlignmentFigures(
            template=alignment.name,
            faces=len(residuals),
            residual_median_px=float(np.median(residuals)),
            residual_p90_px=float(np.percentile(residuals, 90)),
            side_px=alignment.side_px,
        )
        if residuals
        else None,
    )


def residual_px(landmarks: Points, alignment: Alignment) -> float:
    """Root mean square distance of a face's points from the template after the best fit, in pixels of the chip."""
    place = Aligner(alignment).place(landmarks)
    scale = math.hypot(place.a, place.b)
    squares = 0.0
    for group, (u, v) in zip(alignment.points, alignment.template, strict=True):
        x, y = landmarks[list(group), :2].mean(axis=0).tolist()
        squares += (place.a * u - place.b * v + place.x0 - x) ** 2 + (place.b * u + place.a * v + place.y0 - y) ** 2
    return math.sqrt(squares / len(alignment.template)) / scale


def demo_pairs(
    card: PackCard,
    photos: Mapping[str, bytes],
    *,
    detector: InferenceSession,
    mesh: InferenceSession,
    embedders: Mapping[Precision, InferenceSession],
) -> tuple[PairFigures, ...]:
    """Cosines of every pair of the demo's photographs, with and without the mirrored chip.

    Raises:
        ModelError: A model failed, or a photograph shows no face.
    """
    model = card.models["embedder"]
    aligner = Aligner(alignment_of(card))
    finder, landmarks = detector_of(card.models["detector"], detector), FaceMesh(mesh)
    people: list[str] = []
    chips: list[Image] = []
    for person, names in PEOPLE.items():
        for name in names:
            picture = decode_photo(photos[name], name=name)
            faces = _faces(picture, finder, landmarks)
            if not faces:
                raise ModelError(f"no face was found in the demo's photograph {name}")
            people.append(person)
            chips.append(aligner.chip(picture, faces[0].landmarks))
    figures = []
    for precision, session in embedders.items():
        embedder = FaceEmbedder(session, alignment=alignment_of(card), preprocessing=model.preprocessing)
        rows = [embedder.plain_and_mirrored(chip) for chip in chips]
        for mirrored in (False, True):
            vectors = [plain + other if mirrored else plain for plain, other in rows]
            figures.append(_pairs(people, vectors, precision=precision, mirrored=mirrored))
    return tuple(figures)


def _pairs(
    people: Sequence[str], vectors: Sequence[NDArray[np.float32]], *, precision: Precision, mirrored: bool
) -> PairFigures:
    units = [vector.astype(np.float64) / float(np.linalg.norm(vector)) for vector in vectors]
    same: list[float] = []
    different: list[float] = []
    for first, second in combinations(range(len(units)), 2):
        (same if people[first] == people[second] else different).append(float(units[first] @ units[second]))
    return PairFigures(
        precision=precision,
        mirrored=mirrored,
        same=len(same),
        different=len(different),
        least_same=min(same),
        greatest_different=max(different),
    )


def _faces(picture: Image, detector: FaceDetector, mesh: FaceMesh) -> tuple[Face, ...]:
    config = VisionConfig()
    return find_faces(
        picture,
        detector=detector,
        mesh=mesh,
        min_presence=config.min_presence,
        gates=Gates.for_door(config),
    )
