"""Plots of verification and identification; operating points are marked, error axes are logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes

from export_tools.evaluate.results.recognition import ErrorCurve, Histogram
from export_tools.report.markup import Markup
from export_tools.report.plots import INK, SERIES, canvas, mark, powers_of_ten, style, svg

_Place = Literal["best", "lower right", "upper left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Two errors over one threshold, under the names that belong to them.

    Attributes:
        label: Which pairs.
        threshold: Highest first.
        false: Impostors or strangers accepted, shares.
        missed: Genuine ones missed, shares.
        trials: Impostor trials: below one of them nothing is resolved.
    """

    label: str
    threshold: Sequence[float]
    false: Sequence[float]
    missed: Sequence[float]
    trials: int


def curve_of(curve: ErrorCurve, *, label: str, impostors: int) -> Curve:
    """A verification's curve."""
    return Curve(label=label, threshold=curve.threshold, false=curve.far, missed=curve.frr, trials=impostors)


def trade_off_plot(
    curves: Sequence[Curve], *, point: tuple[float, float], names: tuple[str, str], key: str
) -> Markup | None:
    """Misses over false accepts, both logarithmic (DET); None where nothing was resolved."""
    shown = [
        curve
        for curve in curves
        if curve.trials and any(false > 0 < missed for false, missed in zip(curve.false, curve.missed, strict=True))
    ]
    if not shown:
        return None
    floor = 0.7 / max(curve.trials for curve in shown)
    lowest = min(value for curve in shown for value in curve.missed if value > 0)
    with style():
        figure, (axes,) = canvas(height_in=3.1)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for number, curve in enumerate(shown):
            axes.step(
                _logarithmic(curve.false),
                _logarithmic(curve.missed),
                where="post",
                color=SERIES[number],
                linestyle=("-", "--")[number % 2],
                label=curve.label,
            )
        axes.set_xlim(floor, 1)
        axes.set_ylim(0.5 * lowest, 1)
        powers_of_ten(axes, x=True, y=True)
        axes.set_xlabel(f"{names[0]}, share of trials")
        axes.set_ylabel(f"{names[1]}, share of trials")
        label = _operating_label(point, names)
        mark(axes, max(point[0], floor), max(point[1], 0.5 * lowest), label=label)
        _legend(axes, len(shown))
        return svg(figure, key=key, title=f"{names[1]} over {names[0]}, logarithmic, operating point marked")


def roc_plot(curves: Sequence[Curve], *, point: tuple[float, float], key: str) -> Markup | None:
    """True accepts over false accepts, the latter logarithmic (ROC)."""
    shown = [curve for curve in curves if curve.trials and any(value > 0 for value in curve.false)]
    if not shown:
        return None
    floor = 0.7 / max(curve.trials for curve in shown)
    with style():
        figure, (axes,) = canvas(height_in=3.1)
        axes.set_xscale("log")
        for number, curve in enumerate(shown):
            axes.step(
                _logarithmic(curve.false),
                [1 - value for value in curve.missed],
                where="post",
                color=SERIES[number],
                linestyle=("-", "--")[number % 2],
                label=curve.label,
            )
        axes.set_xlim(floor, 1)
        reached = [1 - miss for curve in shown for far, miss in zip(curve.false, curve.missed, strict=True) if far > 0]
        axes.set_ylim(max(math.floor(10 * min(1 - point[1], *reached) - 0.5) / 10, 0.0), 1.01)
        powers_of_ten(axes, x=True)
        axes.set_xlabel("FAR, share of trials")
        axes.set_ylabel("TAR, share of trials")
        mark(axes, max(point[0], floor), 1 - point[1], label=_operating_label(point[:1], ("FAR",)), offset=(8, -12))
        _legend(axes, len(shown), place="lower right")
        return svg(figure, key=key, title="TAR over FAR, FAR logarithmic, operating point marked")


def threshold_plot(curve: Curve, *, at: float, names: tuple[str, str], key: str) -> Markup | None:
    """Both errors over the threshold, logarithmic."""
    positive = [value for values in (curve.false, curve.missed) for value in values if value > 0]
    if not positive:
        return None
    floor = 0.5 * min(positive)
    with style():
        figure, (axes,) = canvas(height_in=2.9)
        axes.set_yscale("log")
        for values, name, colour in ((curve.false, names[0], SERIES[1]), (curve.missed, names[1], SERIES[0])):
            # Highest threshold first: an error stays what it is down to the next score, as a share of scores does.
            axes.step(curve.threshold, _logarithmic(values), where="post", color=colour, label=name)
        _operating_line(axes, at)
        axes.set_ylim(floor, 1.2)
        axes.set_xlim(min(*curve.threshold, at), max(*curve.threshold, at))
        powers_of_ten(axes, y=True)
        axes.set_xlabel("threshold, cosine")
        axes.set_ylabel("share of trials")
        _legend(axes, 2)
        return svg(figure, key=key, title=f"{names[0]} and {names[1]} over the threshold, operating point marked")


def histogram_plot(histogram: Histogram, *, at: float, key: str) -> Markup | None:
    """How scores of both kinds are distributed, each kind as shares of its own number."""
    kinds = (("impostor", histogram.impostor, SERIES[1]), ("genuine", histogram.genuine, SERIES[0]))
    shown = [(name, counts, colour) for name, counts, colour in kinds if sum(counts)]
    if not shown:
        return None
    with style():
        figure, (axes,) = canvas(height_in=2.9)
        for name, counts, colour in shown:
            total = sum(counts)
            shares = [100 * count / total for count in counts]
            axes.stairs(shares, histogram.edges, color=colour, linewidth=1.6, label=f"{name} ({total:,})")
            axes.stairs(shares, histogram.edges, color=colour, fill=True, alpha=0.18)
        _operating_line(axes, at)
        filled = [place for _, counts, _ in shown for place, count in enumerate(counts) if count]
        low, high = histogram.edges[min(filled)], histogram.edges[max(filled) + 1]
        axes.set_xlim(min(low, at), max(high, at))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("score, cosine")
        axes.set_ylabel("% of pairs of a kind, per bin")
        _legend(axes, 2, place="upper left")
        return svg(figure, key=key, title="Distribution of scores of genuine and impostor pairs, threshold marked")


def _logarithmic(values: Sequence[float]) -> list[float]:
    """Values for a logarithmic axis: nothing is drawn where one is zero."""
    return [value if value > 0 else math.nan for value in values]


def _operating_label(point: Sequence[float], names: Sequence[str]) -> str:
    """Of a point that may lie beyond the axis: then it is marked at the edge, and said to be zero."""
    beyond = [f"{name} 0" for value, name in zip(point, names, strict=True) if not value > 0]
    return f"operating point ({', '.join(beyond)})" if beyond else "operating point"


def _operating_line(axes: Axes, at: float) -> None:
    axes.axvline(at, color=INK, linewidth=1, linestyle=":")
    axes.annotate(
        f"{at:.4f}", (at, 1), xycoords=("data", "axes fraction"), xytext=(-3, -2), textcoords="offset points",
        fontsize=8, ha="right", va="top", rotation=90,
    )  # fmt: skip


def _legend(axes: Axes, count: int, *, place: _Place = "best") -> None:
    if count > 1:
        axes.legend(loc=place)
