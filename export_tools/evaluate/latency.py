"""How long models take: every precision and backend in turns, so that whatever else the machine does meets all alike.

Inputs are real: many kernels are faster on zeros. Only ratios carry over to another machine.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import UsageError
from device.interfaces import InferenceSession
from device.vision.backends.onnx import OnnxSession
from device.vision.manifest import Precision
from export_tools.cards import ModelCard
from export_tools.evaluate.results.latency import LatencyResult, LatencyRow
from export_tools.precision.artefact import make_artefact
from export_tools.sources.download import Reporter, Silent

ROUNDS: Final = 100
WARM_UP: Final = 10
REFERENCE: Final = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyCase:
    """One model file on one backend.

    Attributes:
        make: Loads it; called once, closed at the end.
        model: What is compared with what: the same for all precisions of one model.
        precision: ``fp32`` is the reference.
        backend: Its name.
        threads: Threads per inference.
    """

    make: Callable[[], InferenceSession]
    model: str
    precision: str
    backend: str
    threads: int


def artefacts_of(model: ModelCard, reference: bytes) -> dict[Precision, bytes]:
    """A model at every precision it may be measured at, from its FP32 ONNX file. Raises PackError."""
    return {precision: make_artefact(model, reference, precision) for precision in model.precisions}


def onnx_cases(
    model: ModelCard, artefacts: Mapping[Precision, bytes], *, threads: Sequence[int]
) -> dict[str, LatencyCase]:
    """Every artefact of a model on ONNX Runtime, with each number of threads.

    Args:
        model: Its description.
        artefacts: Its files.
        threads: Threads per inference.

    Raises:
        UsageError: No thread would do the work.
    """
    if not threads or min(threads) < 1:
        raise UsageError("one thread at least does the work", hint="--threads 1,2")
    cases = {}
    for precision, data in artefacts.items():
        name = model.model_id(precision)
        for count in sorted(set(threads)):
            cases[f"{name}, onnxruntime, {count} thread{'s' * (count > 1)}"] = LatencyCase(
                make=partial(OnnxSession, data, model=name, threads=count),
                model=model.name,
                precision=precision,
                backend="onnxruntime",
                threads=count,
            )
    return cases


def run_latency(
    cases: Mapping[str, LatencyCase],
    *,
    inputs: Mapping[str, Sequence[NDArray[np.float32]]],
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    reporter: Reporter | None = None,
    now_s: Callable[[], float] = time.perf_counter,
) -> LatencyResult:
    """Run all cases in turns, A B C A B C, each turn with the next real input.

    Args:
        cases: By label.
        inputs: Tensors by :attr:`LatencyCase.model`.
        rounds: Measured turns.
        warm_up: Turns before that.
        reporter: Who is told how far it is.
        now_s: A monotonic clock of high resolution.

    Raises:
        UsageError: No cases, no inputs for one of them, or an input of nothing but one value.
        ModelError: A model cannot be loaded or failed.
    """
    if not cases or rounds < 1 or warm_up < 0:
        raise UsageError("there is nothing to measure", hint="name a model, and one round at least")
    for case in cases.values():
        _check_inputs(case.model, inputs.get(case.model, ()))
    reporter = reporter or Silent()
    started = now_s()
    sessions: dict[str, InferenceSession] = {}
    taken: dict[str, list[float]] = {label: [] for label in cases}
    reporter.begin("rounds", total=rounds + warm_up, done=0)
    try:
        for label, case in cases.items():
            sessions[label] = case.make()
        for turn in range(rounds + warm_up):
            for label, case in cases.items():
                given = inputs[case.model]
                tensor = given[turn % len(given)]
                begun = now_s()
                sessions[label].run(tensor)
                elapsed_s = now_s() - begun
                if turn >= warm_up:
                    taken[label].append(elapsed_s * 1000)
            reporter.at(turn + 1)
    finally:
        reporter.end()
        for session in sessions.values():
            session.close()
    medians = {label: float(np.median(times)) for label, times in taken.items()}
    return LatencyResult(
        machine=f"{platform.machine()}, {platform.system()}",
        warm_up=warm_up,
        rounds=rounds,
        inputs=max(len(given) for given in inputs.values()),
        rows=tuple(
            LatencyRow(
                label=label,
                model=case.model,
                precision=case.precision,
                backend=case.backend,
                threads=case.threads,
                batch=inputs[case.model][0].shape[0],
                runs=len(taken[label]),
                median_ms=medians[label],
                p10_ms=float(np.quantile(taken[label], 0.1)),
                p90_ms=float(np.quantile(taken[label], 0.9)),
                ratio=_ratio(case, medians[label], cases, medians),
            )
            for label, case in cases.items()
        ),
        elapsed_s=now_s() - started,
    )


def _check_inputs(model: str, given: Sequence[NDArray[np.float32]]) -> None:
    if not given:
        raise UsageError(f"there is no input for {model}", hint="measure with real pictures")
    if any(tensor.size == 0 or float(np.ptp(tensor)) == 0 for tensor in given):
        raise UsageError(
            f"an input of {model} is nothing but one value", hint="measure with real pictures: zeros are faster"
        )


def _ratio(
    case: LatencyCase, median_ms: float, cases: Mapping[str, LatencyCase], medians: Mapping[str, float]
) -> float | None:
    """The reference on the same backend; where that has none, on the backend that has one with as many threads."""
    same = [
        (other.backend != case.backend, medians[label])
        for label, other in cases.items()
        if other.precision == REFERENCE and other.model == case.model and other.threads == case.threads
    ]
    return min(same)[1] / median_ms if same and median_ms > 0 else None
