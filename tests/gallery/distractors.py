"""Templates of nobody: unit vectors drawn from the recorded distribution of the default pack's embeddings.

``tests/data/embedding_distribution.npz`` holds ``mean`` (128,) and ``covariance`` (128, 128) of 13,233 unit embeddings,
no person's template. Samples follow the bulk of real impostor distances (median .549 against .556) with a thinner tail:
good for load and confusion, not for setting thresholds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device.types import Vector

_DISTRIBUTION = Path(__file__).resolve().parent.parent / "data" / "embedding_distribution.npz"
DIMENSION = 128


def distractors(count: int, *, seed: int) -> Vector:
    """Draw ``count`` unit vectors, (count, 128) float32; the same for the same seed."""
    with np.load(_DISTRIBUTION, allow_pickle=False) as stored:
        mean, covariance = stored["mean"].astype(np.float64), stored["covariance"].astype(np.float64)
    drawn = np.random.default_rng(seed).multivariate_normal(mean, covariance, size=count, method="eigh")
    vectors: Vector = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return vectors
