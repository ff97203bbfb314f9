"""`doorward-export`: bring archives, build packs, verify them.

    doorward-export fetch      bring the archives of a pack (and the demo's photographs) into the cache
    doorward-export convert    fetch, convert, and put the sealed pack into the state directory
    doorward-export verify     check a built pack, file by file

Exit codes are those of :mod:`device.errors`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import click
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from device.errors import DoorwardError, UsageError
from device.keys import KeyFile, StateKeys
from device.vision.pack import Pack
from export_tools.build import build_pack, pack_directory, verify_pack
from export_tools.cards import PACKS_DIRECTORY, PhotoCard, load_card, load_pack_card
from export_tools.fetch import Fetcher, default_cache

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, rich_markup_mode=None)

PackOption = Annotated[str, typer.Option("--pack", help="Which pack: a description in models/packs.")]
MirrorOption = Annotated[
    Path | None, typer.Option("--mirror", help="Folder with the archives, used instead of the package index.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never open a network connection.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder that keeps the archives (else $DOORWARD_CACHE/archives).")
]
StateOption = Annotated[Path, typer.Option("--state", envvar="DOORWARD_STATE", help="The state directory.")]
KeyOption = Annotated[Path | None, typer.Option("--key-file", help="The state key (else state.key in --state).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result for machines.")]

DEFAULT_STATE = Path(".doorward")


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
            self._task = self._progress.add_task(name, total=total, completed=done)
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


def _fetcher(*, cache: Path | None, mirror: Path | None, offline: bool) -> Fetcher:
    reporter = TerminalReporter(Console(stderr=True))
    return Fetcher(cache=cache or default_cache(), mirror=mirror, offline=offline, reporter=reporter)


def _mac_key(state: Path, key_file: Path | None, *, create: bool) -> bytes:
    return StateKeys.derive(KeyFile(key_file or state / "state.key", create=create).load()).pack_mac


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


@app.command()
def fetch(
    *,
    pack: PackOption = "door",
    demo_photos: Annotated[bool, typer.Option("--demo-photos", help="Bring the demo's photographs too.")] = False,
    mirror: MirrorOption = None,
    offline: OfflineOption = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the archives of a pack into the cache, verified."""
    fetcher = _fetcher(cache=cache, mirror=mirror, offline=offline)
    card, _ = load_pack_card(pack)
    archives = list(card.archives.values())
    if demo_photos:
        archives.append(load_card(PACKS_DIRECTORY / "demo-photos.yaml", PhotoCard)[0].archive)
    paths = {archive.file: fetcher.fetch(archive) for archive in archives}
    if as_json:
        _print_json({"pack": pack, "archives": {name: str(path) for name, path in paths.items()}})
    else:
        for archive in archives:
            typer.echo(f"ok  {paths[archive.file]}  sha256 {archive.sha256[:16]}...")


@app.command()
def convert(
    *,
    pack: PackOption = "door",
    state: StateOption = DEFAULT_STATE,
    key_file: KeyOption = None,
    mirror: MirrorOption = None,
    offline: OfflineOption = False,
    cache: CacheOption = None,
    force: Annotated[bool, typer.Option("--force", help="Build even where nothing changed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch and convert the models of a pack and put them, sealed under the state key, into the state directory."""
    started = time.monotonic()
    fetcher = _fetcher(cache=cache, mirror=mirror, offline=offline)
    key = _mac_key(state, key_file, create=True)
    result = build_pack(pack, state=state, mac_key=key, fetcher=fetcher, force=force)
    elapsed_s = time.monotonic() - started
    if as_json:
        _print_json({**_as_dict(result.pack), "built": result.built, "elapsed_s": round(elapsed_s, 3)})
    else:
        done = f"built in {elapsed_s:.1f} s" if result.built else "is up to date"
        typer.echo(f"pack {pack} {done}: {result.pack.directory}")


@app.command()
def verify(
    *,
    pack: PackOption = "door",
    state: StateOption = DEFAULT_STATE,
    key_file: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a built pack: seal, manifest, and every model to the byte."""
    key = _mac_key(state, key_file, create=False)
    sound = verify_pack(pack_directory(state, pack), mac_key=key)
    if as_json:
        _print_json(_as_dict(sound))
        return
    table = Table("role", "model", "bytes", "sha256", "licence")
    for role, entry in sound.manifest.models.items():
        table.add_row(role, entry.model_id, f"{entry.size_bytes:,}", entry.sha256[:16], entry.source.licence)
    console = Console()
    console.print(table)
    console.print(f"pack {pack} is complete and unaltered: {sound.directory}", highlight=False, soft_wrap=True)


@contextmanager
def _wrapped_usage() -> Iterator[None]:
    try:
        yield
    except click.UsageError as exc:
        raise UsageError(exc.format_message(), hint="doorward-export --help") from exc


def run(arguments: list[str] | None = None) -> int:
    """Run `doorward-export` with these arguments (the command line's, if None) and return the exit code."""
    try:
        with _wrapped_usage():
            outcome = app(args=arguments, prog_name="doorward-export", standalone_mode=False)
    except DoorwardError as exc:
        sys.stderr.write(f"error: {exc.message}\n" + (f"hint: {exc.hint}\n" if exc.hint else ""))
        return exc.exit_code
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("interrupted; call this again and it goes on where it stopped\n")
        return 130
    return outcome if isinstance(outcome, int) else 0


def main() -> None:
    """The console script: run and exit."""
    sys.exit(run())
