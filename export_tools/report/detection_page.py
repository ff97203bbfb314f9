"""The page of detection: recall over the size of faces."""

from __future__ import annotations

from export_tools.evaluate.results.detection import DetectionBin, DetectionResult
from export_tools.report.markup import Child, Markup, element
from export_tools.report.page import listing, page, paragraph, plots, table
from export_tools.report.plots import SERIES, canvas, style, svg
from export_tools.report.words import bounds, rate, share


def detection_page(result: DetectionResult, *, conditions: Markup) -> str:
    """How large a face must be to be found."""
    size = "face width" if result.size == "face_width" else "distance between the eyes"
    rows: list[list[Child]] = [
        [
            _bin(each),
            rate(each.recall),
            bounds(each.recall),
            "not known" if each.eye_error is None else share(each.eye_error, digits=1),
            "not known" if each.eye_error_p90 is None else share(each.eye_error_p90, digits=1),
        ]
        for each in result.bins
    ]
    wrong = result.false_positives_per_picture
    return page(
        f"Doorward detection: {result.detector}",
        element("h1", "Detection"),
        paragraph(f"{result.faces:,} faces in {result.pictures:,} pictures.", soft="soft"),
        listing(
            [
                ("Detector", result.detector),
                ("Recall", f"{rate(result.recall)}, 95 %: {bounds(result.recall)}"),
                (
                    "False positives",
                    f"{result.false_positives:,}" + ("" if wrong is None else f", {wrong:.3g} per picture"),
                ),
                ("A face is found", f"from an overlap of {result.min_overlap:g} (intersection over union)"),
                (
                    "Measured on",
                    "annotated pictures" if result.measured == "annotations" else "one face, rendered small",
                ),
            ]
        ),
        plots(
            (f"Recall over {size}, with 95 % intervals", _recall_plot(result, size)),
            ("Distance of the found eyes from the true ones", _eyes_plot(result, size)),
        ),
        table(
            (f"{size}, px".capitalize(), "Recall", "95 %", "Eye error, median", "Eye error, 90th percentile"),
            rows,
            numbers=(3, 4),
        ),
        paragraph("Eye errors are shares of the distance between the eyes.", soft="soft"),
        paragraph(f"Measured in {result.elapsed_s:.1f} s.", soft="soft"),
        conditions,
    )


def _bin(each: DetectionBin) -> str:
    if each.to_px is None:
        return f"{each.from_px:g} and more"
    return f"{each.from_px:g}" if each.from_px == each.to_px else f"{each.from_px:g} to {each.to_px:g}"


def _recall_plot(result: DetectionResult, size: str) -> Markup | None:
    shown = [each for each in result.bins if each.recall.value is not None]
    if not shown:
        return None
    with style():
        figure, (axes,) = canvas(height_in=2.8)
        values = [100 * (each.recall.value or 0.0) for each in shown]
        axes.plot(range(len(shown)), values, color=SERIES[0], marker="o", markersize=4)
        for place, each in enumerate(shown):
            if each.recall.interval is not None:
                ends = (100 * each.recall.interval.lower, 100 * each.recall.interval.upper)
                axes.plot([place, place], ends, color=SERIES[0], linewidth=1.2, solid_capstyle="butt")
        axes.set_xticks(range(len(shown)), [_tick(each) for each in shown])
        axes.set_ylim(0, 103)
        axes.set_xlabel(f"{size}, px")
        axes.set_ylabel("% of faces found")
        return svg(figure, key="recall", title=f"Recall over {size}")


def _eyes_plot(result: DetectionResult, size: str) -> Markup | None:
    shown = [each for each in result.bins if each.eye_error is not None]
    if not shown:
        return None
    with style():
        figure, (axes,) = canvas(height_in=2.8)
        places = range(len(shown))
        axes.plot(places, [100 * (each.eye_error or 0.0) for each in shown], color=SERIES[0], marker="o", markersize=4)
        worse = [(place, each.eye_error_p90) for place, each in zip(places, shown, strict=True)]
        known = [(place, 100 * value) for place, value in worse if value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), color=SERIES[1], marker="s", markersize=4, linestyle="--")
            axes.legend(["median", "90th percentile"])
        axes.set_xticks(places, [_tick(each) for each in shown])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"{size}, px")
        axes.set_ylabel("% of the distance between the eyes")
        return svg(figure, key="eyes", title=f"Error of the eyes over {size}")


def _tick(each: DetectionBin) -> str:
    return _bin(each).replace(" to ", "-").replace(" and more", "+")
