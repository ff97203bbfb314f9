"""What the person at the door would be told, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from device.types import Signal

_WORDS = {
    Signal.IDLE: ("dim", "ready"),
    Signal.LOOK_HERE: ("cyan", "please look here"),
    Signal.COME_CLOSER: ("cyan", "please come closer"),
    Signal.TOO_DARK: ("yellow", "too dark here"),
    Signal.CHECKING: ("cyan", "one moment"),
    Signal.TURN_LEFT: ("bold cyan", "turn your head to your left"),
    Signal.TURN_RIGHT: ("bold cyan", "turn your head to your right"),
    Signal.LOOK_UP: ("bold cyan", "look up"),
    Signal.LOOK_DOWN: ("bold cyan", "look down"),
    Signal.LOOK_STRAIGHT: ("bold cyan", "look straight at me"),
    Signal.WAIT: ("yellow", "too many attempts, please wait"),
    Signal.GRANTED: ("bold green", "come in"),
    Signal.DENIED: ("bold red", "sorry, the door stays shut"),
}


class ConsoleSignals:
    """One line per change on a rich console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: Signal | None = None

    def show(self, signal: Signal) -> None:
        """Print the signal unless it is shown already."""
        if signal is self._shown:
            return
        self._shown = signal
        style, words = _WORDS[signal]
        self._console.print(Text(f"  door says: {words}", style=style))

    def close(self) -> None:
        """Say nothing any more."""
        self._shown = None
