"""Pages of reports: nothing in the data becomes markup, nothing is fetched, the same result gives the same bytes."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_tools.evaluate.results.any import EvaluationResult
from export_tools.report.evaluation import evaluation_page
from export_tools.report.markup import Markup, element, join
from export_tools.report.pack_page import pack_page
from export_tools.report.page import page, table
from export_tools.report.plots import canvas, style, svg
from export_tools.report.recognition_plots import Curve, roc_plot, threshold_plot, trade_off_plot
from tests.export_tools import report_samples as samples

ATTACK = "<script>alert(1)</script>\"'&lt;<!--]]>"

PAGES: dict[str, Callable[[], str]] = {
    "packs": lambda: pack_page(samples.report()),
    "verification": lambda: evaluation_page(samples.verification(), conditions=samples.conditions()),
    "identification": lambda: evaluation_page(samples.identification(), conditions=samples.conditions()),
    "pad": lambda: evaluation_page(samples.pad(), conditions=samples.conditions()),
    "detection": lambda: evaluation_page(samples.detection(), conditions=samples.conditions()),
    "latency": lambda: evaluation_page(samples.latency(), conditions=samples.conditions()),
}
ATTACKED: dict[str, Callable[[], str]] = {
    "packs": lambda: pack_page(samples.report(name=ATTACK, command=ATTACK)),
    "verification": lambda: evaluation_page(samples.verification(pairs_file=ATTACK), conditions=samples.conditions()),
    "pad": lambda: evaluation_page(samples.pad(species=ATTACK), conditions=samples.conditions()),
    "detection": lambda: evaluation_page(samples.detection(detector=ATTACK), conditions=samples.conditions()),
    "latency": lambda: evaluation_page(samples.latency(machine=ATTACK), conditions=samples.conditions()),
    "conditions": lambda: evaluation_page(samples.latency(), conditions=samples.conditions(given=ATTACK)),
}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Each page once."""
    return {name: make() for name, make in PAGES.items()}


def parsed(text: str) -> ET.Element:
    """What this process wrote a moment ago."""
    return ET.fromstring(text)  # noqa: S314


def tree(text: str) -> ET.Element:
    """The page as XML, after its doctype."""
    doctype, _, rest = text.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    return parsed(rest)


# ---- Markup


def test_text_is_escaped_wherever_it_enters() -> None:
    """In an element, in an attribute, in a list of children."""
    made = join(("<b>", element("td", "a<b>&", title="\"'<>")))
    assert made.text == '&lt;b&gt;<td title="&quot;&#x27;&lt;&gt;">a&lt;b&gt;&amp;</td>'


@given(st.text(), st.text())
def test_no_text_becomes_markup(inside: str, attribute: str) -> None:
    """Whatever the text, the element has one attribute, no child, and its text but for what XML forbids."""
    node = parsed(element("p", inside, title=attribute).text)
    assert len(node) == 0
    assert set(node.attrib) == {"title"}
    kept = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff￾￿]", "�", inside)
    assert (node.text or "") == kept.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("name", ["", "Script", "a b", "1", "on=click"])
def test_a_name_of_a_tag_cannot_come_from_data(name: str) -> None:
    """Only small letters, digits and hyphens make one."""
    with pytest.raises(ValueError, match="no element"):
        element(name)
    with pytest.raises(ValueError, match="no element"):
        element("p", **{name or " ": "x"})


def test_an_element_without_end_has_no_children() -> None:
    """<br /> and its like."""
    assert element("br").text == "<br />"
    with pytest.raises(ValueError, match="no element"):
        element("br", "text")


# ---- Pages


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_and_complete(pages: dict[str, str], name: str) -> None:
    """It parses; it has a language, a title, one heading of the first level and at least one plot; ids are unique."""
    root = tree(pages[name])
    assert root.tag == "html"
    assert root.get("lang") == "en"
    assert len(root.findall(".//title")) == 1
    assert len(root.findall(".//h1")) == 1
    assert root.findall(".//svg")
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", PAGES)
def test_every_reference_inside_a_page_leads_somewhere(pages: dict[str, str], name: str) -> None:
    """Links to sections, markers and clipping paths of plots."""
    root = tree(pages[name])
    ids = {node.get("id") for node in root.iter()}
    for node in root.iter():
        for value in node.attrib.values():
            for target in re.findall(r"^#(.+)$|url\(#([^)]+)\)", value):
                assert (target[0] or target[1]) in ids


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fetches_nothing_and_runs_nothing(pages: dict[str, str], name: str) -> None:
    """No address, no script, no handler; and its own policy forbids all of that."""
    text = pages[name]
    assert not re.search(r"https?:|//[a-z]|@import|javascript:|data:", text, re.IGNORECASE)
    root = tree(text)
    tags = {node.tag for node in root.iter()}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "foreignObject"}
    assert not any(key.startswith("on") for node in root.iter() for key in node.attrib)
    assert "default-src 'none'" in text


