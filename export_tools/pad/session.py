"""Sessions: the same attack at one door again and again, until it is let in or the door locks it out.

The door is the device's own memory: a veto locks the face, failed challenges lock the face and, added up, the door.
A session ends with the first attempt that is proven, or with the lock that its last attempt brought about; whoever
tries on during a lock gets no further attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from device.access.face_memory import FaceMemory, Standing
from device.access.lockout import Lockout
from device.app.visit_rules import VisitRules
from device.types import Box, Embedding, Reason, Word
from export_tools.pad.attempt import Attempt
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.memory import Played
from export_tools.pad.replay import play
from export_tools.pad.settings import PolicySettings
from export_tools.pad.trace import Trace

#: Between two attempts the attacker steps aside: longer than a door remembers a place (1 s) or leaves a decided track
#: alone (5 s).
PAUSE_S: Final = 6.0
#: Where nothing ever locks (nobody is asked, nothing is vetoed, or lock-outs are switched off) a session ends so.
MOST_ATTEMPTS: Final = 10


class End(Word):
    """Why a session ended."""

    PASSED = "passed"
    FACE_LOCKED = "face_locked"
    DOOR_LOCKED = "door_locked"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class Session:
    """What a session came to.

    Attributes:
        attempts: In order; at least one.
        end: Why there was no further one.
    """

    attempts: tuple[Attempt, ...]
    end: End

    @property
    def proven(self) -> bool:
        """Whether any attempt was proven alive."""
        return any(attempt.proven for attempt in self.attempts)

    @property
    def granted(self) -> bool:
        """Whether any attempt was let in."""
        return any(attempt.granted for attempt in self.attempts)


def run_sessions(
    traces: Iterable[Trace],
    settings: PolicySettings,
    enrolled: Callable[[Trace], Enrolled | None],
    *,
    most: int = MOST_ATTEMPTS,
) -> Iterator[Session]:
    """Play presentations of one species and one subject as sessions, one after the other.

    Each session begins before a door that remembers nothing. Presentations are used once; those that are left when no
    further attempt follows make a session that gave up.

    Args:
        traces: In the order of the attempts.
        settings: The policy.
        enrolled: Whom the door knows when it sees this presentation.
        most: No session has more attempts.

    Raises:
        ValueError: Traces of several species or subjects.
        UsageError: See :func:`export_tools.pad.replay.run_attempt`.
    """
    kind: tuple[str, str] | None = None
    attempts: list[Attempt] = []
    door = _Door(settings)
    for trace in traces:
        if kind not in (None, (trace.about.species, trace.about.subject)):
            raise ValueError("a session holds one species and one subject")
        kind = (trace.about.species, trace.about.subject)
        played = play(trace, settings, enrolled(trace), memory=door, start_s=door.now_s)
        attempts.append(played.attempt)
        end = door.after(played)
        if end is None and len(attempts) >= most:
            end = End.GAVE_UP
        if end is not None:
            yield Session(tuple(attempts), end)
            attempts, door = [], _Door(settings)
    if attempts:
        yield Session(tuple(attempts), End.GAVE_UP)


def sessions_by_subject(
    traces: Sequence[Trace], settings: PolicySettings, enrolled: Callable[[Trace], Enrolled | None]
) -> tuple[Session, ...]:
    """The sessions of every species and subject, attempts in the order of their numbers."""
    kinds = sorted({(trace.about.species, trace.about.subject) for trace in traces})
    ordered = sorted(traces, key=lambda trace: trace.about.number)
    return tuple(
        session
        for kind in kinds
        for session in run_sessions(
            (trace for trace in ordered if (trace.about.species, trace.about.subject) == kind), settings, enrolled
        )
    )


class _Door:
    """What a door remembers, as :class:`device.app.visit.Doorkeeper` does."""

    def __init__(self, settings: PolicySettings) -> None:
        self._rules: VisitRules = settings.visit
        self._locks = settings.lockout
        self._memory = FaceMemory(settings.visit.memory, agrees=settings.visit.agree)
        self._lockout = Lockout()
        self.now_s = 0.0

    def standing(self, face: Embedding, box: Box, *, now_s: float) -> Standing:
        """How a face that was just compared stands."""
        standing = self._memory.standing(face, now_s=now_s)
        if standing is Standing.LOCKED:
            if not self._locks:
                return Standing.FREE
            self._memory.seen(face, box, now_s=now_s)
        return standing

    def closed(self, box: Box, *, now_s: float) -> bool:
        """Whether nobody at this place is attended to."""
        return self._locks and (self._lockout.active(now_s) or self._memory.holds_place(box, now_s=now_s))

    def undecided(self, face: Embedding, *, now_s: float) -> None:
        """A face left before the networks had decided."""
        self._memory.undecided(face, now_s=now_s)

    def after(self, played: Played) -> End | None:
        """Remember how an attempt ended; why there is no further one, None if there is."""
        # Both are multiples of the traces' grid: times stay exact.
        now_s, reason = played.ended_s, played.attempt.reason
        self.now_s = now_s + PAUSE_S
        if played.attempt.passed:
            return End.PASSED
        if played.first is None or played.box is None:
            return End.FACE_LOCKED if reason is Reason.LOCKED_OUT else None
        if played.asked and (not played.alive or reason is Reason.FACE_CHANGED):
            self._lockout = self._lockout.failed(now_s, self._rules.lockout)
            self._memory.failed(played.first, now_s=now_s)
        elif played.undecided:
            self._memory.undecided(played.first, now_s=now_s)
        if reason is Reason.LOCKED_OUT:
            return End.FACE_LOCKED
        if reason is Reason.VETOED:
            self._memory.vetoed(played.first, played.box, now_s=now_s)
        if not self._locks:
            return None
        if self._lockout.active(self.now_s):
            return End.DOOR_LOCKED
        locked = self._memory.standing(played.first, now_s=self.now_s) is Standing.LOCKED
        return End.FACE_LOCKED if locked else None
