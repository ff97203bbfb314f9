"""Plots of a policy: errors per attack type, what the cues measured against their thresholds, time to a decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from export_tools.evaluate.results.common import Rate
from export_tools.pad.attempt import LIVE
from export_tools.pad.result import PERCENTS, PolicyResult, Spread
from export_tools.pad.words import counts, named
from export_tools.report.markup import Markup
from export_tools.report.plots import INK, QUIET, SERIES, canvas, hide_frame, style, svg

_LIVING, _ATTACK = SERIES[0], SERIES[1]
_ROW_IN: Final = 0.28
#: A residual below this is drawn on it: nothing can be read from a plane that is flatter.
_LEAST_RESIDUAL: Final = 1e-4


def attempt_plot(result: PolicyResult) -> Markup | None:
    """APCER of each attack type and BPCER per attempt, each with its 95 % interval."""
    rows = [(named(each.species), each.apcer, _ATTACK) for each in result.attacks]
    if result.bona_fide is not None:
        rows.append(("living (BPCER)", result.bona_fide.bpcer, _LIVING))
    return _error_plot(rows, key="attempts", title="APCER of each attack type and BPCER per attempt, with intervals")


def session_plot(result: PolicyResult) -> Markup | None:
    """APCER of each attack type per session, each with its 95 % interval."""
    rows = [(named(each.species), each.session_apcer, _ATTACK) for each in result.attacks if each.session_apcer]
    return _error_plot(rows, key="sessions", title="APCER of each attack type per session, with intervals")


def _error_plot(rows: Sequence[tuple[str, Rate, str]], *, key: str, title: str) -> Markup | None:
    shown = [(name, rate, rate.interval, colour) for name, rate, colour in rows if rate.interval is not None]
    if not shown:
        return None
    with style():
        figure, (axes,) = canvas(height_in=0.9 + _ROW_IN * len(shown))
        for place, (_, rate, interval, colour) in enumerate(shown):
            ends = (100 * interval.lower, 100 * interval.upper)
            axes.plot(ends, [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
            at = 100 * (rate.value or 0.0)
            axes.plot([at], [place], marker="o", markersize=5, color=colour, clip_on=False)
        top = max(interval.upper for _, _, interval, _ in shown)
        axes.set_xlim(-top, min(104 * top, 101))
        _name_rows(axes, [f"{name}, {counts(rate)}" for name, rate, _, _ in shown])
        axes.set_xlabel("% decided wrongly")
        hide_frame(axes)
        return svg(figure, key=key, title=title)


def residual_plot(result: PolicyResult) -> Markup | None:
    """Residuals of judged turns per species against the threshold, logarithmic."""
    rows = _spreads(result, "residuals")
    if not rows:
        return None
    with style():
        figure, (axes,) = canvas(height_in=0.9 + _ROW_IN * len(rows))
        axes.set_xscale("log")
        for place, (name, spread) in enumerate(rows):
            _box(axes, place, [max(value, _LEAST_RESIDUAL) for value in spread.quantiles], name=name)
        axes.axvline(result.min_residual, color=INK, linewidth=1, linestyle=":")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        _name_rows(axes, [f"{_label(name)} ({spread.count:,})" for name, spread in rows])
        axes.set_xlabel(f"residual over eye distance; dotted: {result.min_residual:g}, flat below it")
        hide_frame(axes)
        return svg(figure, key="residuals", title="Planarity residuals per species, logarithmic, threshold marked")


def parallax_plot(result: PolicyResult) -> Markup | None:
    """Parallaxes of judged turns per species against the threshold."""
    rows = _spreads(result, "parallaxes")
    if not rows:
        return None
    with style():
        figure, (axes,) = canvas(height_in=0.9 + _ROW_IN * len(rows))
        for place, (name, spread) in enumerate(rows):
            _box(axes, place, spread.quantiles, name=name)
        axes.axvline(result.min_parallax, color=INK, linewidth=1, linestyle=":")
        _name_rows(axes, [f"{_label(name)} ({spread.count:,})" for name, spread in rows])
        axes.set_xlabel(f"parallax; dotted: {result.min_parallax:g}, to be reached less the standard error")
        hide_frame(axes)
        return svg(figure, key="parallaxes", title="Parallaxes per species, threshold marked")


def passive_plot(result: PolicyResult) -> Markup | None:
    """Medians of the passive networks' answers per species, between veto and acceptance."""
    rows = _spreads(result, "medians")
    if not rows:
        return None
    with style():
        figure, (axes,) = canvas(height_in=0.9 + _ROW_IN * len(rows))
        for place, (name, spread) in enumerate(rows):
            _box(axes, place, spread.quantiles, name=name)
        for limit in (result.passive_veto, result.passive_accept):
            axes.axvline(limit, color=INK, linewidth=1, linestyle=":")
        axes.set_xlim(-0.02, 1.02)
        _name_rows(axes, [f"{_label(name)} ({spread.count:,})" for name, spread in rows])
        axes.set_xlabel(f"median P(live); dotted: veto {result.passive_veto:g}, accept {result.passive_accept:g}")
        hide_frame(axes)
        return svg(figure, key="passive", title="Medians of the passive networks per species, thresholds marked")


