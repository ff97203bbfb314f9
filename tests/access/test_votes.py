"""What single frames may claim, and what their votes add up to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.access.votes import Vote, cast, refusal, tally
from device.types import Candidate, Reason

PEOPLE = ("ann", "bob", "cleo")
similarities = st.floats(allow_nan=True, allow_infinity=True)
candidates = st.lists(st.builds(Candidate, st.sampled_from(PEOPLE), similarities), max_size=4)


def _cast(found: list[Candidate], *, threshold: float = 0.95, margin: float = 0.02) -> Vote:
    return cast(found, threshold=threshold, margin=margin, captured_s=1.0, frame_number=1)


def _vote(person: str | None, reason: Reason | None = None) -> Vote:
    return Vote(1.0, 1, person, reason if person is None else None, 0.96, None)


@given(candidates, similarities, similarities)
def test_a_named_person_is_always_finite_above_threshold_and_ahead_by_the_margin(
    found: list[Candidate], threshold: float, margin: float
) -> None:
    """Whatever arrives, a vote names somebody only when every comparison holds."""
    vote = _cast(found, threshold=threshold, margin=margin)
    if vote.person is None:
        assert vote.reason in (Reason.NO_MATCH, Reason.AMBIGUOUS)
        return
    best, *others = found
    assert vote.person == best.person
    assert math.isfinite(best.similarity)
    assert best.similarity >= threshold
    assert all(other.person != best.person and best.similarity - other.similarity >= margin for other in others)


@pytest.mark.parametrize("similarity", [math.nan, math.inf, -math.inf, 0.0, 0.9499999])
def test_a_similarity_that_is_not_a_number_or_too_low_names_nobody(similarity: float) -> None:
    """NaN compares false with everything: the vote must deny on it."""
    assert _cast([Candidate("ann", similarity)]).reason is Reason.NO_MATCH


def test_a_threshold_that_is_not_a_number_names_nobody() -> None:
    """A broken threshold opens nothing."""
    assert _cast([Candidate("ann", 1.0)], threshold=math.nan).reason is Reason.NO_MATCH


def test_two_enrolled_people_within_the_margin_are_ambiguous() -> None:
    """Twins do not open the door for each other."""
    assert _cast([Candidate("ann", 0.97), Candidate("bob", 0.96)]).reason is Reason.AMBIGUOUS
    assert _cast([Candidate("ann", 0.98), Candidate("bob", 0.955)]).person == "ann"


def test_an_empty_gallery_names_nobody() -> None:
    """Nobody enrolled, nobody named."""
    assert _cast([]).reason is Reason.NO_MATCH


votes = st.lists(
    st.one_of(
        st.sampled_from(PEOPLE).map(_vote),
        st.sampled_from((Reason.NO_MATCH, Reason.AMBIGUOUS)).map(lambda reason: _vote(None, reason)),
    ),
    max_size=12,
)


@given(votes, st.integers(-1, 8), st.integers(-1, 8))
def test_an_agreed_person_has_k_of_the_last_n_votes_and_nobody_else_has_any(
    cast_votes: list[Vote], k: int, n: int
) -> None:
    """The rule itself, for any sequence of votes."""
    person = tally(cast_votes, k=k, n=n)
    if person is None:
        return
    recent = cast_votes[-n:]
    assert sum(vote.person == person for vote in recent) >= k >= 1
    assert {vote.person for vote in recent} <= {person, None}


@given(votes)
def test_a_refusal_is_never_granted(cast_votes: list[Vote]) -> None:
    """The word for why nobody was agreed on is always a denial."""
    assert refusal(cast_votes, k=3, n=5) in (Reason.NO_MATCH, Reason.AMBIGUOUS, Reason.UNSETTLED)


def test_one_other_name_in_between_withdraws_the_claim() -> None:
    """Three votes for Ann and one for Bob among the last five agree on nobody."""
    sequence = [_vote("ann"), _vote("ann"), _vote("bob"), _vote("ann")]
    assert tally(sequence, k=3, n=5) is None
    assert refusal(sequence, k=3, n=5) is Reason.UNSETTLED


def test_votes_older_than_the_window_do_not_count() -> None:
    """Two old votes and two new ones do not make three."""
    sequence = [_vote("ann"), _vote("ann"), *[_vote(None, Reason.NO_MATCH)] * 3, _vote("ann"), _vote("ann")]
    assert tally(sequence, k=3, n=5) is None
