"""A relay without a door: remembers its pulses, and refuses what a real one refuses."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from device.errors import DoorError
from device.interfaces import Clock


@dataclass(frozen=True, slots=True)
class RelayPulse:
    """One stretch of time in which the line was driven.

    Attributes:
        start_s: Monotonic time of the first pulse.
        end_s: When the line was or will be let go.
    """

    start_s: float
    end_s: float


class SimulatedRelay:
    """Keeps the contract of :class:`device.interfaces.Relay` on any clock.

    Args:
        clock: Tells whether the line is still driven.
        max_pulse_s: Longer pulses are refused.
    """

    def __init__(self, clock: Clock, *, max_pulse_s: float) -> None:
        self._clock = clock
        self._max_pulse_s = max_pulse_s
        self._lock = threading.Lock()
        self._pulses: list[RelayPulse] = []
        self._closed = False

    @property
    def description(self) -> str:
        """What it is, for people."""
        return "SIMULATED relay"

    @property
    def simulated(self) -> bool:
        """No door is behind it."""
        return True

    @property
    def active(self) -> bool:
        """Whether the last pulse is not over yet."""
        with self._lock:
            return self._driven(self._clock.monotonic())

    @property
    def pulses(self) -> tuple[RelayPulse, ...]:
        """All stretches in which the line was driven, oldest first."""
        with self._lock:
            return tuple(self._pulses)

    def pulse(self, duration_s: float) -> None:
        """Drive the line for ``duration_s``. Raises DoorError: too long, not positive, not a number, or closed."""
        if not 0 < duration_s <= self._max_pulse_s:
            raise DoorError(
                f"a pulse of {duration_s} s is not within {self._max_pulse_s} s", hint="check door.max_pulse_s"
            )
        with self._lock:
            if self._closed:
                raise DoorError("the simulated relay is closed", hint="start the daemon again")
            now_s = self._clock.monotonic()
            if self._driven(now_s):
                self._pulses[-1] = replace(self._pulses[-1], end_s=now_s + duration_s)
            else:
                self._pulses.append(RelayPulse(start_s=now_s, end_s=now_s + duration_s))

    def release(self) -> None:
        """Let go now; harmless when released already."""
        with self._lock:
            now_s = self._clock.monotonic()
            if self._driven(now_s):
                self._pulses[-1] = replace(self._pulses[-1], end_s=now_s)

    def close(self) -> None:
        """Let go and refuse further pulses; harmless when closed already."""
        self.release()
        with self._lock:
            self._closed = True

    def _driven(self, now_s: float) -> bool:
        return bool(self._pulses) and now_s < self._pulses[-1].end_s
