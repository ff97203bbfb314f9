"""The liveness policy: two things accept, everything else asks for more or refuses."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device.access.doubts import BLINDING, DULLING, FRAMING, CueLimits, doubts_about
from device.access.liveness import Level, LivenessRules, Move, Ruling, Standpoint, heeded_by, objection, rule, shortfall
from device.access.passive_test import PassiveRules, PassiveTest
from device.errors import ModelError
from device.types import Cues, Doubt, PassiveVerdict, Reason

LIMITS = CueLimits(bezel=2.0, burnt=0.3, chroma=4.0, brightness=60.0, noise=0.03, context=2.0, sharpness=6.0)
PASSIVE = PassiveRules(samples=5, accept=0.8, veto=0.2, max_gap_s=0.33)
GOOD = Cues(
    live=0.99, faces=1, bezel=0.5, burnt=0.01, chroma=20.0, brightness=120.0, noise=0.01, context=4.0, sharpness=60.0
)
NONE: frozenset[Doubt] = frozenset()


def rules(level: Level = Level.STANDARD, *, turns_suffice: bool = False, always_ask: bool = False) -> LivenessRules:
    return LivenessRules(
        level=level,
        passive=replace(PASSIVE, heeded=heeded_by(level)),
        within_s=3.0,
        max_yaw_deg=15.0,
        max_roll_deg=20.0,
        steps=3,
        steps_undecided=2,
        limits=LIMITS,
        turns_suffice=turns_suffice,
        always_ask=always_ask,
    )


def answered(*answers: float, every_s: float = 0.13, doubts: frozenset[Doubt] = NONE) -> PassiveTest:
    found = PassiveTest(PASSIVE)
    for number, live in enumerate(answers):
        found.add(1.0 + number * every_s, live, doubts)
    return found


levels = st.sampled_from(list(Level))
#: Every door there can be: level, accepted risk, camera on a network.
doors = st.builds(rules, levels, turns_suffice=st.booleans(), always_ask=st.booleans())
verdicts = st.sampled_from(list(PassiveVerdict))
#: Often none at all, or hardly a case would be accepted.
doubt_sets = st.one_of(st.just(NONE), st.frozensets(st.sampled_from(list(Doubt))))
cases = st.builds(
    Standpoint,
    passive=verdicts,
    doubts=doubt_sets,
    late=st.booleans(),
    owes=st.booleans(),
    hopeful=st.booleans(),
)

# ---- The ruling


@given(doors, cases)
@example(rules(always_ask=True), Standpoint(PassiveVerdict.LIVE))
def test_only_live_networks_without_a_blinding_doubt_or_a_debt_accept(door: LivenessRules, case: Standpoint) -> None:
    """And at level high, or where head turns are always asked, nothing does."""
    if rule(case, door).move is Move.ACCEPT:
        assert case.passive is PassiveVerdict.LIVE
        assert not case.doubts & (BLINDING - DULLING)
        assert not case.owes
        assert not door.always_ask
        assert door.level is not Level.HIGH
        assert door.level is Level.CONVENIENCE or case.doubts <= DULLING


@given(doors, cases)
def test_an_accepted_risk_asks_and_never_accepts(door: LivenessRules, case: Standpoint) -> None:
    """Where head turns suffice nobody is let in, waved through or refused who was not before, but for being asked."""
    plain, risky = (rule(case, replace(door, turns_suffice=suffice)) for suffice in (False, True))
    assert risky == plain or (risky == Ruling(Move.CHALLENGE, steps=3) and plain.move in (Move.WAIT, Move.REFUSE))
    assert risky == plain or door.level is not Level.HIGH


@given(doors, cases, doubt_sets)
def test_a_further_doubt_never_makes_an_acceptance(
    door: LivenessRules, case: Standpoint, more: frozenset[Doubt]
) -> None:
    """No cue accepts."""
    doubted = replace(case, doubts=case.doubts | more)
    if rule(doubted, door).move is Move.ACCEPT:
        assert rule(case, door).move is Move.ACCEPT


@given(cases, st.booleans(), st.booleans())
def test_a_higher_level_never_asks_for_less(case: Standpoint, turns_suffice: bool, always_ask: bool) -> None:
    """Accepted by a level means accepted by every lower one; and challenges do not get shorter."""
    strictness = {Move.ACCEPT: 0, Move.WAIT: 1, Move.CHALLENGE: 1, Move.REFUSE: 2}
    rulings = [rule(case, rules(level, turns_suffice=turns_suffice, always_ask=always_ask)) for level in Level]
    for lower, higher in pairwise(rulings):
        assert strictness[lower.move] <= strictness[higher.move]
        if lower.move is Move.CHALLENGE and higher.move is Move.CHALLENGE:
            assert lower.steps <= higher.steps


@given(doors, cases)
def test_every_challenge_has_at_least_two_steps_and_every_refusal_a_reason(
    door: LivenessRules, case: Standpoint
) -> None:
    """And nothing else has either."""
    ruling = rule(case, door)
    assert (ruling.steps >= 2) == (ruling.move is Move.CHALLENGE)
    assert (ruling.steps == 0) == (ruling.move is not Move.CHALLENGE)
    assert (ruling.reason is not None) == (ruling.move is Move.REFUSE)
    assert ruling.reason is not Reason.GRANTED


@given(doors, cases)
def test_a_case_whose_time_is_up_is_never_left_waiting(door: LivenessRules, case: Standpoint) -> None:
    """Accepted, asked or refused, whatever is doubted."""
    assert rule(replace(case, late=True), door).move is not Move.WAIT


@given(doors, cases)
def test_without_the_networks_three_turns_are_always_asked_and_at_level_high_nothing(
    door: LivenessRules, case: Standpoint
) -> None:
    """That door does not start without them; should they vanish while it runs, nobody is alive."""
    ruling = rule(replace(case, passive=PassiveVerdict.ABSENT), door)
    if door.level is Level.HIGH:
        assert ruling == Ruling(Move.REFUSE, reason=Reason.LIVENESS_ERROR)
    else:
        assert ruling == Ruling(Move.CHALLENGE, steps=3)


@given(doors, cases)
def test_a_spoof_is_always_refused(door: LivenessRules, case: Standpoint) -> None:
    """Whatever else is in the picture."""
    spoof = replace(case, passive=PassiveVerdict.SPOOF)
    assert rule(spoof, door) == Ruling(Move.REFUSE, reason=Reason.VETOED)
    assert objection(spoof, door) is Reason.VETOED


@given(doors, cases)
def test_during_the_challenge_the_networks_can_only_object(door: LivenessRules, case: Standpoint) -> None:
    """Blind ones always do, but where an owner lets head turns suffice, which level high knows nothing of."""
    found = objection(case, door)
    assert found in (None, Reason.VETOED, Reason.POOR_QUALITY)
    if case.doubts & (BLINDING - DULLING) and not (door.turns_suffice and door.level is not Level.HIGH):
        assert found is not None


@given(doors, st.lists(st.floats(0.0, 1.0), max_size=5))
def test_a_completed_challenge_needs_three_clear_answers_that_are_no_veto(
    door: LivenessRules, clear: list[float]
) -> None:
    """The middle one above the veto; where head turns suffice, nothing."""
    found = shortfall(clear, door)
    if door.turns_suffice and door.level is not Level.HIGH:
        assert found is None
    elif len(clear) < 3:
        assert found is Reason.POOR_QUALITY
    else:
        assert found is (None if median(clear) > PASSIVE.veto else Reason.VETOED)


def test_the_policy_cannot_know_who_somebody_is() -> None:
    """Nothing in what it may look at names a person, a similarity or a vote."""
    names = {field.name for value in (Standpoint, LivenessRules, Cues) for field in fields(value)}
    assert not names & {"person", "claimed", "claim", "similarity", "candidates", "votes", "embedding", "name"}


@given(cases, st.booleans(), st.booleans())
def test_level_high_asks_only_whom_the_networks_found_alive(
    case: Standpoint, turns_suffice: bool, always_ask: bool
) -> None:
    """Both proofs, or none."""
    door = rules(Level.HIGH, turns_suffice=turns_suffice, always_ask=always_ask)
    if rule(case, door).move is Move.CHALLENGE:
        assert case.passive is PassiveVerdict.LIVE
        assert not case.doubts & (BLINDING - DULLING)


@given(doors, cases)
def test_head_turns_alone_open_nothing_where_networks_could_have_judged(door: LivenessRules, case: Standpoint) -> None:
    """Unless an owner accepts it, a challenge begins only after K answers, or once they settled without."""
    door = replace(door, turns_suffice=False)
    if rule(case, door).move is Move.CHALLENGE and case.passive is not PassiveVerdict.ABSENT:
        assert case.passive in (PassiveVerdict.LIVE, PassiveVerdict.UNDECIDED) or (case.hopeful and case.late)
        assert not case.doubts & (BLINDING - DULLING)
        assert case.passive is PassiveVerdict.LIVE or not case.doubts & BLINDING


# ---- The doubts


def test_a_good_frame_raises_no_doubt() -> None:
    """The control."""
    assert doubts_about(GOOD, LIMITS) == NONE


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"faces": 2}, Doubt.SEVERAL_FACES),
        ({"bezel": 2.0}, Doubt.BEZEL),
        ({"burnt": 0.3}, Doubt.BURNT_BACKGROUND),
        ({"chroma": 3.9}, Doubt.GREY),
        ({"brightness": 59.0}, Doubt.LOW_LIGHT),
        ({"noise": 0.03}, Doubt.NOISE),
        ({"context": 1.9}, Doubt.LITTLE_CONTEXT),
        ({"sharpness": 5.9}, Doubt.BLUR),
    ],
)
def test_each_cue_raises_its_own_doubt_and_no_other(change: dict[str, float], doubt: Doubt) -> None:
    assert doubts_about(replace(GOOD, **change), LIMITS) == {doubt}  # type: ignore[arg-type]


@pytest.mark.parametrize("cue", ["bezel", "burnt", "chroma", "brightness", "noise", "context", "sharpness"])
def test_a_cue_that_is_no_number_is_a_doubt(cue: str) -> None:
    assert doubts_about(replace(GOOD, **{cue: math.nan}), LIMITS)  # type: ignore[arg-type]


# ---- The sequential test


def test_more_than_half_of_k_live_answers_settle_the_median() -> None:
    """Three of five; two do not."""
    assert answered(0.9, 0.9).verdict is PassiveVerdict.GATHERING
    assert answered(0.9, 0.9, 0.9).verdict is PassiveVerdict.LIVE
    assert answered(0.1, 0.1, 0.1).verdict is PassiveVerdict.SPOOF
    assert answered(0.9, 0.5, 0.9, 0.1).verdict is PassiveVerdict.GATHERING


@given(st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5))
def test_a_verdict_told_early_is_the_verdict_of_all_k(answers: list[float]) -> None:
    """The median of all five lies where the early verdict said."""
    early = next(
        (v for n in range(1, 5) if (v := answered(*answers[:n]).verdict) is not PassiveVerdict.GATHERING), None
    )
    middle = sorted(answers)[2]
    whole = (
        PassiveVerdict.SPOOF
        if middle <= PASSIVE.veto
        else PassiveVerdict.LIVE
        if middle >= PASSIVE.accept
        else PassiveVerdict.UNDECIDED
    )
    assert answered(*answers).verdict is whole
    assert early in (None, whole)


def test_the_median_decides_and_not_the_mean() -> None:
    """Two slips of five cost nothing; three do."""
    assert answered(0.9, 0.0, 0.9, 0.0, 0.9).verdict is PassiveVerdict.LIVE
    assert answered(0.1, 1.0, 0.1, 1.0, 0.1).verdict is PassiveVerdict.SPOOF
    assert answered(0.5, 1.0, 0.5, 1.0, 0.5).verdict is PassiveVerdict.UNDECIDED


def test_a_gap_voids_what_spoke_for_life() -> None:
    """Another face could have been there: as many answers are needed again, in one run."""
    found = answered(0.9, 0.9, 0.9, 0.9, 0.9)
    last_s = found.sampled_s or 0.0
    for number in range(3):
        found.add(last_s + 0.34 + number * 0.13, 0.9, NONE)
        assert found.verdict is (PassiveVerdict.LIVE if number == 2 else PassiveVerdict.UNDECIDED)


def test_a_gap_does_not_void_what_speaks_for_a_spoof() -> None:
    """Turning away in between helps nobody."""
    assert answered(*[0.05] * 5, every_s=1.0).verdict is PassiveVerdict.SPOOF


def test_a_doubt_stands_while_three_of_the_last_k_frames_raised_it() -> None:
    grey = frozenset({Doubt.GREY})
    found = answered(0.9, 0.9, doubts=grey)
    assert found.doubts == NONE
    found.add(1.3, 0.9, grey)
    assert found.doubts == grey
    for number in range(3):
        found.add(1.4 + 0.1 * number, 0.9, NONE)
    assert found.doubts == NONE


@pytest.mark.parametrize("doubt", sorted(set(Doubt) - DULLING, key=str))
def test_a_doubted_frame_never_speaks_for_life(doubt: Doubt) -> None:
    """Not even where too few raised the doubt for it to stand; unless the level does not mind it."""
    found, minding_less = PassiveTest(PASSIVE), PassiveTest(replace(PASSIVE, heeded=heeded_by(Level.CONVENIENCE)))
    for number, doubts in enumerate([frozenset({doubt}), frozenset({doubt}), NONE, NONE]):
        for test in (found, minding_less):
            test.add(1.0 + 0.1 * number, 0.9, doubts)
    assert found.verdict is PassiveVerdict.GATHERING
    assert (minding_less.verdict is PassiveVerdict.LIVE) == (doubt in FRAMING)


@pytest.mark.parametrize("doubt", sorted(DULLING, key=str))
def test_where_only_the_living_lose_what_speaks_for_life_counts_and_what_speaks_against_it_does_not(
    doubt: Doubt,
) -> None:
    """Blur and noise: no attack was seen to gain by them."""
    dull = frozenset({doubt})
    assert answered(0.9, 0.9, 0.9, doubts=dull).verdict is PassiveVerdict.LIVE
    assert rule(Standpoint(PassiveVerdict.LIVE, dull), rules()).move is Move.ACCEPT
    assert answered(0.0, 0.0, 0.0, doubts=dull).verdict is PassiveVerdict.GATHERING
    late = rule(Standpoint(PassiveVerdict.UNDECIDED, dull, late=True), rules())
    assert late == Ruling(Move.REFUSE, reason=Reason.POOR_QUALITY)


@pytest.mark.parametrize("doubt", sorted(BLINDING, key=str))
def test_what_blinds_the_networks_voids_their_veto(doubt: Doubt) -> None:
    """Living people are rejected in such pictures; a bezel blinds nobody."""
    assert answered(0.0, 0.0, 0.0, doubts=frozenset({doubt})).verdict is PassiveVerdict.GATHERING
    assert answered(0.0, 0.0, 0.0, doubts=FRAMING).verdict is PassiveVerdict.SPOOF


@pytest.mark.parametrize("live", [math.nan, math.inf, -0.01, 1.01])
def test_what_is_no_probability_is_a_broken_model(live: float) -> None:
    with pytest.raises(ModelError):
        answered(live)


@pytest.mark.parametrize("captured_s", [1.0, 0.9, math.nan, math.inf])
def test_an_answer_must_follow_the_last_one(captured_s: float) -> None:
    found = answered(0.9)
    with pytest.raises(ModelError):
        found.add(captured_s, 0.9, NONE)


@given(st.lists(st.tuples(st.floats(0.01, 2.0), st.floats(0.0, 1.0)), max_size=40))
def test_live_needs_most_of_k_answers_no_further_apart_than_the_gap(samples: list[tuple[float, float]]) -> None:
    """Whatever came before."""
    found, times, answers = PassiveTest(PASSIVE), [0.0], []
    for gap_s, live in samples:
        times.append(times[-1] + gap_s)
        answers.append(live)
        found.add(times[-1], live, NONE)
        if found.verdict is PassiveVerdict.LIVE:
            run = 1
            while run < min(5, len(answers)) and times[-run] - times[-run - 1] <= PASSIVE.max_gap_s:
                run += 1
            assert sum(answer >= PASSIVE.accept for answer in answers[-run:]) >= 3
