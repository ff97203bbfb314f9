"""`doorward-export`: bring archives, build packs, verify them.

Exit codes are those of :mod:`device.errors`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NoReturn

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from device.errors import DoorwardError, UsageError
from device.keys import KeyFile, StateKeys
from device.store.files import DATABASE_NAME
from device.vision.pack import Pack
from export_tools.build import build_pack, pack_directory, verify_pack
from export_tools.cards import PACKS_DIRECTORY, PhotoCard, load_card, load_pack_card
from export_tools.sources.fetch import Fetcher, default_cache, fetch_photos

DEFAULT_STATE: Final = ".doorward"
#: So many characters of a name stand before a bar.
_BAR_NAME: Final = 24


class TerminalReporter:
    """Progress bars and notes on standard error; without a terminal, only the notes and one line per file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console
        )
        self._task: TaskID | None = None

    def begin(self, name: str, *, total: int, done: int) -> None:
        """A bar for one file."""
        if self._console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(_short(name), total=total, completed=done)
        else:
            self.note(f"fetching {name} ({(total - done) / 1e6:.1f} MB)")

    def at(self, done: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def end(self) -> None:
        """Leave the bar where it is."""
        if self._task is not None:
            self._progress.stop()
            self._progress.remove_task(self._task)
            self._task = None

    def note(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _short(name: str) -> str:
    """An archive's name without version and platform, which would leave no room for the bar on 80 columns."""
    return name.partition("-")[0][:_BAR_NAME]


def _fetcher(options: argparse.Namespace) -> Fetcher:
    reporter = TerminalReporter(Console(stderr=True))
    return Fetcher(
        cache=options.cache or default_cache(), mirror=options.mirror, offline=options.offline, reporter=reporter
    )


def _mac_key(options: argparse.Namespace, *, create: bool) -> bytes:
    """A key is made only where no database was written under another one."""
    create = create and not (options.state / DATABASE_NAME).exists()
    return StateKeys.derive(KeyFile(options.key_file or options.state / "state.key", create=create).load()).pack_mac


def _as_dict(pack: Pack) -> dict[str, Any]:
    models = {
        role: {
            "model_id": entry.model_id,
            "file": str(pack.directory / entry.file),
            "size_bytes": entry.size_bytes,
            "sha256": entry.sha256,
            "licence": entry.source.licence,
        }
        for role, entry in pack.manifest.models.items()
    }
    return {
        "pack": pack.manifest.pack,
        "directory": str(pack.directory),
        "models": models,
        "match_cosine": pack.thresholds.match_cosine,
        "match_fmr": pack.thresholds.default_fmr,
        "built_with": pack.manifest.built_with,
    }


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _fetch(options: argparse.Namespace) -> None:
    fetcher = _fetcher(options)
    archives = list(load_pack_card(options.pack)[0].archives.values())
    if options.demo_photos:
        archives.append(load_card(PACKS_DIRECTORY / "demo-photos.yaml", PhotoCard)[0].archive)
    paths = {archive.file: fetcher.fetch(archive) for archive in archives}
    if options.json:
        _print_json({"pack": options.pack, "archives": {name: str(path) for name, path in paths.items()}})
        return
    for archive in archives:
        sys.stdout.write(f"ok  {paths[archive.file]}  sha256 {archive.sha256[:16]}...\n")


def _convert(options: argparse.Namespace) -> None:
    started = time.monotonic()
    key = _mac_key(options, create=True)
    result = build_pack(options.pack, state=options.state, mac_key=key, fetcher=_fetcher(options), force=options.force)
    elapsed_s = time.monotonic() - started
    if options.json:
        _print_json({**_as_dict(result.pack), "built": result.built, "elapsed_s": round(elapsed_s, 3)})
        return
    done = f"built in {elapsed_s:.1f} s" if result.built else "is up to date"
    sys.stdout.write(f"pack {options.pack} {done}: {result.pack.directory}\n")


def _photos(options: argparse.Namespace) -> None:
    fetcher = _fetcher(options)
    folder = options.out or default_cache().parent / "demo-photos"
    photos = fetch_photos(fetcher=fetcher)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in photos.items():
            (folder / name).write_bytes(content)
    except OSError as exc:
        raise UsageError(f"cannot write the photographs to {folder}: {exc.strerror}", hint="choose --out") from exc
    if options.json:
        _print_json({"folder": str(folder), "photos": sorted(photos)})
        return
    sys.stdout.write(f"{len(photos)} photographs of public figures: {folder}\n")


def _verify(options: argparse.Namespace) -> None:
    key = _mac_key(options, create=False)
    sound = verify_pack(pack_directory(options.state, options.pack), mac_key=key)
    if options.json:
        _print_json(_as_dict(sound))
        return
    table = Table("role", "model", "bytes", "sha256", "licence")
    for role, entry in sound.manifest.models.items():
        table.add_row(role, entry.model_id, f"{entry.size_bytes:,}", entry.sha256[:16], entry.source.licence)
    console = Console()
    console.print(table)
    console.print(f"pack {options.pack} is complete and unaltered: {sound.directory}", highlight=False, soft_wrap=True)


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
    parser = _Parser(prog="doorward-export", description="Bring archives, build model packs, verify them.")
    parser.add_argument("--version", action="version", version=f"doorward-export {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, action: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(action=action)
        added.add_argument("--pack", default="door", help="which pack: a description in models/packs (door)")
        added.add_argument("--json", action="store_true", help="print the result for machines")
        return added

    fetch = command("fetch", _fetch, "Bring the archives of a pack into the cache, verified.")
    convert = command("convert", _convert, "Fetch, convert, and put the sealed pack into the state directory.")
    photos = command("photos", _photos, "Unpack the demo's photographs into the cache, verified.")
    photos.add_argument("--out", type=Path, help="into this folder instead")
    verify = command("verify", _verify, "Check a built pack: seal, manifest, and every model to the byte.")
    fetch.add_argument("--demo-photos", action="store_true", help="bring the demo's photographs too")
    convert.add_argument("--force", action="store_true", help="build even where nothing changed")
    for added in (fetch, convert, photos):
        added.add_argument("--mirror", type=Path, help="folder with the archives, used instead of the package index")
        added.add_argument("--offline", action="store_true", help="never open a network connection")
        added.add_argument("--cache", type=Path, help="folder that keeps the archives ($DOORWARD_CACHE/archives)")
    for added in (convert, verify):
        state = os.environ.get("DOORWARD_STATE", DEFAULT_STATE)
        added.add_argument("--state", type=Path, default=Path(state), help=f"the state directory ({state})")
        added.add_argument("--key-file", type=Path, help="the state key (state.key in the state directory)")
    return parser


def run(arguments: list[str] | None = None) -> int:
    """Run `doorward-export` with these arguments (the command line's, if None) and return the exit code."""
    try:
        options = _parser().parse_args(arguments)
        options.action(options)
    except DoorwardError as exc:
        sys.stderr.write(f"error: {exc.message}\n" + (f"hint: {exc.hint}\n" if exc.hint else ""))
        return exc.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; call this again and it goes on where it stopped\n")
        return 130
    return 0


def main() -> None:
    """The console script: run and exit."""
    sys.exit(run())
