"""Latency: cases take turns, warm-up does not count, ratios are to FP32, and zeros are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from device.errors import UsageError
from export_tools.evaluate.latency import LatencyCase, run_latency

PICTURE = np.arange(6, dtype=np.float32).reshape(1, 6)
OTHER = PICTURE[:, ::-1].copy()


@dataclass
class Bench:
    """A clock that its sessions move, and what was run in which order."""

    now: float = 0.0
    runs: list[tuple[str, float]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def case(self, name: str, *, precision: str, taken_s: Iterator[float] | float, threads: int = 1) -> LatencyCase:
        """A model that takes so long."""
        return LatencyCase(
            make=lambda: Session(self, name, taken_s), model="m", precision=precision, backend="test", threads=threads
        )


@dataclass
class Session:
    """Moves the clock instead of computing."""

    bench: Bench
    model: str
    taken_s: Iterator[float] | float
    input_shape: tuple[int, ...] = (1, 6)

    def run(self, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Take some time."""
        self.bench.runs.append((self.model, float(tensor[0, 0])))
        self.bench.now += self.taken_s if isinstance(self.taken_s, float) else next(self.taken_s)
        return (tensor,)

    def close(self) -> None:
        """Remember."""
        self.bench.closed.append(self.model)


def test_cases_take_turns_and_inputs_too() -> None:
    """A B, A B, A B: each turn with the next input."""
    bench = Bench()
    cases = {
        "a": bench.case("a", precision="fp32", taken_s=0.004),
        "b": bench.case("b", precision="fp16", taken_s=0.001),
    }
    found = run_latency(cases, inputs={"m": [PICTURE, OTHER]}, rounds=2, warm_up=1, now_s=lambda: bench.now)
    assert bench.runs == [("a", 0.0), ("b", 0.0), ("a", 5.0), ("b", 5.0), ("a", 0.0), ("b", 0.0)]
    assert [(row.label, row.runs) for row in found.rows] == [("a", 2), ("b", 2)]
    assert [row.median_ms for row in found.rows] == pytest.approx([4.0, 1.0])
    assert [row.ratio for row in found.rows] == pytest.approx([1.0, 4.0])
    assert bench.closed == ["a", "b"]


def test_the_median_forgets_the_warm_up_and_one_slow_run() -> None:
    """9 s and 8 s of warm-up, then 1 1 7 ms."""
    bench = Bench()
    times = iter((9.0, 8.0, 0.001, 0.001, 0.007))
    case = bench.case("a", precision="fp32", taken_s=times)
    found = run_latency({"a": case}, inputs={"m": [PICTURE]}, rounds=3, warm_up=2, now_s=lambda: bench.now)
    assert found.rows[0].median_ms == pytest.approx(1.0)


def test_without_a_reference_of_as_many_threads_there_is_no_ratio() -> None:
    """FP32 on one thread says nothing about INT8 on two."""
    bench = Bench()
    cases = {
        "a": bench.case("a", precision="fp32", taken_s=0.004),
        "b": bench.case("b", precision="int8-u8", taken_s=0.001, threads=2),
    }
    found = run_latency(cases, inputs={"m": [PICTURE]}, rounds=1, warm_up=0, now_s=lambda: bench.now)
    assert found.rows[1].ratio is None


@pytest.mark.parametrize("given", [[], [np.zeros((1, 6), np.float32)], [PICTURE, np.ones((1, 6), np.float32)]])
def test_inputs_of_nothing_are_refused(given: list[NDArray[np.float32]]) -> None:
    """Kernels are faster on zeros: nothing is loaded or run."""
    bench = Bench()
    with pytest.raises(UsageError, match="input"):
        run_latency({"a": bench.case("a", precision="fp32", taken_s=0.1)}, inputs={"m": given})
    assert bench.runs == []


def test_nothing_to_measure_is_refused() -> None:
    """No cases, or no rounds."""
    with pytest.raises(UsageError):
        run_latency({}, inputs={})
