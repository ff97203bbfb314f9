"""`doorward-export`: bring upstream files, build packs, measure them, calibrate them, verify them.

Exit codes are those of :mod:`device.errors`.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from device.commands.output import complain
from device.errors import DoorwardError, UsageError
from export_tools.commands import build, calibrate, convert, embedder, evaluate, fetch, quantize, report, verify

COMMANDS = (fetch, convert, quantize, embedder, build, evaluate, calibrate, report, verify)


class _Parser(argparse.ArgumentParser):
    """Reports a wrong call like every other error."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")


def _version() -> str:
    try:
        return version("doorward")
    except PackageNotFoundError:
        return "(not installed)"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="doorward-export", description="From upstream models to what a door runs, measured.")
    parser.add_argument("--version", action="version", version=f"doorward-export {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return parser


def run(arguments: list[str] | None = None) -> int:
    """Run `doorward-export` with these arguments (the command line's, if None) and return the exit code."""
    try:
        options = _parser().parse_args(arguments)
        options.action(options)
    except DoorwardError as exc:
        complain(exc.message, hint=exc.hint)
        return exc.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; call this again and it goes on where it stopped\n")
        return 130
    return 0


def main() -> None:
    """The console script: run and exit."""
    sys.exit(run())
