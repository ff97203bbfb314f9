"""The page of a report of packs: verdicts first, then every model, then the machine."""

from __future__ import annotations

from typing import Final

from device.vision.manifest import Role, Target
from export_tools.report.explain import error_words
from export_tools.report.markup import Child, Markup, element, join
from export_tools.report.pack_plots import cost_plot, error_plot
from export_tools.report.page import listing, page, paragraph, plots, section, table
from export_tools.report.result import Choice, ModelFigures, PackFigures, PrecisionFigures, ReportResult
from export_tools.report.words import many

FEW: Final = 20
"""Below so many held-out inputs a page says that they are few."""
_ROLES: Final[dict[Role, str]] = {
    "detector": "Face detector",
    "landmarks": "Landmarks",
    "iris": "Iris",
    "embedder": "Embedder",
    "pad_close": "Liveness, close crop",
    "pad_wide": "Liveness, wide crop",
}
_RUNTIMES: Final[dict[Target, str]] = {"onnxruntime": "ONNX Runtime", "tensorrt": "TensorRT"}


def pack_page(result: ReportResult) -> str:
    """The report as one HTML document; the same result gives the same bytes."""
    names = " and ".join(figures.pack for figures in result.packs)
    links = [element("a", model.name, href=f"#{_anchor(model, result)}") for model in result.models]
    return page(
        f"Doorward models: {names}",
        element("h1", f"Models of {names}"),
        paragraph(
            f"Measured on {result.measured_on}: {result.machine.processor},"
            f" {many(result.threads, 'thread')} per inference."
            " Times carry over to other machines only as ratios.",
            soft="soft",
        ),
        *(_verdicts(figures, result) for figures in result.packs),
        section("How it was measured", *_method(result), anchor="method"),
        element("nav", *links, aria_label="Models"),
        *(_model(model, result) for model in result.models),
        *(_recognition(figures, place) for place, figures in enumerate(result.packs)),
    )


def _verdicts(figures: PackFigures, result: ReportResult) -> Markup:
    rows: list[list[Child]] = []
    for choice in figures.choices:
        if choice.target != "onnxruntime":
            continue
        model = result.model(choice.model)
        at = model.at(choice.precision)
        row = next((each for each in at.latency if each.backend == "onnxruntime"), None)
        other = next(
            (each for each in figures.choices if each.role == choice.role and each.target == "tensorrt"), choice
        )
        rows.append(
            [
                join(
                    (
                        _ROLES[choice.role],
                        element("br"),
                        element("a", choice.model, href=f"#{_anchor(model, result)}", class_="nowrap"),
                    )
                ),
                element("strong", choice.precision, class_="nowrap"),
                f"{row.median_ms:.2f} ms" if row is not None else "not timed",
                f"{(at.size_bytes or 0) / 1e6:.2f} MB",
                element("span", other.precision, class_="nowrap"),
                choice.reason.partition(": ")[2],
            ]
        )
    head = ("Model", "ONNX Runtime", "Median", "File", "TensorRT", "Why, on ONNX Runtime")
    return section(f"Pack {figures.pack}", table(head, rows, numbers=(2, 3), stack="stack"))


def _method(result: ReportResult) -> tuple[Child, ...]:
    machine, held = result.machine, result.held_out
    backends = [f"{_RUNTIMES[each.name]}: {each.note}" for each in result.backends]
    entries: list[tuple[str, Child]] = [
        ("Processor", f"{machine.processor}, {many(machine.cores, 'core')}, {machine.architecture}"),
        ("Features", ", ".join(machine.flags) or "none that matter here"),
        ("System", machine.system),
        ("Libraries", ", ".join(f"{each.name} {each.version}" for each in machine.libraries)),
        *(("Runtime", each) for each in backends),
        (
            "Held-out set",
            (
                f"{held.description}: {held.sources} sources, {held.pictures} pictures; the other"
                f" {held.calibration_sources} sources are for calibration"
            ),
        ),
        (
            "Latency",
            f"median of {result.rounds} runs after {result.warm_up}, all precisions of a model in turn on real inputs",
        ),
    ]
    again = paragraph(f"Measure it again; it took {result.elapsed_s:.0f} s:")
    return listing(entries), again, element("pre", element("code", result.command))


def _model(model: ModelFigures, result: ReportResult) -> Markup:
    anchor = _anchor(model, result)
    entries: list[tuple[str, Child]] = [
        ("Role", _ROLES[model.role]),
        ("Parameters", f"{model.parameters:,} in the converted file"),
        ("Licence", model.licence),
    ]
    if model.conversion is not None:
        found = model.conversion
        share = found.max_abs / found.reach if found.reach else 0.0
        entries.append(
            (
                "Conversion",
                (
                    f"FP32 differs from {found.runtime} by at most {found.max_abs:.1e} on outputs that reach"
                    f" {found.reach:g} ({share:.1e} of it; {found.set}; recorded in models/README.md)"
                ),
            )
        )
    else:
        entries.append(("Conversion", "published as ONNX: the graph is taken over, nothing is converted"))
    if model.ranges is not None:
        entries.append(("INT8 ranges", f"recorded from {model.ranges}"))
    timed = sorted({row.backend for figures in model.precisions for row in figures.latency})
    costs = [
        (
            f"Time on {_RUNTIMES[backend]}, line from 10th to 90th percentile; size",
            cost_plot(model, backend=backend, key=f"{anchor}-{backend}"),
        )
        for backend in _RUNTIMES
        if backend in timed
    ]
    errors = error_plot(model, key=f"{anchor}-error")
    rows = [_precision_row(figures) for figures in model.precisions]
    head = ("Precision", "File", *(f"{_RUNTIMES[each]}" for each in _RUNTIMES), "Against FP32 on held-out inputs")
    return section(
        model.name,
        listing(entries),
        _few(model),
        plots(*costs, ("Error against FP32, held-out inputs per bin", errors)),
        _brackets(model),
        table(head, rows, numbers=(1,), stack="stack"),
        _outputs(model),
        _reasons(model, result),
        anchor=anchor,
    )


