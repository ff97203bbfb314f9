"""HTML that cannot be injected into: text is escaped where it enters, and only this module makes tags.

The output is HTML5 and well-formed XML at once, so that a test can parse it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_VOID: Final = frozenset({"meta", "br", "col"})
_NAME: Final = re.compile(r"^[a-z][a-z0-9-]*$")
#: What XML, and with it a well-formed page, does not allow.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Markup:
    """Finished HTML."""

    text: str


Child = Markup | str | None
"""A string is text and will be escaped; None is nothing."""


def element(tag: str, *children: Child, **attributes: str | None) -> Markup:
    """One element.

    Args:
        tag: Its name.
        children: What is in it.
        attributes: By name; ``class_`` is class, an underscore inside a name is a hyphen, None leaves it out.

    Raises:
        ValueError: No name of a tag or attribute, or children in an element that has none.
    """
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    if not all(map(_NAME.match, (tag, *named))) or (tag in _VOID and children):
        raise ValueError(f"no element: {tag} {sorted(named)}")
    inside = "".join(f' {name}="{_escaped(value)}"' for name, value in named.items())
    if tag in _VOID:
        return Markup(f"<{tag}{inside} />")
    return Markup(f"<{tag}{inside}>{join(children).text}</{tag}>")


def join(children: Iterable[Child]) -> Markup:
    """One after the other."""
    return Markup(
        "".join(child.text if isinstance(child, Markup) else _escaped(child) for child in children if child is not None)
    )


def _escaped(text: str) -> str:
    return html.escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text), quote=True)
