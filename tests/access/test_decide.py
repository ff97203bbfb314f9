"""The order of the decision: alive before known, known before admitted, and fresh at the end."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.access.decide import Circumstances, Rules, decide
from device.access.votes import Vote
from device.types import LivenessEvidence, LivenessState, LivenessStatus, Person, Reason, Signal

RULES = Rules(votes=3, vote_window=5, max_frame_age_s=0.5, same_face=0.93)
NOW = datetime(2026, 1, 5, 9, tzinfo=timezone.utc)
ANN = Person(
    handle="a" * 32,
    name="Ann",
    enabled=True,
    valid_from=None,
    valid_until=None,
    enrolled_at=NOW,
    photos=3,
    models=("m",),
)
EVIDENCE = LivenessEvidence(method="head-turn", samples=90, steps=())
PROVEN = LivenessStatus(LivenessState.PROVEN, None, Signal.CHECKING, 10.0, 9.5, 10.0, EVIDENCE, 9.75)
FOR_ANN = tuple(Vote(9.6 + step / 10, step, ANN.handle, None, 0.97, 0.6, ANN.handle) for step in range(4))
GOOD = Circumstances(
    liveness=PROVEN,
    votes=FOR_ANN,
    person=ANN,
    nearest=True,
    cooling=False,
    now_s=10.0,
    wall=NOW,
    wall_trusted=True,
)


def _liveness(**changes: object) -> Circumstances:
    return replace(GOOD, liveness=replace(PROVEN, **changes))  # type: ignore[arg-type]


def test_who_proved_everything_comes_in() -> None:
    """The control: without it every other test here could pass by denying always."""
    assert decide(GOOD, RULES) is Reason.GRANTED


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (replace(GOOD, liveness=None), Reason.LIVENESS_ERROR),
        (_liveness(state=LivenessState.PENDING), Reason.NO_RESPONSE),
        (_liveness(state=LivenessState.FAILED, reason=Reason.NOT_LIVE), Reason.NOT_LIVE),
        (_liveness(state=LivenessState.FAILED, reason=None), Reason.LIVENESS_ERROR),
        (_liveness(state=LivenessState.FAILED, reason=Reason.GRANTED), Reason.LIVENESS_ERROR),
        (_liveness(sampled_s=None), Reason.STALE_FRAME),
        (_liveness(sampled_s=9.0), Reason.STALE_FRAME),
        (_liveness(sampled_s=math.nan), Reason.STALE_FRAME),
        (replace(GOOD, votes=()), Reason.NO_MATCH),
        (replace(GOOD, votes=FOR_ANN[:2]), Reason.UNSETTLED),
        (replace(GOOD, person=None), Reason.UNKNOWN_PERSON),
        (replace(GOOD, person=replace(ANN, handle="b" * 32)), Reason.UNKNOWN_PERSON),
        (replace(GOOD, person=replace(ANN, enabled=False)), Reason.DISABLED),
        (replace(GOOD, person=replace(ANN, valid_from=NOW + timedelta(seconds=1))), Reason.NOT_YET_VALID),
        (replace(GOOD, person=replace(ANN, valid_until=NOW)), Reason.EXPIRED),
        (
            replace(GOOD, person=replace(ANN, valid_until=NOW + timedelta(1)), wall_trusted=False),
            Reason.CLOCK_UNTRUSTED,
        ),
        (replace(GOOD, cooling=True), Reason.COOL_DOWN),
        (replace(GOOD, nearest=False), Reason.NOT_NEAREST),
        (replace(GOOD, now_s=10.41), Reason.STALE_FRAME),
        (replace(GOOD, now_s=9.0), Reason.STALE_FRAME),
        (replace(GOOD, now_s=math.nan), Reason.STALE_FRAME),
        (replace(GOOD, now_s=math.inf), Reason.STALE_FRAME),
    ],
)
def test_each_missing_proof_denies_with_its_own_reason(case: Circumstances, reason: Reason) -> None:
    """One thing is wrong, and the decision names it."""
    assert decide(case, RULES) is reason


@given(
    state=st.sampled_from(LivenessState),
    reason=st.sampled_from([None, *Reason]),
    sampled_s=st.one_of(st.none(), st.floats()),
    since_s=st.one_of(st.none(), st.floats()),
    proven_s=st.one_of(st.none(), st.floats()),
    voted=st.lists(st.tuples(st.floats(), st.sampled_from([ANN.handle, "b" * 32, None])), max_size=7),
    enabled=st.booleans(),
    limits=st.tuples(*[st.one_of(st.none(), st.integers(-5, 5))] * 2),
    nearest=st.booleans(),
    cooling=st.booleans(),
    now_s=st.floats(),
    wall_trusted=st.booleans(),
)
def test_granted_implies_every_proof(
    state: LivenessState,
    reason: Reason | None,
    sampled_s: float | None,
    since_s: float | None,
    proven_s: float | None,
    voted: list[tuple[float, str | None]],
    enabled: bool,
    limits: tuple[int | None, int | None],
    nearest: bool,
    cooling: bool,
    now_s: float,
    wall_trusted: bool,
) -> None:
    """Whatever the circumstances, nobody comes in unless each invariant holds."""
    start, end = (None if limit is None else NOW + timedelta(days=limit) for limit in limits)
    case = Circumstances(
        liveness=LivenessStatus(state, reason, Signal.CHECKING, sampled_s, since_s, sampled_s, EVIDENCE, proven_s),
        votes=tuple(Vote(at, 1, who, None if who else Reason.NO_MATCH, 0.97, None, who) for at, who in voted),
        person=replace(ANN, enabled=enabled, valid_from=start, valid_until=end),
        nearest=nearest,
        cooling=cooling,
        now_s=now_s,
        wall=NOW,
        wall_trusted=wall_trusted,
    )
    if decide(case, RULES) is not Reason.GRANTED:
        return
    assert state is LivenessState.PROVEN
    assert enabled
    assert nearest
    assert not cooling
    assert start is None or (wall_trusted and start <= NOW)
    assert end is None or (wall_trusted and end > NOW)
    named = [who for _, who in voted[-5:] if who is not None]
    assert named.count(ANN.handle) >= 3
    assert set(named) == {ANN.handle}
    newest = max(at for at, who in voted if who == ANN.handle)
    assert 0 <= now_s - newest <= 0.5
    assert sampled_s is not None
    assert 0 <= sampled_s - newest <= 0.5
    assert since_s is not None
    assert proven_s is not None
    assert any(since_s <= at <= proven_s for at, who in voted if who == ANN.handle)


def test_a_picture_between_two_people_does_not_let_one_answer_for_the_other() -> None:
    """Whoever looked like somebody else, or not enough like the claimed person, while answering is not the claim."""
    answering = (
        Vote(9.55, 1, None, Reason.NO_MATCH, 0.94, 0.9, "b" * 32),
        Vote(9.55, 1, None, Reason.NO_MATCH, 0.90, 0.6, ANN.handle),
        Vote(9.55, 1, None, Reason.NO_MATCH, math.nan, None, ANN.handle),
        Vote(9.55, 1, None, Reason.NO_MATCH, None, None, None),
        Vote(math.nan, 1, None, Reason.NO_MATCH, 0.90, 0.6, ANN.handle),
    )
    for vote in answering:
        assert decide(replace(GOOD, votes=(vote, *FOR_ANN)), RULES) is Reason.FACE_CHANGED
    near_enough = Vote(9.55, 1, None, Reason.NO_MATCH, 0.94, 0.6, ANN.handle)
    assert decide(replace(GOOD, votes=(near_enough, *FOR_ANN)), RULES) is Reason.GRANTED


def test_who_only_resembled_the_person_while_answering_does_not_come_in_with_a_picture_held_up_afterwards() -> None:
    """At least one frame of the proof itself must have named the person; the control is the usual one."""
    resembling = tuple(Vote(9.55 + 0.05 * k, k, None, Reason.NO_MATCH, 0.945, 0.6, ANN.handle) for k in range(3))
    afterwards = tuple(replace(vote, captured_s=9.8 + 0.05 * number) for number, vote in enumerate(FOR_ANN[:3]))
    swapped = replace(GOOD, votes=(*resembling[:2], *afterwards))
    assert decide(swapped, RULES) is Reason.FACE_CHANGED
    assert decide(replace(swapped, liveness=replace(PROVEN, proven_s=9.8)), RULES) is Reason.GRANTED
    for never in (None, math.nan):
        assert decide(_liveness(proven_s=never), RULES) is Reason.FACE_CHANGED


def test_looks_from_before_the_first_prompt_do_not_speak_against_anybody() -> None:
    """A first look from afar may be nearest to somebody else."""
    far = Vote(9.4, 1, None, Reason.NO_MATCH, 0.80, 0.79, "b" * 32)
    assert decide(replace(GOOD, votes=(far, *FOR_ANN)), RULES) is Reason.GRANTED


def test_nothing_asked_nothing_granted() -> None:
    """A proof without a prompt is none."""
    assert decide(replace(GOOD, liveness=replace(PROVEN, since_s=None)), RULES) is Reason.FACE_CHANGED


def test_identity_is_not_looked_at_before_liveness_has_passed() -> None:
    """A stranger and an enrolled person without a proof of life get the same word."""
    for votes, person in ((FOR_ANN, ANN), ((), None)):
        case = replace(_liveness(state=LivenessState.FAILED, reason=Reason.NOT_LIVE), votes=votes, person=person)
        assert decide(case, RULES) is Reason.NOT_LIVE
