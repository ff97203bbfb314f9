"""The page of latency."""

from __future__ import annotations

from collections.abc import Sequence

from export_tools.evaluate.results.latency import LatencyResult, LatencyRow
from export_tools.report.markup import Child, Markup, element
from export_tools.report.page import page, paragraph, plots, table
from export_tools.report.plots import QUIET, SERIES, canvas, hide_frame, latency_bar, style, svg


def latency_page(result: LatencyResult, *, conditions: Markup) -> str:
    """How long models take, all in turn."""
    models = list(dict.fromkeys(row.model for row in result.rows))
    rows: list[list[Child]] = [
        [
            row.model,
            row.precision,
            row.backend,
            str(row.threads),
            str(row.batch),
            f"{row.median_ms:.3f}",
            f"{row.p10_ms:.3f} to {row.p90_ms:.3f}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
        ]
        for row in result.rows
    ]
    head = (
        "Model",
        "Precision",
        "Backend",
        "Threads",
        "Batch",
        "Median, ms",
        "10th to 90th percentile, ms",
        "Times as fast",
    )
    return page(
        "Doorward latency",
        element("h1", "Latency"),
        paragraph(
            f"{result.machine}: {result.rounds} rounds after {result.warm_up}, in turn, {result.inputs} real inputs."
            " Only ratios carry over to other machines.",
            soft="soft",
        ),
        plots(
            *(
                (
                    model,
                    _plot(model, [row for row in result.rows if row.model == model], key=f"latency-{place}"),
                )
                for place, model in enumerate(models)
            )
        ),
        table(head, rows, numbers=(3, 4, 5, 6, 7)),
        paragraph(f"Measured in {result.elapsed_s:.1f} s.", soft="soft"),
        conditions,
    )


def _plot(model: str, rows: Sequence[LatencyRow], *, key: str) -> Markup:
    with style():
        figure, (axes,) = canvas(height_in=0.75 + 0.27 * len(rows))
        for place, row in enumerate(rows):
            latency_bar(axes, place, row, colour=QUIET if row.precision == "fp32" else SERIES[0])
        axes.set_yticks(range(len(rows)), [f"{row.precision}, {row.backend}, {row.threads} thr." for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 1.2 * max(max(row.p90_ms, row.median_ms) for row in rows) or 1)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("ms per run; line from 10th to 90th percentile")
        hide_frame(axes, keep=("left",))
        return svg(figure, key=key, title=f"{model}: latency in milliseconds")
