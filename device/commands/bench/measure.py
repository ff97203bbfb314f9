"""Timing of calls, and what is told of many of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one kind of call, in milliseconds of wall time."""

    calls: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    total_ms: float


class Stopwatch:
    """Collects durations by name."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def time(self, name: str, call: Callable[[], T]) -> T:
        """Call and note how long it took."""
        begun = time.perf_counter()
        result = call()
        self._seconds.setdefault(name, []).append(time.perf_counter() - begun)
        return result

    def timed(self, name: str, call: Callable[..., T]) -> Callable[..., T]:
        """The same function, timed at every call."""
        return lambda *values, **named: self.time(name, lambda: call(*values, **named))

    def total_s(self, name: str) -> float:
        """Seconds of all calls of that name."""
        return sum(self._seconds.get(name, ()))

    def spreads(self) -> dict[str, Spread]:
        """All names, in the order of their first call."""
        return {name: _spread(seconds) for name, seconds in self._seconds.items()}


def _spread(seconds: list[float]) -> Spread:
    p50, p95, p99 = np.percentile(np.asarray(seconds) * 1e3, (50, 95, 99)).tolist()
    return Spread(len(seconds), p50, p95, p99, sum(seconds) * 1e3)


class Stage:
    """A part of the pipeline whose named methods are timed; everything else passes through.

    Args:
        part: The real part.
        watch: Where durations go.
        methods: Method to stage name.
    """

    def __init__(self, part: Any, watch: Stopwatch, **methods: str) -> None:
        self._part = part
        self._methods = {method: watch.timed(name, getattr(part, method)) for method, name in methods.items()}

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._part, name)
