"""A clock that moves only when told to."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


class ManualClock:
    """Both clocks of :class:`device.interfaces.Clock`, advanced by hand or by a simulated camera.

    Args:
        start: Wall time at monotonic zero, timezone-aware.
        trusted: What :meth:`wall_trusted` answers.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, tzinfo=timezone.utc), *, trusted: bool = True) -> None:
        self._start = start
        self._now_s = 0.0
        self.trusted = trusted

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now_s

    def wall(self) -> datetime:
        """The wall time that belongs to :meth:`monotonic`."""
        return self._start + timedelta(seconds=self._now_s)

    def wall_trusted(self) -> bool:
        """What the test or scene decided."""
        return self.trusted

    def advance(self, seconds: float) -> None:
        """Move forward. Raises ValueError for a step back: a monotonic clock has none."""
        if not seconds >= 0:
            raise ValueError(f"cannot advance by {seconds} s")
        self._now_s += seconds

    def advance_to(self, now_s: float) -> None:
        """Move forward to ``now_s``; a time that has passed already changes nothing."""
        self._now_s = max(self._now_s, now_s)

    def set_wall(self, wall: datetime) -> None:
        """Let the wall clock jump; the monotonic one does not notice."""
        self._start = wall - timedelta(seconds=self._now_s)