def time_plot(result: PolicyResult) -> Markup | None:
    """Share of living visitors whose proof had passed by a time."""
    times = result.bona_fide.times if result.bona_fide is not None else None
    if times is None or times.every is None:
        return None
    shown = [
        (spread, label, colour, dash)
        for spread, label, colour, dash in (
            (times.unasked, "not asked", SERIES[2], "-"),
            (times.asked, "asked for head turns", SERIES[0], "-"),
            (times.every, "all", INK, "--"),
        )
        if spread is not None and not (spread is times.every and (times.asked is None or times.unasked is None))
    ]
    with style():
        figure, (axes,) = canvas(height_in=2.6)
        for spread, label, colour, dash in shown:
            axes.plot(spread.quantiles, PERCENTS, color=colour, linestyle=dash, label=f"{label} ({spread.count:,})")
        axes.axhline(50, color=QUIET, linewidth=0.8, linestyle=":")
        axes.set_xlim(left=0)
        axes.set_ylim(0, 102)
        axes.set_xlabel("s from the first compared frame")
        axes.set_ylabel("% of those who passed")
        axes.legend(loc="best")
        return svg(figure, key="times", title="Time to a decision of living visitors whose proof passed")


def _spreads(result: PolicyResult, name: str) -> list[tuple[str, Spread]]:
    """Living visitors first, then attack types by name."""
    found: list[tuple[str, Spread | None]] = [
        (each.species, getattr(each, name)) for each in sorted(result.attacks, key=lambda each: each.species)
    ]
    if result.bona_fide is not None:
        found.insert(0, (LIVE, getattr(result.bona_fide, name)))
    return [(species, spread) for species, spread in found if spread is not None]


def _label(species: str) -> str:
    return "living" if species == LIVE else named(species)


def _box(axes: Axes, place: int, quantiles: Sequence[float], *, name: str) -> None:
    """Hair line from the least to the greatest, bar over the middle half, dot at the median."""
    colour = _LIVING if name == LIVE else _ATTACK
    middle = len(quantiles) // 2
    quarter = middle // 2
    axes.plot([quantiles[0], quantiles[-1]], [place, place], color=colour, linewidth=1, solid_capstyle="butt")
    axes.plot(
        [quantiles[quarter], quantiles[-1 - quarter]],
        [place, place],
        color=colour,
        linewidth=5,
        alpha=0.45,
        solid_capstyle="butt",
    )
    axes.plot([quantiles[0], quantiles[-1]], [place, place], "|", color=colour, markersize=6)
    axes.plot([quantiles[middle]], [place], marker="o", markersize=4.5, color=colour)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
