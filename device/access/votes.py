"""Votes of single frames, and what they add up to.

One frame proves little: a claim needs ``k`` votes for one person among the last ``n`` compared frames of one track,
with nobody else named in between. Every comparison is written so that NaN denies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from device.types import Candidate, Reason


@dataclass(frozen=True, slots=True)
class Vote:
    """What one compared frame says.

    Attributes:
        captured_s: Capture time of the frame.
        frame_number: Number of the frame.
        person: Handle, or None when the frame names nobody.
        nearest: Handle of the best candidate, named or not; None without any.
        reason: Why it names nobody (``NO_MATCH`` or ``AMBIGUOUS``); None when it names somebody.
        similarity: Cosine to the best candidate, None without any.
        runner_up: Cosine to the next person, None without one.
    """

    captured_s: float
    frame_number: int
    person: str | None
    reason: Reason | None
    similarity: float | None
    runner_up: float | None
    nearest: str | None = None


def cast(
    candidates: Sequence[Candidate], *, threshold: float, margin: float, captured_s: float, frame_number: int
) -> Vote:
    """Turn one frame's candidates into a vote.

    The best candidate is named only if its similarity is finite and reaches ``threshold`` and beats every other
    person's by ``margin``. A list that is not best-first, names a person twice or holds NaN names nobody.

    Args:
        candidates: Best first, one per person.
        threshold: Cosine from which two faces match.
        margin: Cosine by which the best must beat the next person.
        captured_s: Capture time of the frame.
        frame_number: Number of the frame.
    """
    best = candidates[0].similarity if candidates else None
    runner_up = candidates[1].similarity if len(candidates) > 1 else None

    nearest = candidates[0].person if candidates else None

    def vote(person: str | None, reason: Reason | None) -> Vote:
        return Vote(captured_s, frame_number, person, reason, best, runner_up, nearest)

    if best is None or not (isfinite(best) and isfinite(threshold) and best >= threshold):
        return vote(None, Reason.NO_MATCH)
    for other in candidates[1:]:
        if other.person == candidates[0].person or not (best - other.similarity >= margin):
            return vote(None, Reason.AMBIGUOUS)
    return vote(candidates[0].person, None)


def tally(votes: Sequence[Vote], *, k: int, n: int) -> str | None:
    """The person whom the last ``n`` votes agree on, or None.

    Somebody is agreed on when at least ``k`` of them name this person and none names anybody else.
    """
    if not 1 <= k <= n:
        return None
    recent = votes[-n:]
    named = {vote.person for vote in recent if vote.person is not None}
    if len(named) != 1:
        return None
    (person,) = named
    return person if sum(vote.person == person for vote in recent) >= k else None


def is_as_strict(*, k: int, n: int, than_k: int, than_n: int) -> bool:
    """Whether ``k`` of ``n`` frames never agree where ``than_k`` of ``than_n`` would not, whatever the frames show.

    Among ``n`` consecutive frames the most that can match without ``than_k`` doing so in any ``than_n`` of them is
    ``than_k - 1`` in each whole stretch of ``than_n`` and as many, or all, in what remains: ``k`` must be more.
    """
    whole, rest = divmod(n, than_n)
    return k > whole * (than_k - 1) + min(than_k - 1, rest)


def refusal(votes: Sequence[Vote], *, k: int, n: int) -> Reason:
    """Why the last ``n`` votes agree on nobody: ``NO_MATCH``, ``AMBIGUOUS``, or ``UNSETTLED`` when they contradict."""
    recent = votes[-n:]
    if any(vote.person is not None for vote in recent):
        return Reason.UNSETTLED
    ambiguous = sum(vote.reason is Reason.AMBIGUOUS for vote in recent)
    return Reason.AMBIGUOUS if ambiguous >= k else Reason.NO_MATCH


def spoke_for(votes: Sequence[Vote], person: str, *, same_face: float) -> bool:
    """Whether every vote was nearest to this person, and near enough to be the same face.

    Weaker than a vote for the person, and asked of every frame: a face that answered the prompts as somebody else has
    looked like somebody else in between. No votes speak for nobody.
    """
    return bool(votes) and all(
        vote.nearest == person
        and vote.similarity is not None
        and isfinite(vote.similarity)
        and vote.similarity >= same_face
        for vote in votes
    )
