"""What a precision costs: an artefact against its FP32 model, on inputs that it was not calibrated with.

Numbers of the tensors themselves for every model; beside them what the number means for the role: direction of an
embedding, faces lost, points moved, decisions turned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.types import Detection, Image
from device.vision.detector import FaceDetector
from device.vision.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from device.vision.tracker import overlap

Tensor = NDArray[np.float32]

MATCH_IOU: Final = 0.5
"""Two boxes are one face from this overlap (intersection over union), the customary one for detection."""


@dataclass(frozen=True, slots=True)
class OutputDrift:
    """How far one output moved.

    Attributes:
        index: Which output, in the model's order.
        max_abs: Greatest difference.
        mean_abs: Mean difference.
        span: Greatest minus least value that FP32 gave.
    """

    index: int
    max_abs: float
    mean_abs: float
    span: float

    @property
    def share(self) -> float:
        """Greatest difference as a share of the span; infinite where a constant output moved."""
        if self.span > 0:
            return self.max_abs / self.span
        return math.inf if self.max_abs > 0 else 0.0


@dataclass(frozen=True, slots=True)
class EmbeddingDrift:
    """Cosine between each embedding and its FP32 twin."""

    embeddings: int
    cosine_mean: float
    cosine_min: float


@dataclass(frozen=True, slots=True)
class DetectionDrift:
    """Faces that FP32 finds, found again.

    Attributes:
        reference: Faces that FP32 found.
        lost: Of these, without a partner.
        invented: Faces without a partner in FP32.
        iou_mean: Mean overlap of the pairs; NaN without a pair.
        iou_min: Least overlap of the pairs; NaN without a pair.
        score_max: Greatest change of a score.
    """

    reference: int
    lost: int
    invented: int
    iou_mean: float
    iou_min: float
    score_max: float


@dataclass(frozen=True, slots=True)
class PointsDrift:
    """Landmarks moved, in percent of the distance between the outer corners of the eyes."""

    faces: int
    mean_percent: float
    max_percent: float


@dataclass(frozen=True, slots=True)
class LivenessDrift:
    """Probability of a live face moved; ``flipped`` counts faces on the other side of the threshold."""

    faces: int
    max_change: float
    flipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """An artefact against FP32; the parts that do not belong to its role are None."""

    model: str
    precision: str
    inputs: int
    outputs: tuple[OutputDrift, ...]
    embedding: EmbeddingDrift | None = None
    detection: DetectionDrift | None = None
    points: PointsDrift | None = None
    liveness: LivenessDrift | None = None


def run_all(session: InferenceSession, batches: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Every output over all batches, one row per input. Raises ModelError."""
    if not batches:
        raise ModelError(f"model {session.model} was given nothing to be compared on")
    runs = [[output.copy() for output in session.run(batch)] for batch in batches]
    return tuple(np.concatenate(parts) for parts in zip(*runs, strict=True))


def compare_outputs(reference: Sequence[Tensor], candidate: Sequence[Tensor]) -> tuple[OutputDrift, ...]:
    """How far each output moved. Raises ModelError where they are not outputs of one model on one set."""
    if [part.shape for part in reference] != [part.shape for part in candidate]:
        raise ModelError("the outputs that are compared differ in number or shape")
    found = []
    for index, (wanted, given) in enumerate(zip(reference, candidate, strict=True)):
        moved = np.abs(wanted.astype(np.float64) - given)
        found.append(OutputDrift(index, float(moved.max()), float(moved.mean()), float(np.ptp(wanted))))
    return tuple(found)


def compare_embeddings(reference: Tensor, candidate: Tensor) -> EmbeddingDrift:
    """Cosine row by row. Raises ModelError for rows without a direction."""
    wanted, given = _rows(reference), _rows(candidate)
    if wanted.shape != given.shape:
        raise ModelError(f"embeddings of {wanted.shape} and {given.shape} cannot be compared")
    lengths = np.linalg.norm(wanted, axis=1) * np.linalg.norm(given, axis=1)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ModelError("an embedding has no direction")
    cosines = np.einsum("nd,nd->n", wanted, given) / lengths
    return EmbeddingDrift(len(cosines), float(cosines.mean()), float(cosines.min()))