@pytest.mark.parametrize("name", ATTACKED)
def test_a_name_with_a_script_in_it_stays_a_name(name: str) -> None:
    """It is shown, and there is no such element."""
    text = ATTACKED[name]()
    assert "<script" not in text
    root = tree(text)
    assert not [node for node in root.iter() if node.tag == "script"]
    assert ATTACK in "".join(root.itertext())


@pytest.mark.parametrize("name", PAGES)
def test_the_same_result_gives_the_same_bytes(pages: dict[str, str], name: str) -> None:
    """Made twice in one process; no date but the result's own, whatever a user's matplotlib is set to."""
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path"}):
        assert PAGES[name]() == pages[name]
    assert set(re.findall(r"20\d\d-\d\d-\d\d", pages[name])) <= {"2026-01-02"}


def test_a_page_is_made_for_light_and_dark_and_for_a_phone(pages: dict[str, str]) -> None:
    """By media queries alone; the plots take their colours from the page and its width."""
    text = pages["packs"]
    assert "prefers-color-scheme: dark" in text
    assert 'content="width=device-width, initial-scale=1"' in text
    for plot in tree(text).iter("svg"):
        assert plot.get("width") is None
        assert plot.get("viewBox")
        assert plot.get("aria-label")
    assert "var(--ink)" in text
    assert not re.search(r"#0[1-3]0[2-4]0[3-5]", text)


def test_the_first_thing_a_report_shows_is_what_runs() -> None:
    """The verdict of the pack stands before everything else, with precision, time, size and reason."""
    root = tree(pack_page(samples.report()))
    first = root.find(".//section")
    assert first is not None
    words = " ".join(first.itertext())
    for expected in ("Pack door-plus", "int8-u8", "2.22 ms", "5.70 MB", "2.7 times as fast as fp32", "fp16"):
        assert expected in words


def test_an_excluded_precision_is_shown_with_its_reason() -> None:
    """As a row without figures where it could not be made."""
    result = samples.report()
    model = result.models[0]
    excluded = model.precisions[3].model_copy(
        update={"excluded": "it loses every face", "size_bytes": None, "drift": None, "latency": ()}
    )
    without = model.model_copy(update={"precisions": (*model.precisions[:3], excluded)})
    words = " ".join(tree(pack_page(result.model_copy(update={"models": (without,)}))).itertext())
    assert "excluded: it loses every face" in words


def test_an_excluded_precision_that_was_measured_is_shown_with_its_figures() -> None:
    """Size, time and error of this run stand in its row, the reason behind them."""
    result = samples.report()
    model = result.models[0]
    excluded = model.precisions[3].model_copy(update={"excluded": "it loses every face"})
    without = model.model_copy(update={"precisions": (*model.precisions[:3], excluded)})
    words = " ".join(tree(pack_page(result.model_copy(update={"models": (without,)}))).itertext())
    assert "5.60 MB 8.00 ms (0.75 times as fast)" in words
    assert "excluded, measured: cosine 0.9995 on average, 0.9977 at least on 84 held-out chips" in words
    assert "(it loses every face)" in words
    assert "(int8-s8)" in words
    assert "In brackets: excluded" in words
    assert "In brackets" not in " ".join(tree(pack_page(samples.report())).itertext())


@pytest.mark.parametrize(("inputs", "told"), [(19, True), (20, False)])
def test_a_page_says_where_few_inputs_were_measured(inputs: int, told: bool) -> None:
    """Below twenty the least of them is a hint."""
    result = samples.report()
    model = result.models[0]
    drift = model.precisions[1].drift
    assert drift is not None
    few = model.precisions[1].model_copy(update={"drift": drift.model_copy(update={"inputs": inputs})})
    changed = model.model_copy(update={"precisions": (model.precisions[0], few, *model.precisions[2:])})
    words = " ".join(tree(pack_page(result.model_copy(update={"models": (changed,)}))).itertext())
    assert (f"Only {inputs} held-out inputs" in words) == told


def test_the_fit_of_the_alignment_is_not_told_as_an_error_of_the_chip() -> None:
    """It is what no similarity can remove."""
    words = " ".join(tree(pack_page(samples.report())).itertext())
    assert "a residual of 3.00 px remains" in words
    assert "not how far a chip is from where it should be" in words


