"""Progress on standard error: bars on a terminal, lines elsewhere. Names out of files neither style nor drive it."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from device.commands.output import visible

#: So many characters of a name stand before a bar.
_BAR_NAME: Final = 24


def print_line(console: Console, text: str) -> None:
    """A line as it is."""
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def _bar(console: Console, *columns: ProgressColumn) -> Progress:
    return Progress(TextColumn("{task.description}", markup=False), BarColumn(), *columns, console=console)


class CountingReporter:
    """A bar per task of counted things and one line per note; without a terminal, only the notes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = _bar(console, self._count(), TimeRemainingColumn())
        self._task: TaskID | None = None

    def begin(self, name: str, *, total: int, done: int) -> None:
        """A bar of ``total`` things, ``done`` of them done."""
        if self._console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(visible(name), total=total, completed=done)

    def at(self, done: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def end(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._progress.stop()
            self._progress.remove_task(self._task)
            self._task = None

    def note(self, text: str) -> None:
        """One line."""
        print_line(self._console, text)

    @staticmethod
    def _count() -> ProgressColumn:
        return MofNCompleteColumn()


class TerminalReporter(CountingReporter):
    """A bar per file in bytes; without a terminal, the notes and one line per file."""

    def begin(self, name: str, *, total: int, done: int) -> None:
        """A bar for one file."""
        super().begin(_short(name), total=total, done=done)
        if not self._console.is_terminal:
            self.note(f"fetching {name} ({(total - done) / 1e6:.1f} MB)")

    @staticmethod
    def _count() -> ProgressColumn:
        return DownloadColumn()


class TerminalSteps:
    """A bar over named steps; without a terminal, a line per step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = _bar(console, MofNCompleteColumn(), TimeElapsedColumn())
        self._task: TaskID | None = None
        self._total = self._begun = 0

    def begin(self, total: int) -> None:
        """Show the bar."""
        self._total = total
        if self._console.is_terminal:
            self._task = self._progress.add_task("", total=total)
            self._progress.start()

    def step(self, what: str) -> None:
        """The step before is done, this one begins."""
        self._begun += 1
        if self._task is not None:
            self._progress.update(self._task, completed=self._begun - 1, description=visible(what))
        else:
            print_line(self._console, f"{self._begun} of {self._total}: {what}")

    def end(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._progress.stop()


def _short(name: str) -> str:
    """An archive's name without version and platform, which would leave no room for the bar on 80 columns."""
    return name.partition("-")[0][:_BAR_NAME]
