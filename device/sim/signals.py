"""What the door tells the person, remembered so that simulated visitors can react to it."""

from __future__ import annotations

from device.interfaces import Clock, Signals
from device.types import Signal


class PromptBoard:
    """Keeps :class:`device.interfaces.Signals`: remembers the current signal, and passes it on.

    Args:
        clock: Its monotonic time says since when a signal is shown.
        forward: Where else to show it, for example a console.
    """

    def __init__(self, *, clock: Clock, forward: Signals | None = None) -> None:
        self._clock = clock
        self._forward = forward
        self._current = Signal.IDLE
        self._since_s = clock.monotonic()

    @property
    def current(self) -> Signal:
        """The signal that is shown now."""
        return self._current

    @property
    def since_s(self) -> float:
        """Monotonic time since which it is shown."""
        return self._since_s

    def show(self, signal: Signal) -> None:
        """Show this from now on; showing the same again changes nothing."""
        if signal is self._current:
            return
        self._current = signal
        self._since_s = self._clock.monotonic()
        if self._forward is not None:
            self._forward.show(signal)

    def close(self) -> None:
        """Show nothing any more."""
        self._current = Signal.IDLE
        self._since_s = self._clock.monotonic()
        if self._forward is not None:
            self._forward.close()
