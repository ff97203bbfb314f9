"""What the commands share: options, the fetcher, the key, progress on standard error, JSON on standard output."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from device.commands.output import visible
from device.keys import KeyFile, StateKeys
from device.store.files import DATABASE_NAME
from export_tools.evaluate.cache import CachePlace
from export_tools.sources.fetch import Fetcher, default_cache

DEFAULT_STATE: Final = ".doorward"
#: So many characters of a name stand before a bar.
_BAR_NAME: Final = 24


class TerminalReporter:
    """Progress bars and notes on standard error; without a terminal, only the notes and one line per file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def begin(self, name: str, *, total: int, done: int) -> None:
        """A bar for one file."""
        if self._console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(visible(_short(name)), total=total, completed=done)
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
        print_line(self._console, text)


def print_line(console: Console, text: str) -> None:
    """A line as it is: names out of files neither style it nor drive the terminal."""
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def _short(name: str) -> str:
    """An archive's name without version and platform, which would leave no room for the bar on 80 columns."""
    return name.partition("-")[0][:_BAR_NAME]


def add_pack(parser: argparse.ArgumentParser) -> None:
    """Option: which pack."""
    parser.add_argument("--pack", default="door", help="which pack: a description in models/packs (door)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Option: the result for machines."""
    parser.add_argument("--json", action="store_true", help="print the result for machines")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Options: where upstream files come from."""
    parser.add_argument("--mirror", type=Path, help="folder with upstream files; what it has is not downloaded")
    parser.add_argument("--offline", action="store_true", help="never open a network connection")
    parser.add_argument("--cache", type=Path, help="folder that keeps downloads ($DOORWARD_CACHE/archives)")


def add_state(parser: argparse.ArgumentParser) -> None:
    """Options: the state directory and its key."""
    state = os.environ.get("DOORWARD_STATE", DEFAULT_STATE)
    parser.add_argument("--state", type=Path, default=Path(state), help=f"the state directory ({state})")
    parser.add_argument("--key-file", type=Path, help="the state key (state.key in the state directory)")


def fetcher_for(options: argparse.Namespace) -> Fetcher:
    """A fetcher as the options say, with progress on standard error."""
    return Fetcher(
        cache=options.cache or default_cache(),
        mirror=options.mirror,
        offline=options.offline,
        reporter=TerminalReporter(Console(stderr=True)),
    )


def mac_key(options: argparse.Namespace, *, create: bool) -> bytes:
    """The key that seals packs; made only where no database was written under another one. Raises StateError."""
    create = create and not (options.state / DATABASE_NAME).exists()
    return _keys(options, create=create).pack_mac


def embedding_place(options: argparse.Namespace) -> CachePlace:
    """Where embeddings are kept, sealed with the state's key. Raises StateError."""
    folder = options.embeddings or default_cache().parent / "embeddings"
    return CachePlace(folder, _keys(options, create=False).evaluation_cache)


def _keys(options: argparse.Namespace, *, create: bool) -> StateKeys:
    return StateKeys.derive(KeyFile(options.key_file or options.state / "state.key", create=create).load())


def print_json(value: Any) -> None:
    """A result for machines, on standard output."""
    sys.stdout.write(json.dumps(value, indent=1, allow_nan=False) + "\n")
