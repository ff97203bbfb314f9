"""Where a result goes: JSON, CSV, a page; each file whole or not at all, with the command that makes it again."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from device.clock import SystemClock
from device.errors import NotFoundError
from export_tools.evaluate.results.common import Result
from export_tools.evaluate.tables import write_tables
from export_tools.report.conditions import Conditions
from export_tools.report.machine import this_machine
from export_tools.whole import write_whole

_INPUTS: Final = ("pairs", "gallery", "probes", "manifest", "annotations", "sweep", "images", "config")
_NOT_MEASURED: Final = frozenset({"measure", "action", "json", "csv", "html"})
"""What of a call's options is no option of the measurement."""


def require_places(options: argparse.Namespace) -> None:
    """Minutes of measuring should not end at a folder that is not there. Raises NotFoundError."""
    for place in (options.html, None if options.json in (None, "-") else Path(options.json)):
        if place is not None and not place.parent.is_dir():
            raise NotFoundError(f"there is no folder {place.parent}", hint="make it, or name another place")


def deliver(options: argparse.Namespace, result: Result, *, prefix: str, page: Callable[[Conditions], str]) -> bool:
    """Write a result as the options say, each file whole or not at all; whether it is still to be told to a person.

    Args:
        options: Name the places.
        result: What was found.
        prefix: Of the CSV files.
        page: Draws the page; called where one is wanted.

    Raises:
        UsageError: It cannot be written.
    """
    text = result.model_dump_json(indent=1) + "\n"
    if options.csv is not None:
        write_tables(result, options.csv, prefix=prefix)
    if options.html is not None:
        write_whole(options.html, page(_conditions(options)))
    if options.json == "-":
        sys.stdout.write(text)
        return False
    if options.json is not None:
        write_whole(Path(options.json), text)
    return True


def _conditions(options: argparse.Namespace) -> Conditions:
    """What the page says beside the figures."""
    return Conditions(
        measured_on=SystemClock().wall().date().isoformat(),
        pack=options.pack,
        inputs=tuple(
            (f"--{name}", str(vars(options)[name])) for name in _INPUTS if vars(options).get(name) is not None
        ),
        machine=this_machine(),
        command=reproducing_command(options),
    )


def reproducing_command(options: argparse.Namespace) -> str:
    """The command line that measures the same again: every option as it is in force."""
    words = ["doorward-export", "evaluate", options.measure]
    for name, value in vars(options).items():
        if name in _NOT_MEASURED or value is None or value is False:
            continue
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join([*words, "--html", f"{options.measure}.html"])
