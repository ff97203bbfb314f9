"""`doorward-export report`: every model of some packs at every precision, measured, as one page."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console

from device.errors import NotFoundError, UsageError
from export_tools.commands.pictures import add_calibration, calibration_folder
from export_tools.commands.progress import TerminalSteps, print_line
from export_tools.commands.shared import add_sources, fetcher_for
from export_tools.report.result import ReportResult, read_report
from export_tools.whole import write_whole


def add(commands: Any) -> None:
    """Register the command."""
    text = "Measure every model of packs at every precision: size, error, latency, and what follows for each target."
    report: argparse.ArgumentParser = commands.add_parser("report", help=text, description=text)
    report.add_argument("--packs", default="door,door-plus", help="which packs, by comma (door,door-plus)")
    add_calibration(report)
    report.add_argument("--threads", type=int, default=1, help="threads per inference (1)")
    report.add_argument("--from", dest="source", type=Path, help="a result that --json wrote: nothing is measured")
    report.add_argument("--html", type=Path, help="write the page here")
    report.add_argument("--json", type=Path, help="write the result here; - is standard output")
    report.add_argument("--csv", type=Path, help="write the tables into this folder")
    add_sources(report)
    report.set_defaults(action=_report)


def _report(options: argparse.Namespace) -> None:
    if options.html is None and options.json is None and options.csv is None:
        raise UsageError("the report has no place to go", hint="add --html FILE, --json FILE or --csv DIR")
    if not 1 <= options.threads <= 64:
        raise UsageError(f"--threads {options.threads} is not 1 to 64", hint="use 1 to compare with the door")
    for path in (options.html, options.json):
        # Minutes of measuring should not end at a folder that is not there.
        if path is not None and str(path) != "-" and not path.parent.is_dir():
            raise NotFoundError(f"there is no folder {path.parent}", hint="make it, or name another place")
    result = read_report(options.source) if options.source is not None else _measured(options)
    if options.json is not None:
        text = result.model_dump_json(indent=1) + "\n"
        if str(options.json) == "-":
            sys.stdout.write(text)
        else:
            write_whole(options.json, text)
    if options.csv is not None:
        from export_tools.report.tables import report_tables  # noqa: PLC0415 with the others below

        write_folder(options.csv, report_tables(result))
    if options.html is not None:
        write_whole(options.html, _page(result))
        print_line(Console(stderr=True), f"the report is in {options.html}")


def _page(result: ReportResult) -> str:
    try:
        from export_tools.report.pack_page import pack_page  # noqa: PLC0415 a device that builds has no matplotlib
    except ModuleNotFoundError as exc:
        raise UsageError(
            f"the page needs {exc.name}", hint="install the extra: pip install 'doorward[evaluate]'"
        ) from exc
    return pack_page(result)


def _measured(options: argparse.Namespace) -> ReportResult:
    from export_tools.report.engines import find_engines  # noqa: PLC0415 converters load slowly; --from needs none
    from export_tools.report.measure import measure_packs  # noqa: PLC0415
    from export_tools.report.runner import Settings  # noqa: PLC0415

    names = [name.strip() for name in options.packs.split(",") if name.strip()]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"--packs {options.packs!r} names no packs, or one twice", hint="--packs door,door-plus")
    if options.html is not None:
        _page_can_be_made()
    options.calibration = calibration_folder(options)
    settings = Settings(
        calibration=options.calibration,
        threads=options.threads,
        command=reproducing_command(options),
        measured_on=datetime.now(timezone.utc).date().isoformat(),
    )
    steps = TerminalSteps(Console(stderr=True))
    return measure_packs(names, fetcher=fetcher_for(options), settings=settings, steps=steps, engines=find_engines())


def _page_can_be_made() -> None:
    """A missing library is told before the measurement, not after. Raises UsageError."""
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415
    except ModuleNotFoundError as exc:
        raise UsageError(
            f"the page needs {exc.name}", hint="install the extra: pip install 'doorward[evaluate]'"
        ) from exc


def reproducing_command(options: argparse.Namespace) -> str:
    """The command line that measures the same again."""
    words = ["doorward-export", "report", "--packs", str(options.packs)]
    for name in ("mirror", "calibration"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    return shlex.join([*words, "--threads", str(options.threads), "--html", "report.html"])


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder, which is made where it is missing. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"cannot make {folder}: {exc.strerror}", hint="name another folder") from exc
    for name, text in files.items():
        write_whole(folder / name, text)
