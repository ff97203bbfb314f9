"""What a precision costs, per input and as the role understands it; built on :mod:`export_tools.precision.drift`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.vision.liveness.passive import LIVE_CLASS
from export_tools.cards import ModelCard
from export_tools.precision.drift import (
    DetectionDrift,
    compare_embeddings,
    compare_liveness,
    compare_outputs,
    compare_points,
)
from export_tools.report.result import (
    DetectionError,
    Distribution,
    Drift,
    EmbeddingError,
    LivenessError,
    OutputError,
    PointsError,
)

Tensor = NDArray[np.float32]

LIVE_FROM: Final = 0.5
"""Where a face counts as live when turned decisions are counted: from here on no other class can win."""
EDGES: Final = tuple(10.0 ** (step / 4) for step in range(-32, 1))
"""Bins of errors, four to a decade, 1e-8 to 1: three precisions lie three decades apart."""


def drift_of(card: ModelCard, reference: Sequence[Tensor], candidate: Sequence[Tensor]) -> Drift:
    """One artefact against FP32.

    Args:
        card: The model.
        reference: Answers of FP32, (n, ...) per output in the model's order.
        candidate: Answers of the artefact to the same inputs.

    Raises:
        ModelError: They are not answers of one model to one set.
    """
    outputs = compare_outputs(reference, candidate)
    embedder = card.family in ("dlib-resnet", "arcface")
    embedding = points = liveness = None
    if embedder:
        found = compare_embeddings(reference[0], candidate[0])
        embedding = EmbeddingError(
            embeddings=found.embeddings, cosine_mean=found.cosine_mean, cosine_min=found.cosine_min
        )
    elif card.family == "facemesh":
        moved = compare_points(reference[0], candidate[0])
        points = PointsError(faces=moved.faces, mean_percent=moved.mean_percent, max_percent=moved.max_percent)
    elif card.family == "minifasnet":
        live = compare_liveness(reference[0][:, LIVE_CLASS], candidate[0][:, LIVE_CLASS], threshold=LIVE_FROM)
        liveness = LivenessError(faces=live.faces, max_change=min(live.max_change, 1.0), flipped=live.flipped)
    return Drift(
        inputs=len(reference[0]),
        outputs=tuple(
            OutputError(name=spec.name, max_abs=each.max_abs, mean_abs=each.mean_abs, span=each.span)
            for spec, each in zip(card.outputs, outputs, strict=True)
        ),
        distribution=_distribution(_turned(reference[0], candidate[0]) if embedder else _moved(reference, candidate)),
        embedding=embedding,
        points=points,
        liveness=liveness,
    )


def detection_error(drift: DetectionDrift) -> DetectionError:
    """The same for JSON, which knows no NaN."""
    return DetectionError(
        reference=drift.reference,
        lost=drift.lost,
        invented=drift.invented,
        iou_mean=None if math.isnan(drift.iou_mean) else drift.iou_mean,
        iou_min=None if math.isnan(drift.iou_min) else drift.iou_min,
        score_max=min(drift.score_max, 1.0),
    )


def _turned(reference: Tensor, candidate: Tensor) -> NDArray[np.float64]:
    """1 - cosine, row by row."""
    wanted, given = reference.astype(np.float64), candidate.astype(np.float64)
    lengths = np.linalg.norm(wanted, axis=1) * np.linalg.norm(given, axis=1)
    turned: NDArray[np.float64] = 1 - np.einsum("nd,nd->n", wanted, given) / lengths
    return turned


def _moved(reference: Sequence[Tensor], candidate: Sequence[Tensor]) -> NDArray[np.float64]:
    """Per input the greatest change of any output, as a share of that output's span."""
    shares = []
    for wanted, given in zip(reference, candidate, strict=True):
        moved = np.abs(wanted.astype(np.float64) - given).reshape(len(wanted), -1).max(axis=1)
        shares.append(moved / (float(np.ptp(wanted)) or 1.0))
    worst: NDArray[np.float64] = np.max(shares, axis=0)
    return worst


def _distribution(errors: NDArray[np.float64]) -> Distribution:
    counts, _ = np.histogram(np.clip(errors, EDGES[0], EDGES[-1]), bins=EDGES)
    return Distribution(edges=EDGES, counts=tuple(int(count) for count in counts))
