"""How fast a recording is played: at its own pace, or each frame as soon as the last one was dealt with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from device.interfaces import Clock


class AdvanceableClock(Clock, Protocol):
    """A clock that a recording may move."""

    def advance_to(self, now_s: float) -> None:
        """Move forward to ``now_s``; a time that has passed changes nothing."""


class Pace(Protocol):
    """When the next frame of a recording is due."""

    @property
    def live(self) -> bool:
        """Whether frames come at the world's pace."""

    def start(self) -> None:
        """The recording begins now."""

    def overdue(self, offset_s: float) -> bool:
        """Whether the moment ``offset_s`` after the start has passed."""

    def reach(self, offset_s: float) -> float:
        """Let the moment ``offset_s`` after the start come; returns it as monotonic time."""


class NativePace:
    """The recording's own pace: waits for each frame, and drops those that come too late, as a camera would.

    Args:
        clock: Tells the time.
        wait: Waits so many seconds, or less when the daemon stops (``threading.Event().wait``).
    """

    def __init__(self, clock: Clock, wait: Callable[[float], object]) -> None:
        self._clock = clock
        self._wait = wait
        self._start_s = clock.monotonic()

    @property
    def live(self) -> bool:
        """True."""
        return True

    def start(self) -> None:
        """Count from now."""
        self._start_s = self._clock.monotonic()

    def overdue(self, offset_s: float) -> bool:
        """Whether the moment has passed."""
        return self._start_s + offset_s <= self._clock.monotonic()

    def reach(self, offset_s: float) -> float:
        """Wait for the moment; cut short, the frame counts as taken now, never in the future."""
        due_s = self._start_s + offset_s
        pause_s = due_s - self._clock.monotonic()
        if pause_s > 0:
            self._wait(pause_s)
        return min(due_s, self._clock.monotonic())


class FastPace:
    """No waiting: each frame moves the clock to its own time."""

    def __init__(self, clock: AdvanceableClock) -> None:
        self._clock = clock
        self._start_s = clock.monotonic()

    @property
    def live(self) -> bool:
        """False."""
        return False

    def start(self) -> None:
        """Count from now."""
        self._start_s = self._clock.monotonic()

    def overdue(self, offset_s: float) -> bool:  # noqa: ARG002  # the Protocol's argument
        """Never: nothing is dropped."""
        return False

    def reach(self, offset_s: float) -> float:
        """Move the clock there."""
        due_s = self._start_s + offset_s
        self._clock.advance_to(due_s)
        return due_s
