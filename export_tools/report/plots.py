"""Plots as inline SVG: no date, no address, no script, colours by the page's own style, the same bytes every time.

The figures are drawn with the Agg canvas as the only backend; nothing touches matplotlib's global state.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from export_tools.evaluate.results.latency import LatencyRow
from export_tools.report.markup import Markup

#: Okabe and Ito's palette (2008), told apart by colour-blind readers; the page's style may lighten each in the dark.
SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
#: Stand for the page's text, hair lines and quiet fills; replaced by its variables.
INK, LINE, QUIET = "#010203", "#020304", "#030405"
_VARIABLES: Final = {
    **{colour: f"var(--s{number})" for number, colour in enumerate(SERIES)},
    INK: "var(--ink)",
    LINE: "var(--line)",
    QUIET: "var(--quiet)",
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "doorward",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "path.simplify": True,
}
_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_KEPT: Final = frozenset({"svg", "g", "path", "text", "tspan", "defs", "use", "clipPath", "rect"})


def canvas(*, width_in: float = 4.6, height_in: float = 2.6, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure with axes side by side; call inside :func:`style`."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


@contextmanager
def style() -> Iterator[None]:
    """The look of all plots, for the length of a ``with``; a user's own matplotlib settings have no part in it."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def svg(figure: Figure, *, key: str, title: str) -> Markup:
    """The figure as an SVG element.

    Args:
        figure: Drawn under :func:`style`.
        key: Unlike that of every other figure of the page: it keeps the ids apart.
        title: What it shows, for those who do not see it.
    """
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 matplotlib wrote it a moment ago
    _tidy(root, key=key)
    view = root.get("viewBox", "0 0 1 1")
    root.attrib = {"viewBox": view, "role": "img", "aria-label": title, "class": "plot"}
    return Markup(ET.tostring(root, encoding="unicode", short_empty_elements=True))


def powers_of_ten(axes: Axes, *, x: bool = False, y: bool = False) -> None:
    """Label a logarithmic axis 10^-3 and so on."""
    for wanted, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if wanted:
            axis.set_major_formatter(FuncFormatter(_power))
            axis.set_minor_formatter(NullFormatter())


def mark(axes: Axes, x: float, y: float, *, label: str, offset: tuple[float, float] = (6, 6)) -> None:
    """The operating point."""
    axes.plot([x], [y], marker="o", markersize=6, color=INK, markerfacecolor="none", markeredgewidth=1.4, clip_on=False)
    axes.annotate(label, (x, y), xytext=offset, textcoords="offset points", fontsize=8)


def hide_frame(axes: Axes, *, keep: Sequence[str] = ()) -> None:
    """Leave only what carries meaning."""
    for side in ("left", "right", "top", "bottom"):
        axes.spines[side].set_visible(side in keep)


def _power(value: float, _: int) -> str:
    if value <= 0:
        return "0"
    exponent = f"{value:e}".partition("e")[2]
    number = int(exponent)
    return "1" if number == 0 else f"10{str(number).translate(_SUPERSCRIPT)}"


def _tidy(root: ET.Element, *, key: str) -> None:
    """Drop namespaces, metadata and unused ids; prefix the others; colours to variables; the page's font."""
    used = set(re.findall(r"#([A-Za-z][\w-]*)", " ".join(" ".join(node.attrib.values()) for node in root.iter())))
    for parent in root.iter():
        for child in list(parent):
            if child.tag.rpartition("}")[2] not in _KEPT:
                parent.remove(child)
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        node.tail = None
        if node.tag not in {"text", "tspan"}:
            node.text = None
        node.attrib = {
            name.rpartition("}")[2]: _value(name, value, key)
            for name, value in node.attrib.items()
            if name != "id" or value in used
        }


def _value(name: str, value: str, key: str) -> str:
    if name == "id":
        return f"{key}-{value}"
    if name.endswith("href"):
        return f"#{key}-{value.removeprefix('#')}"
    value = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", value)
    if name != "style":
        return value
    value = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", value)
    for colour, variable in _VARIABLES.items():
        value = value.replace(colour, variable)
    return value


def latency_bar(axes: Axes, place: int, row: LatencyRow, *, colour: str) -> None:
    """A bar up to the median of a row in ms, a line from the 10th to the 90th percentile, and the number."""
    axes.barh(place, row.median_ms, height=0.62, color=colour)
    axes.plot([row.p10_ms, row.p90_ms], [place, place], color=INK, linewidth=1, solid_capstyle="butt")
    axes.annotate(
        f"{row.median_ms:.2f}",
        (max(row.p90_ms, row.median_ms), place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )
