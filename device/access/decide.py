"""The decision: every rule in its fixed order, and granted only at the very end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from device.access.freshness import is_fresh
from device.access.policy import admission
from device.access.votes import Vote, refusal, spoke_for, tally
from device.types import LivenessState, LivenessStatus, Person, Reason


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers the decision stands on (see ``AccessConfig`` and ``LivenessConfig`` for their meaning)."""

    votes: int
    vote_window: int
    max_frame_age_s: float
    same_face: float


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Everything a decision may look at.

    Attributes:
        liveness: The proof of life, None when there is none.
        votes: Confirmed votes of this track, oldest first: each lies between two accepted liveness samples.
        person: Record of the person the votes agree on, None when they agree on nobody or the person was removed.
        nearest: Whether nobody stands before the candidate.
        cooling: Whether this person was let in a moment ago.
        now_s: Monotonic.
        wall: Timezone-aware.
        wall_trusted: Whether ``wall`` is known to be right.
    """

    liveness: LivenessStatus | None
    votes: Sequence[Vote]
    person: Person | None
    nearest: bool
    cooling: bool
    now_s: float
    wall: datetime
    wall_trusted: bool


def decide(case: Circumstances, rules: Rules) -> Reason:
    """Why the door stays shut, or ``GRANTED``.

    Alive before known: nothing about identity is looked at until liveness has passed.
    """
    not_alive = _liveness_refusal(case.liveness)
    if not_alive is not None:
        return not_alive
    claimed = tally(case.votes, k=rules.votes, n=rules.vote_window)
    if claimed is None:
        return refusal(case.votes, k=rules.votes, n=rules.vote_window)
    if not _lived_as(claimed, case, rules):
        return Reason.FACE_CHANGED
    if case.person is None or case.person.handle != claimed:
        return Reason.UNKNOWN_PERSON
    refused = admission(case.person, wall=case.wall, wall_trusted=case.wall_trusted)
    if refused is not None:
        return refused
    if case.cooling:
        return Reason.COOL_DOWN
    if not case.nearest:
        return Reason.NOT_NEAREST
    if not _one_face_until_now(case, claimed, rules):
        return Reason.STALE_FRAME
    return Reason.GRANTED


def _liveness_refusal(status: LivenessStatus | None) -> Reason | None:
    if status is None:
        return Reason.LIVENESS_ERROR
    if status.state is LivenessState.PROVEN:
        return None
    if status.state is LivenessState.PENDING:
        return Reason.NO_RESPONSE
    # A failure without a reason of its own, or one that says granted, is an error of the proof: still a denial.
    return status.reason if status.reason not in (None, Reason.GRANTED) else Reason.LIVENESS_ERROR


def _lived_as(claimed: str, case: Circumstances, rules: Rules) -> bool:
    """Every frame compared since the proof began looked like the claimed person, and one before its end named it.

    The one who is alive is the claim. To agree with the visit's first look is not enough: a picture between two people
    agrees with both. Nor is it to look alike while the prompts are answered, and to show a picture afterwards.
    """
    since_s, proven_s = (case.liveness.since_s, case.liveness.proven_s) if case.liveness is not None else (None, None)
    if since_s is None or proven_s is None:
        return False
    since = [vote for vote in case.votes if not vote.captured_s < since_s]
    named = any(vote.person == claimed for vote in since if vote.captured_s <= proven_s)
    return named and spoke_for(since, claimed, same_face=rules.same_face)


def _one_face_until_now(case: Circumstances, claimed: str, rules: Rules) -> bool:
    """The newest vote for this person is fresh, and the proof went on after it."""
    sampled_s = case.liveness.sampled_s if case.liveness is not None else None
    voted_s = max((vote.captured_s for vote in case.votes if vote.person == claimed), default=None)
    return (
        sampled_s is not None
        and voted_s is not None
        and is_fresh(captured_s=voted_s, now_s=case.now_s, max_age_s=rules.max_frame_age_s)
        and is_fresh(captured_s=voted_s, now_s=sampled_s, max_age_s=rules.max_frame_age_s)
    )
