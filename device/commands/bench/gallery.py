"""Exact search over templates of nobody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.commands.bench.measure import Spread, Stopwatch
from device.gallery.exact import ExactIndex
from device.types import Embedding


def measure_search(*, people: int = 10_000, dimension: int = 128, searches: int = 2_000) -> Spread:
    """Time searches for the nearest two of ``people`` random unit vectors."""
    rng = np.random.default_rng(1)

    def unit(count: int) -> NDArray[np.float32]:
        drawn: NDArray[np.float32] = rng.standard_normal((count, dimension), dtype=np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return drawn

    index = ExactIndex(dimension=dimension, model="bench")
    index.build(unit(people), [f"{number:032x}" for number in range(people)])
    probes = [Embedding(vector=vector, model="bench") for vector in unit(200)]
    watch = Stopwatch()
    for number in range(searches):
        watch.time("search", lambda number=number: index.search(probes[number % len(probes)], k=2))  # type: ignore[misc]
    return watch.spreads()["search"]
