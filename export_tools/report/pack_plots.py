"""Plots of a report of packs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from device.vision.manifest import Precision, Target
from export_tools.report.markup import Markup
from export_tools.report.plots import (
    LINE,
    QUIET,
    SERIES,
    canvas,
    hide_frame,
    latency_bar,
    powers_of_ten,
    style,
    svg,
)
from export_tools.report.result import Distribution, ModelFigures, PrecisionFigures

COLOURS: Final[dict[Precision, str]] = {
    "fp32": QUIET,
    "fp16": SERIES[2],
    "int8-u8": SERIES[0],
    "int8-s8": SERIES[1],
}
"""One colour per precision, everywhere."""


def cost_plot(model: ModelFigures, *, backend: Target, key: str) -> Markup | None:
    """Bars of latency (with the 10th and 90th percentile) and of file size; None where nothing ran."""
    timed = [
        (figures, row)
        for figures in model.precisions
        for row in figures.latency
        if row.backend == backend and figures.size_bytes is not None
    ]
    if not timed:
        return None
    names = [figures.precision for figures, _ in timed]
    with style():
        figure, (left, right) = canvas(height_in=0.75 + 0.27 * len(names), columns=2)
        places = range(len(names))
        colours = [COLOURS[name] for name in names]
        for place, (_, row) in enumerate(timed):
            latency_bar(left, place, row, colour=colours[place])
        left.set_yticks(list(places), [_label(figures) for figures, _ in timed])
        left.set_xlim(0, 1.25 * max(row.p90_ms for _, row in timed))
        left.set_xlabel(f"ms per run, batch {timed[0][1].batch}")
        sizes = [(figures.size_bytes or 0) / 1e6 for figures, _ in timed]
        right.barh(places, sizes, height=0.62, color=colours)
        for place, size in enumerate(sizes):
            right.annotate(
                f"{size:.2f}", (size, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8
            )
        right.set_yticks(list(places), [""] * len(names))
        right.set_xlim(0, 1.25 * max(sizes))
        right.set_xlabel("file, MB")
        for axes in (left, right):
            axes.invert_yaxis()
            axes.tick_params(axis="y", length=0)
            axes.grid(visible=False, axis="y")
            hide_frame(axes, keep=("left",))
        return svg(figure, key=key, title=f"{model.name}: latency in milliseconds and file size in megabytes")


def error_plot(model: ModelFigures, *, key: str) -> Markup | None:
    """How the errors of each precision are distributed over the held-out inputs; None where nothing was compared."""
    shown = [(figures, figures.drift.distribution) for figures in model.precisions if figures.drift is not None]
    if not shown:
        return None
    with style():
        figure, (axes,) = canvas(height_in=1.0 + 0.45 * len(shown))
        last = len(shown) - 1
        for place, (figures, found) in enumerate(shown):
            highest = max(found.counts) or 1
            base = last - place
            heights = [0.85 * count / highest for count in found.counts]
            axes.stairs(
                [base + height for height in heights],
                found.edges,
                baseline=base,
                fill=True,
                color=COLOURS[figures.precision],
            )
            axes.axhline(base, color=LINE, linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xlim(*_span(shown))
        axes.set_ylim(0, last + 1)
        axes.set_yticks([last - place + 0.4 for place in range(len(shown))], [_label(each) for each, _ in shown])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        powers_of_ten(axes, x=True)
        what = "1 - cosine to FP32" if model.role == "embedder" else "greatest change, share of the output's range"
        axes.set_xlabel(f"{what}, per input")
        hide_frame(axes)
        return svg(figure, key=key, title=f"{model.name}: distribution of the error of each precision over the inputs")


def _label(figures: PrecisionFigures) -> str:
    return figures.precision if figures.excluded is None else f"({figures.precision})"


def _span(shown: Sequence[tuple[PrecisionFigures, Distribution]]) -> tuple[float, float]:
    """The decades in which there is anything."""
    low, high = 1.0, 1e-8
    for _, found in shown:
        filled = [place for place, count in enumerate(found.counts) if count]
        if filled:
            low, high = min(low, found.edges[filled[0]]), max(high, found.edges[filled[-1] + 1])
    # Whole decades, so that the axis has two labels at least.
    return 10.0 ** math.floor(math.log10(low) + 1e-9), 10.0 ** math.ceil(math.log10(high) - 1e-9)