def compare_detectors(reference: FaceDetector, candidate: FaceDetector, pictures: Sequence[Image]) -> DetectionDrift:
    """Both detectors on the same pictures, uint8 BGR. Raises ModelError."""
    return compare_detections(
        [reference.detect(picture) for picture in pictures], [candidate.detect(picture) for picture in pictures]
    )


def compare_detections(
    reference: Sequence[Sequence[Detection]], candidate: Sequence[Sequence[Detection]]
) -> DetectionDrift:
    """Pair the faces of each picture, greatest overlap first; each belongs to one pair at most.

    Raises:
        ModelError: The lists are not of the same pictures.
    """
    if len(reference) != len(candidate):
        raise ModelError(f"detections in {len(reference)} and in {len(candidate)} pictures cannot be compared")
    overlaps: list[float] = []
    score_max = 0.0
    for wanted, given in zip(reference, candidate, strict=True):
        pairs = sorted(
            ((overlap(a.box, b.box), i, j) for i, a in enumerate(wanted) for j, b in enumerate(given)),
            key=lambda pair: (-pair[0], pair[1], pair[2]),
        )
        taken: tuple[set[int], set[int]] = set(), set()
        for shared, i, j in pairs:
            if shared >= MATCH_IOU and i not in taken[0] and j not in taken[1]:
                taken[0].add(i)
                taken[1].add(j)
                overlaps.append(shared)
                score_max = max(score_max, abs(wanted[i].score - given[j].score))
    count = sum(map(len, reference))
    return DetectionDrift(
        reference=count,
        lost=count - len(overlaps),
        invented=sum(map(len, candidate)) - len(overlaps),
        iou_mean=float(np.mean(overlaps)) if overlaps else math.nan,
        iou_min=min(overlaps, default=math.nan),
        score_max=score_max,
    )


def compare_points(reference: Tensor, candidate: Tensor) -> PointsDrift:
    """Landmarks of the mesh, (n, 468, 3) each; only x and y count. Raises ModelError."""
    if reference.shape != candidate.shape or reference.ndim != 3 or reference.shape[1] <= LEFT_EYE_OUTER:
        raise ModelError(f"landmarks of {reference.shape} and {candidate.shape} cannot be compared")
    corners = reference[:, [RIGHT_EYE_OUTER, LEFT_EYE_OUTER], :2].astype(np.float64)
    distance = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1)
    if not (distance > 0).all():
        raise ModelError("the eyes of a reference face coincide")
    moved = np.linalg.norm(reference[:, :, :2].astype(np.float64) - candidate[:, :, :2], axis=2)
    percent = 100 * moved / distance[:, np.newaxis]
    return PointsDrift(len(percent), float(percent.mean()), float(percent.max()))


def compare_liveness(reference: Tensor, candidate: Tensor, *, threshold: float) -> LivenessDrift:
    """Probabilities of a live face, (n,) each, 0..1; live from ``threshold`` on. Raises ModelError."""
    if reference.shape != candidate.shape or reference.ndim != 1 or not reference.size:
        raise ModelError(f"scores of {reference.shape} and {candidate.shape} cannot be compared")
    flipped = (reference >= threshold) != (candidate >= threshold)
    return LivenessDrift(len(reference), float(np.abs(reference - candidate).max()), int(flipped.sum()))


def _rows(embeddings: Tensor) -> NDArray[np.float64]:
    if embeddings.ndim != 2 or not embeddings.size:
        raise ModelError(f"{embeddings.shape} is no list of embeddings")
    return embeddings.astype(np.float64)
