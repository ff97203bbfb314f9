"""The page around every report: one file, no script, nothing fetched, light and dark, readable on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from export_tools.report.markup import Child, Markup, element, join

_CSS: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f23; --soft: #5b636b; --line: #d9dde1; --quiet: #9aa3ab;
  --wash: #f4f6f7; --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #b4558c; --s4: #b87d00; --s5: #2d8fc4; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e4e7ea; --soft: #9aa3ab; --line: #363c42;
  --quiet: #6f7880; --wash: #1c2024; --s0: #4ba3dd; --s1: #f0803c; --s2: #2fbf95; --s3: #dd8fba; --s4: #e6b13a;
  --s5: #7cc4ee; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft { color: var(--soft); }
.scroll { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; }
tbody th { color: inherit; }
.n { text-align: right; white-space: nowrap; }
.nowrap { white-space: nowrap; }
pre, code { font: .85rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { background: var(--wash); padding: .6rem .8rem; white-space: pre-wrap; overflow-x: auto; margin: .5rem 0; }
ul { margin: .4rem 0; padding-left: 1.1rem; max-width: 52rem; }
li { margin: .15rem 0; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0; font-size: .875rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 2rem; margin: .75rem 0; }
figure { margin: 0; flex: 1 1 min(26rem, 100%); max-width: 31rem; }
figcaption { font-size: .875rem; color: var(--soft); }
svg.plot { display: block; width: 100%; height: auto; }
svg.plot text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
nav { font-size: .875rem; margin: .5rem 0; }
nav a { margin-right: 1rem; }
a { color: var(--s0); }
@media (max-width: 44rem) {
  body { padding: 1rem .9rem 3rem; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
  table.stack thead { display: none; }
  .stack .n { text-align: left; } .stack td:empty { display: none !important; }
  table.stack, .stack tbody, .stack tr, .stack th, .stack td { display: block; padding: 0; border: 0; }
  table.stack tr { padding: .6rem 0; border-bottom: 1px solid var(--line); }
  table.stack td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); }
}
@media print { body { max-width: none; } figure, tr { break-inside: avoid; } }
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, *body: Child) -> str:
    """A whole HTML document."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}" />'),
        element("title", title),
        Markup(f"<style>{_CSS}</style>"),
    )
    document = element("html", head, element("body", element("main", *body)), lang="en")
    return f"<!DOCTYPE html>\n{document.text}\n"


def table(
    head: Sequence[str], rows: Sequence[Sequence[Child]], *, numbers: Sequence[int] = (), stack: str = ""
) -> Markup:
    """A table; the first cell of each row heads it.

    Args:
        head: Names of the columns.
        rows: Cells, as many as names.
        numbers: Columns that hold figures.
        stack: ``stack`` lays the cells of a row under one another on a phone; else the table scrolls.
    """

    def cell(place: int, child: Child) -> Markup:
        tag = "th" if place == 0 else "td"
        return element(
            tag,
            child,
            class_="n" if place in numbers else None,
            scope="row" if place == 0 else None,
            data_label=head[place] if stack and place else None,
        )

    titles = [
        element("th", name, class_="n" if place in numbers else None, scope="col") for place, name in enumerate(head)
    ]
    lines = [element("tr", *(cell(place, child) for place, child in enumerate(row))) for row in rows]
    whole = element(
        "table", element("thead", element("tr", *titles)), element("tbody", *lines), class_="stack" if stack else None
    )
    return element("div", whole, class_="scroll")


def listing(entries: Sequence[tuple[str, Child]]) -> Markup:
    """Names and what they stand for."""
    return element("dl", *(part for name, value in entries for part in (element("dt", name), element("dd", value))))


def plots(*shown: tuple[str, Markup | None]) -> Markup | None:
    """Plots side by side with their captions; None where there is none."""
    figures = [element("figure", element("figcaption", caption), plot) for caption, plot in shown if plot is not None]
    return element("div", *figures, class_="plots") if figures else None


def paragraph(*children: Child, soft: str = "") -> Markup:
    """A paragraph; ``soft`` is its class, if any."""
    return element("p", *children, class_=soft or None)


def section(title: str, *children: Child, anchor: str | None = None) -> Markup:
    """A heading and what belongs to it."""
    return element("section", element("h2", title), *children, id=anchor)


def together(*children: Child) -> Markup:
    """Several things as one."""
    return join(children)
