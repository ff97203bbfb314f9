"""Latency: everything that is compared takes turns in one loop, so that a busy second hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.vision.manifest import Precision, Target
from export_tools.evaluate.result import LatencyRow

WARM_UP: Final = 3
ROUNDS: Final = 100
INPUTS: Final = 16
"""Different real inputs that take turns; PReLU is faster on zeros, so invented ones would flatter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One candidate of a comparison."""

    precision: Precision
    backend: Target
    session: InferenceSession


def time_interleaved(
    candidates: Sequence[Timed],
    inputs: Sequence[NDArray[np.float32]],
    *,
    model: str,
    threads: int,
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[LatencyRow, ...]:
    """Median, 10th and 90th percentile of every candidate, and its ratio to FP32 of the same backend.

    Args:
        candidates: Models with the same input.
        inputs: Real inputs; they take turns.
        model: Name, for the rows.
        threads: What the sessions were opened with.
        rounds: Measured runs of each candidate.
        warm_up: Runs before, not measured.
        clock: Seconds, monotonic.

    Raises:
        ModelError: A model failed, or there is nothing to run it on.
    """
    if not inputs:
        raise ModelError(f"model {model} was given nothing to be timed on")
    taken = np.zeros((len(candidates), rounds))
    for number in range(-warm_up, rounds):
        tensor = inputs[number % len(inputs)]
        for step in range(len(candidates)):
            # Another one begins each round: whoever comes first pays for what the last one left in the cache.
            place = (number + step) % len(candidates)
            started = clock()
            candidates[place].session.run(tensor)
            if number >= 0:
                taken[place, number] = clock() - started
    taken *= 1e3
    medians = np.median(taken, axis=1)
    references = {
        candidate.backend: medians[place] for place, candidate in enumerate(candidates) if candidate.precision == "fp32"
    }
    rows = []
    for place, candidate in enumerate(candidates):
        reference, median = references.get(candidate.backend), float(medians[place])
        low, high = np.percentile(taken[place], (10, 90))
        rows.append(
            LatencyRow(
                label=f"{model} {candidate.precision} {candidate.backend}",
                model=model,
                precision=candidate.precision,
                backend=candidate.backend,
                threads=threads,
                batch=inputs[0].shape[0],
                runs=rounds,
                median_ms=round(median, 4),
                p10_ms=round(float(low), 4),
                p90_ms=round(float(high), 4),
                ratio=round(float(reference) / median, 3) if reference is not None and median > 0 else None,
            )
        )
    return tuple(rows)
