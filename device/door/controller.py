"""The last gate before the relay: a decision opens the door once, while it is fresh, for a bounded time.

Locked -> released -> locked. The relay lets go by itself; this controller has no way to hold it: grants during a
release prolong it, all of them together up to the maximum of one pulse. It checks again what others have checked
before: that the decision is a grant, was never used, and stands on a frame young enough.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from device.config import DoorConfig
from device.errors import DoorError
from device.interfaces import Clock, Relay
from device.types import Decision, Word

_USED = tuple[int, int, float]


class DoorOutcome(Word):
    """What the door did with a decision; the words are a public contract. Only ``released`` moved the relay."""

    RELEASED = "released"
    NOT_GRANTED = "not_granted"
    REUSED = "reused"
    STALE_FRAME = "stale_frame"
    DOOR_FAULT = "door_fault"
    CLOSED = "closed"


class DoorState(Word):
    """What the controller believes of the lock."""

    LOCKED = "locked"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class DoorAnswer:
    """What happened to one decision.

    Attributes:
        outcome: In one word.
        pulsed: Whether the relay was driven.
        pulse_s: For how long from now on, 0 without a pulse; shorter than configured where the door is released already
            and has almost been so for the maximum.
        at_s: Monotonic time of the answer.
        fault: What the relay complained about, empty otherwise.
    """

    outcome: DoorOutcome
    pulsed: bool
    pulse_s: float
    at_s: float
    fault: str = ""


class DoorController:
    """Sole owner of the relay. Safe to call from several threads.

    Args:
        relay: Opened; closed by :meth:`close`.
        clock: Monotonic time.
        config: Length of the pulse and its maximum.
        max_frame_age_s: ``access.max_frame_age_s``, at most 1 s.

    Raises:
        DoorError: The configured pulse or age is not allowed.
    """

    def __init__(self, relay: Relay, clock: Clock, config: DoorConfig, *, max_frame_age_s: float) -> None:
        if not 0 < config.pulse_s <= config.max_pulse_s:
            raise DoorError(
                f"a pulse of {config.pulse_s} s is not within {config.max_pulse_s} s",
                hint="set door.pulse_s to at most door.max_pulse_s",
            )
        if not 0 < max_frame_age_s <= 1:
            raise DoorError(
                f"a frame age of {max_frame_age_s} s is not allowed", hint="set access.max_frame_age_s to at most 1.0"
            )
        self._relay = relay
        self._clock = clock
        self._pulse_s = config.pulse_s
        self._max_pulse_s = config.max_pulse_s
        self._released_s = self._locks_s = -math.inf
        self._max_frame_age_s = max_frame_age_s
        self._lock = threading.Lock()
        self._used: dict[_USED, float] = {}
        self._closed = False

    @property
    def description(self) -> str:
        """The relay's own."""
        return self._relay.description

    @property
    def simulated(self) -> bool:
        """Whether no door is behind it."""
        return self._relay.simulated

    @property
    def state(self) -> DoorState:
        """Released while the relay is driven. Raises DoorError when the relay cannot tell."""
        return DoorState.RELEASED if self._relay.active else DoorState.LOCKED

    def open(self, decision: Decision) -> DoorAnswer:
        """Pulse the relay for a granted, unused decision on a fresh frame; in any other case say why not."""
        with self._lock:
            refusal = self._refuse(decision)
            return self._answer(refusal) if refusal is not None else self._pulse()

    def close(self) -> None:
        """Let go, give the relay back, refuse everything from now on. Raises DoorError when letting go fails."""
        with self._lock:
            self._closed = True
            try:
                self._relay.release()
            finally:
                self._relay.close()

    def _refuse(self, decision: Decision) -> DoorOutcome | None:
        """Why the door stays shut; None marks the decision as used."""
        if self._closed:
            return DoorOutcome.CLOSED
        if not decision.granted:
            return DoorOutcome.NOT_GRANTED
        now_s = self._clock.monotonic()
        self._forget(now_s)
        identity = (decision.track, decision.frame_number, decision.decided_s)
        if identity in self._used:
            return DoorOutcome.REUSED
        # False for NaN, for a frame from the future, and for a decision older than its frame.
        fresh = 0 <= now_s - decision.captured_s <= self._max_frame_age_s
        if not (fresh and decision.captured_s <= decision.decided_s <= now_s):
            return DoorOutcome.STALE_FRAME
        self._used[identity] = decision.captured_s
        return None

    def _forget(self, now_s: float) -> None:
        """Drop what could not open the door again anyway, so that the memory stays small."""
        for identity in [key for key, captured_s in self._used.items() if now_s - captured_s > self._max_frame_age_s]:
            del self._used[identity]

    def _pulse(self) -> DoorAnswer:
        try:
            pulse_s = self._begin(self._clock.monotonic())
            self._relay.pulse(pulse_s)
        except Exception as exc:  # noqa: BLE001  # whatever a driver raises, the line must be let go
            return self._answer(DoorOutcome.DOOR_FAULT, fault=self._let_go(exc))
        return self._answer(DoorOutcome.RELEASED, pulse_s=pulse_s)

    def _begin(self, now_s: float) -> float:
        """How long the pulse may be, so that it ends within the maximum from when the door was locked last."""
        if now_s >= self._locks_s:
            if self._relay.active:  # its time is over: the line goes off before it goes on again
                self._relay.release()
            self._released_s = now_s
        latest_s = self._released_s + self._max_pulse_s
        pulse_s = min(self._pulse_s, latest_s - now_s)
        self._locks_s = min(now_s + pulse_s, latest_s)
        return pulse_s

    def _let_go(self, cause: Exception) -> str:
        try:
            self._relay.release()
        except Exception as exc:  # noqa: BLE001  # nothing more can be done here; the fault names both
            return f"{cause}; letting go failed too: {exc}"
        return str(cause)

    def _answer(self, outcome: DoorOutcome, *, pulse_s: float = 0.0, fault: str = "") -> DoorAnswer:
        return DoorAnswer(
            outcome=outcome,
            pulsed=outcome is DoorOutcome.RELEASED,
            pulse_s=pulse_s,
            at_s=self._clock.monotonic(),
            fault=fault,
        )
