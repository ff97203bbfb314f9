"""Sessions: the same attack at one door again and again, until it is let in or the door locks it out.

The door is the device's own memory (:mod:`device.app.visit_memory`): a veto locks the face, failed challenges lock the
face and, added up, the door. A session ends with the first attempt that passes, or with the lock that its last attempt
brought about; whoever tries on during a lock gets no further attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from device.access.face_memory import Standing
from device.access.lockout import LockoutRules
from device.app.visit_memory import VisitMemory
from device.app.visit_rules import VisitRules
from device.types import Reason, Word
from export_tools.pad.attempt import Attempt
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.replay import Played, play
from export_tools.pad.settings import PolicySettings
from export_tools.pad.trace import Trace

#: Between two attempts the attacker steps aside: longer than a door remembers a place (1 s) or leaves a decided track
#: alone (5 s).
PAUSE_S: Final = 6.0
#: Where nothing ever locks (nobody is asked, nothing is vetoed, or lock-outs are switched off) a session ends so.
MOST_ATTEMPTS: Final = 10
#: No session comes to so many failures.
_NEVER: Final = 2**31


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
    door, start_s = _door(settings), 0.0
    for trace in traces:
        if kind not in (None, (trace.about.species, trace.about.subject)):
            raise ValueError("a session holds one species and one subject")
        kind = (trace.about.species, trace.about.subject)
        played = play(trace, settings, enrolled(trace), memory=door, start_s=start_s)
        attempts.append(played.attempt)
        # Both are multiples of the traces' grid: times stay exact.
        start_s = played.ended_s + PAUSE_S
        end = _end(played, door, start_s)
        if end is None and len(attempts) >= most:
            end = End.GAVE_UP
        if end is not None:
            yield Session(tuple(attempts), end)
            attempts, door, start_s = [], _door(settings), 0.0
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


def _door(settings: PolicySettings) -> VisitMemory:
    """A door that remembers nothing yet."""
    return VisitMemory(settings.visit if settings.lockout else _never_locking(settings.visit))


def _never_locking(rules: VisitRules) -> VisitRules:
    """Faces that failed come back at once, and owe a challenge."""

    def never(lock: LockoutRules) -> LockoutRules:
        return replace(lock, after=_NEVER)

    memory = replace(rules.memory, veto=never(rules.memory.veto), challenge=never(rules.memory.challenge))
    return replace(rules, lockout=never(rules.lockout), memory=memory)


def _end(played: Played, door: VisitMemory, next_s: float) -> End | None:
    """Why there is no further attempt at this time; None if there is."""
    if played.attempt.passed:
        return End.PASSED
    if played.attempt.reason is Reason.LOCKED_OUT:
        return End.FACE_LOCKED
    if door.paused(now_s=next_s):
        return End.DOOR_LOCKED
    locked = any(door.faces.standing(look, now_s=next_s) is Standing.LOCKED for look in played.looks)
    return End.FACE_LOCKED if locked else None
