"""Latency: how long a model takes, side by side."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from export_tools.evaluate.results.common import Count, Result


class LatencyRow(Result):
    """One model in one precision on one backend with so many threads."""

    label: str
    model: str
    precision: str
    backend: str
    threads: Count
    batch: Count
    runs: Count
    median_ms: Annotated[float, Field(ge=0)]
    p10_ms: Annotated[float, Field(ge=0)]
    p90_ms: Annotated[float, Field(ge=0)]
    ratio: Annotated[float, Field(ge=0)] | None
    """Median of the reference (FP32, same model, backend and threads) over this one: 2 is twice as fast."""


class LatencyResult(Result):
    """How long models take, interleaved in one run: `evaluate latency`. Only ratios carry over to other machines."""

    kind: Literal["latency"] = "latency"
    machine: str
    warm_up: Count
    rounds: Count
    inputs: Count
    """Different real inputs that took turns."""
    rows: tuple[LatencyRow, ...]
    elapsed_s: Annotated[float, Field(ge=0)]
