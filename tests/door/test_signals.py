"""What the console says to the person at the door."""

from __future__ import annotations

import io

from rich.console import Console

from device.door.signals import ConsoleSignals
from device.types import Signal


def _console() -> tuple[ConsoleSignals, io.StringIO]:
    file = io.StringIO()
    return ConsoleSignals(Console(file=file, width=80)), file


def test_one_line_per_change() -> None:
    """Showing the same again says nothing."""
    signals, file = _console()
    for signal in (Signal.LOOK_HERE, Signal.LOOK_HERE, Signal.TURN_LEFT, Signal.LOOK_HERE):
        signals.show(signal)
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == lines[2] != lines[1]


def test_every_signal_has_words_of_its_own() -> None:
    """Two prompts that read alike could not be answered."""
    signals, file = _console()
    for signal in Signal:
        signals.show(signal)
    lines = file.getvalue().splitlines()
    assert len(set(lines)) == len(Signal)