def _brackets(model: ModelFigures) -> Markup | None:
    shown = any(figures.excluded is not None and figures.size_bytes is not None for figures in model.precisions)
    return paragraph("In brackets: excluded, measured all the same.", soft="soft") if shown else None


def _few(model: ModelFigures) -> Markup | None:
    """A warning where a worst case is the worst of a handful."""
    inputs = min((figures.drift.inputs for figures in model.precisions if figures.drift is not None), default=FEW)
    if inputs >= FEW:
        return None
    words = f"Only {many(inputs, 'held-out input')}: too few for more than a hint. Add pictures with --calibration."
    return paragraph(element("strong", words))


def _precision_row(figures: PrecisionFigures) -> list[Child]:
    if figures.excluded is not None and figures.size_bytes is None:
        return [figures.precision, "", "", "", f"excluded: {figures.excluded}"]
    times: list[Child] = []
    for backend in _RUNTIMES:
        row = next((each for each in figures.latency if each.backend == backend), None)
        ratio = f" ({row.ratio:.2f} times as fast)" if row is not None and row.ratio is not None else ""
        if figures.precision == "fp32":
            ratio = ""
        times.append(f"{row.median_ms:.2f} ms{ratio}" if row is not None else "not run")
    error = "is what the others are compared with" if figures.precision == "fp32" else error_words(figures.drift)
    if figures.excluded is not None:
        error = f"excluded, measured: {error} ({figures.excluded})"
    return [figures.precision, f"{(figures.size_bytes or 0) / 1e6:.2f} MB", *times, error]


def _outputs(model: ModelFigures) -> Markup | None:
    """The numbers of each output; of many (YuNet has twelve) too, but folded away."""
    rows: list[list[Child]] = [
        [each.name, figures.precision, f"{each.max_abs:.2e}", f"{each.mean_abs:.2e}", f"{each.span:.3g}"]
        for figures in model.precisions
        if figures.drift is not None
        for each in figures.drift.outputs
    ]
    if not rows:
        return None
    inner = table(("Output", "Precision", "Greatest change", "Mean change", "Range in FP32"), rows, numbers=(2, 3, 4))
    return element("details", element("summary", "Change of each output"), inner)


def _reasons(model: ModelFigures, result: ReportResult) -> Markup:
    """What every target of every pack runs, and why; one line where several say the same."""
    said: dict[tuple[str, str, str], list[str]] = {}
    for figures in result.packs:
        for choice in figures.choices:
            if choice.model == model.name:
                said.setdefault(_key(choice), []).append(figures.pack)
    lines = [
        element("li", f"{' and '.join(packs)} on {_RUNTIMES[target]}: ", element("strong", precision), _after(reason))  # type: ignore[index]
        for (target, precision, reason), packs in said.items()
    ]
    return element("div", element("h3", "What runs, and why"), element("ul", *lines))


def _key(choice: Choice) -> tuple[str, str, str]:
    return choice.target, choice.precision, choice.reason


def _after(reason: str) -> str:
    """The reason without the precision that it begins with."""
    words = reason.partition(": ")[2]
    return f": {words}" if words else ""


def _recognition(figures: PackFigures, place: int) -> Markup | None:
    """Alignment, and the demo's photographs."""
    parts: list[Child] = []
    if figures.alignment is not None:
        found = figures.alignment
        parts.append(
            paragraph(
                f"Alignment: after the best fit to the template {found.template} ({found.side_px} px) a residual of"
                f" {found.residual_median_px:.2f} px remains (root mean square over the five points, median of"
                f" {found.faces} held-out faces; 90th percentile {found.residual_p90_px:.2f} px). It tells how far a"
                " face's shape is from the template's, not how far a chip is from where it should be."
            )
        )
    if figures.pairs:
        first = figures.pairs[0]
        rows: list[list[Child]] = [
            [
                each.precision,
                "chip and mirrored chip" if each.mirrored else "chip alone",
                f"{each.least_same:.4f}",
                f"{each.greatest_different:.4f}",
                f"{each.least_same - each.greatest_different:.4f}",
            ]
            for each in figures.pairs
        ]
        threshold = "" if figures.match_cosine is None else f" This pack matches from {figures.match_cosine:.4f}."
        parts += [
            paragraph(
                f"The demo's photographs: {first.same} pairs of one person, {first.different} of two. So few show"
                f" that the order holds, not how often it would fail.{threshold}"
            ),
            table(
                ("Precision", "Embedding of", "Least cosine, same", "Greatest cosine, different", "Gap"),
                rows,
                numbers=(2, 3, 4),
            ),
        ]
    return section(f"Recognition with {figures.pack}", *parts, anchor=f"recognition-{place}") if parts else None


def _anchor(model: ModelFigures, result: ReportResult) -> str:
    """An id that no name in the data can choose."""
    return f"model-{result.models.index(model)}"