def test_a_runtime_that_did_not_run_is_named() -> None:
    """Nobody reads a missing figure as a good one."""
    words = " ".join(tree(pack_page(samples.report())).itertext())
    assert "TensorRT: not run on this machine" in words


def test_an_evaluation_in_which_nothing_was_resolved_still_has_a_page() -> None:
    """No plot can be drawn from a curve of zeros, and no figure is invented."""
    result = samples.identification()
    curve = result.curve.model_copy(update={"fpir": (0.0,) * 40, "fnir": (0.0,) * 40})
    text = evaluation_page(result.model_copy(update={"curve": curve}), conditions=samples.conditions())
    assert not list(tree(text).iter("svg"))


def test_a_page_of_nothing_but_a_title_is_valid() -> None:
    """The frame itself."""
    assert tree(page("a < b", table(("x",), []))).findtext(".//title") == "a < b"


def test_plots_of_one_page_keep_their_ids_apart() -> None:
    """The same figure twice under two keys shares none."""
    found: list[Markup] = []
    for key in ("one", "two"):
        with style():
            figure, (axes,) = canvas()
            axes.plot([0, 1], [0, 1], marker="o")
            found.append(svg(figure, key=key, title="a line"))
    first, second = ({node.get("id") for node in parsed(each.text).iter() if node.get("id")} for each in found)
    assert first
    assert not first & second


def test_a_result_of_every_kind_is_an_evaluation() -> None:
    """The samples cover what an evaluation may return."""
    kinds: set[str] = {result.kind for result in samples.evaluations().values()}
    assert kinds == set(PAGES) - {"packs"}
    assert all(isinstance(result, EvaluationResult.__args__) for result in samples.evaluations().values())


@pytest.mark.parametrize("kind", sorted(samples.evaluations()))
def test_every_evaluation_says_when_on_what_and_how_it_was_made(kind: str) -> None:
    """Day, pack, inputs as they were given, processor, and the command."""
    conditions = samples.conditions(given="../set of mine/pairs.txt")
    words = " ".join(tree(evaluation_page(samples.evaluations()[kind], conditions=conditions)).itertext())
    for said in (
        conditions.measured_on,
        conditions.pack,
        "../set of mine/pairs.txt",
        conditions.machine.processor,
        conditions.command,
    ):
        assert said in words


def _line(plot: Markup | None, colour: str) -> list[tuple[float, float]]:
    """The points of the one line of this colour, in the drawing's own units."""
    assert plot is not None
    # Those of the legend are not clipped to the axes.
    (path,) = (
        node
        for node in parsed(plot.text).iter("path")
        if f"stroke: {colour}" in node.get("style", "") and "clip-path" in node.attrib
    )
    numbers = [float(word) for word in re.findall(r"-?\d+(?:\.\d+)?", path.get("d", ""))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_errors_over_the_threshold_run_in_steps_and_end_at_zero() -> None:
    """By hand: four thresholds; no point of a line lies where the error is zero."""
    curve = Curve(
        label="x", threshold=(0.9, 0.8, 0.7, 0.6), false=(0.0, 0.1, 0.2, 0.5), missed=(0.4, 0.2, 0.0, 0.0), trials=10
    )
    plot = threshold_plot(curve, at=0.75, names=("FAR", "FRR"), key="k")
    for colour, levels in (("var(--s1)", 3), ("var(--s0)", 2)):
        points = _line(plot, colour)
        assert all(x == other_x or y == other_y for (x, y), (other_x, other_y) in itertools.pairwise(points))
        assert len({y for _, y in points}) == levels


def test_a_trade_off_draws_nothing_where_a_rate_is_zero() -> None:
    """And an operating point without a false accept is marked at the edge, and said to have none."""
    curve = Curve(
        label="x", threshold=(0.9, 0.8, 0.7, 0.6), false=(0.0, 0.1, 0.2, 0.5), missed=(0.4, 0.2, 0.1, 0.0), trials=10
    )
    for plot in (
        trade_off_plot([curve], point=(0.0, 0.4), names=("FAR", "FRR"), key="k"),
        roc_plot([curve], point=(0.0, 0.4), key="k"),
    ):
        assert plot is not None
        assert "operating point (FAR 0)" in plot.text
        left = min(x for x, _ in _line(plot, "var(--s0)"))
        assert left > 60
    nothing = Curve(label="x", threshold=(0.9,), false=(0.0,), missed=(0.4,), trials=10)
    assert trade_off_plot([nothing], point=(0.0, 0.4), names=("FAR", "FRR"), key="k") is None
    assert roc_plot([nothing], point=(0.0, 0.4), key="k") is None
