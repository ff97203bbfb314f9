"""When is somebody alive enough: what each level accepts, escalates and refuses, whoever it is.

Pure rules over numbers. Nothing here knows an identity, so whether a challenge is asked cannot depend on one. Only two
things ever accept: the passive networks' median over K frames without a doubt, and a completed challenge. Everything
else can only make the door ask for more, or refuse. ``docs/liveness.md`` shows :func:`rule` as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from device.access.doubts import BLINDING, DULLING, FRAMING, CueLimits
from device.access.passive_test import PassiveRules
from device.types import Doubt, PassiveVerdict, Reason, Word

#: A completed challenge needs so many clear answers: every prompt, and the end, comes on a frame that was judged.
CLEAR: Final = 3


class Level(Word):
    """How much proof a door asks for."""

    CONVENIENCE = "convenience"
    STANDARD = "standard"
    HIGH = "high"


class Move(Word):
    """What to do next with a face."""

    WAIT = "wait"
    ACCEPT = "accept"
    CHALLENGE = "challenge"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class LivenessRules:
    """What a door asks for; see ``LivenessConfig`` for the meaning of each number.

    Attributes:
        turns_suffice: Whether head turns alone are enough where the networks cannot judge.
        always_ask: Whether head turns are asked even of who looks alive: a camera on a network shows what that says.
    """

    level: Level
    passive: PassiveRules
    within_s: float
    max_yaw_deg: float
    max_roll_deg: float
    steps: int
    steps_undecided: int
    limits: CueLimits
    turns_suffice: bool = False
    always_ask: bool = False


@dataclass(frozen=True, slots=True)
class Ruling:
    """What to do next.

    Attributes:
        move: The move.
        steps: Head turns to ask for; 0 unless the move is a challenge.
        reason: Why it is refused; None unless it is.
    """

    move: Move
    steps: int = 0
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Standpoint:
    """Everything that a ruling may look at.

    Attributes:
        passive: The networks' verdict.
        doubts: Among the frames it rests on.
        late: Whether the networks have had their time.
        owes: Whether this face has to be asked whatever the networks say: a moment ago it left undecided, its proof was
            thrown away, it failed a challenge, or its lock ended.
        hopeful: Whether the answers so far are few, but some, and every one of them spoke for life.
    """

    passive: PassiveVerdict
    doubts: frozenset[Doubt] = frozenset()
    late: bool = False
    owes: bool = False
    hopeful: bool = False


def rule(case: Standpoint, rules: LivenessRules) -> Ruling:
    """The next move for a face that was not asked anything yet."""
    high = rules.level is Level.HIGH
    thorough, brief = (Ruling(Move.CHALLENGE, steps=steps) for steps in (rules.steps, rules.steps_undecided))
    if case.passive is PassiveVerdict.ABSENT:
        # A door of level high does not start without the networks: one that asks here has lost them.
        return Ruling(Move.REFUSE, reason=Reason.LIVENESS_ERROR) if high else thorough
    if case.passive is PassiveVerdict.SPOOF:
        return Ruling(Move.REFUSE, reason=Reason.VETOED)
    restless = case.hopeful and not (case.owes or high or case.doubts & BLINDING)
    if case.passive is PassiveVerdict.GATHERING and case.late and restless:
        # More than can be said of the undecided, who are asked for less; but not again and again.
        return thorough
    blinding = BLINDING - DULLING if case.passive is PassiveVerdict.LIVE else BLINDING
    if case.doubts & blinding or (case.passive is PassiveVerdict.GATHERING and case.late):
        # The networks have seen too little, or nothing that they can judge: whoever shows the face can choose that.
        if _turns_suffice(rules):
            return thorough
        return Ruling(Move.REFUSE, reason=Reason.POOR_QUALITY) if case.late else Ruling(Move.WAIT)
    if case.passive is PassiveVerdict.GATHERING:
        return Ruling(Move.WAIT)
    if case.passive is PassiveVerdict.UNDECIDED and high:
        return Ruling(Move.REFUSE, reason=Reason.UNDECIDED) if case.late else Ruling(Move.WAIT)
    if high or case.doubts & rules.passive.heeded:
        return thorough
    owes = case.owes or rules.always_ask
    if case.passive is PassiveVerdict.LIVE:
        return brief if owes else Ruling(Move.ACCEPT)
    return brief if case.late or owes else Ruling(Move.WAIT)


def objection(case: Standpoint, rules: LivenessRules) -> Reason | None:
    """What the networks have against a face during and after its challenge; None for nothing.

    A veto outlives every answer. The networks must be able to see as they were before it: whoever shows the face could
    blind them once head turns are asked. That a turning head is blurred for a moment is no objection.
    """
    if case.passive is PassiveVerdict.SPOOF:
        return Reason.VETOED
    blind = case.doubts & (BLINDING - DULLING)
    return Reason.POOR_QUALITY if blind and not _turns_suffice(rules) else None


def shortfall(clear: Sequence[float], rules: LivenessRules) -> Reason | None:
    """What is missing to a completed challenge where there are networks; None for nothing.

    Args:
        clear: Their answers since head turns were asked, of pictures that do not blind them. Every prompt is shown on a
            frame that they judge, so that whoever keeps still and sharp for a moment has enough.
        rules: The door's.
    """
    if _turns_suffice(rules):
        return None
    if len(clear) < CLEAR:
        return Reason.POOR_QUALITY
    return None if median(clear) > rules.passive.veto else Reason.VETOED


def _turns_suffice(rules: LivenessRules) -> bool:
    return rules.turns_suffice and rules.level is not Level.HIGH


def heeded_by(level: Level) -> frozenset[Doubt]:
    """The doubts that keep a live answer from counting at a level."""
    minded = frozenset(Doubt) - DULLING
    return minded - FRAMING if level is Level.CONVENIENCE else minded


#: Decides what is asked next: :func:`rule`, unless a comparison of policies brings another.
Policy = Callable[[Standpoint, LivenessRules], Ruling]
