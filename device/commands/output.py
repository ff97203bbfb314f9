"""Words on the terminal: tables that never interpret what they show, JSON on one line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Wide enough that nothing is cut where no terminal tells its width.
_WIDTH = 160
#: Digits of a handle that people see; enough to be unique and to be typed.
HANDLE_DIGITS = 8

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text without anything that could drive a terminal (a file name may hold escape sequences)."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def print_json(value: Any) -> None:
    """One JSON document and a line break."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """One line for people."""
    sys.stdout.write(visible(text) + "\n")


def complain(message: str, *, hint: str) -> None:
    """An error on standard error: what happened, what to do."""
    sys.stderr.write(f"error: {visible(message)}\n" + (f"hint: {visible(hint)}\n" if hint else ""))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, styles: Iterable[str] = ()) -> None:
    """A table; every cell is shown as it is, markup and escapes included."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    colours = iter(styles)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row), style=next(colours, None))
    console.print(table)


def short(handle: str) -> str:
    """A handle as people see it."""
    return handle[:HANDLE_DIGITS]


def local_time(text: str | None) -> str:
    """An ISO 8601 time in this machine's zone, to the minute; a dash for none."""
    if text is None:
        return "-"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
