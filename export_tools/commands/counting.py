"""Progress over things that are counted, on standard error."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from device.commands.output import visible
from export_tools.commands.shared import print_line


class CountingReporter:
    """A bar per task and one line per note; without a terminal, only the notes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def begin(self, name: str, *, total: int, done: int) -> None:
        """A bar of ``total`` things."""
        if self._console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(visible(name), total=total, completed=done)

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
