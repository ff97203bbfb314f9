"""Figures of a policy, worked out by hand; and the rules that no set of attempts may break."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.types import Reason
from export_tools.pad.attempt import LIVE, Attempt
from export_tools.pad.figures import (
    ablation_rows,
    attack_figures,
    attempt_rows,
    bona_fide_figures,
    outcome_of,
    spread,
)
from export_tools.pad.result import PERCENTS, Outcome, PolicyResult
from tests.pad.pad_samples import attempt, by_hand, result, sessions, step, unseen


def counted(rate: object) -> tuple[int, int]:
    """Events and trials of a rate."""
    return rate.count, rate.trials  # type: ignore[attr-defined]


def test_rates_are_those_of_attempts_worked_out_by_hand() -> None:
    """Phones: one of three that got a response passed, one of four got none; prints: none of four."""
    phone, tilt = attack_figures(by_hand(), identities_known=True)
    assert (phone.species, tilt.species) == ("replay_phone", "print_tilt")
    assert (counted(phone.apcer), counted(tilt.apcer)) == ((1, 3), (0, 4))
    assert (counted(phone.apnrr), counted(tilt.apnrr)) == ((1, 4), (0, 4))
    assert phone.iapar is not None
    assert counted(phone.iapar) == (1, 4)
    assert phone.passed_unasked == 0


def test_a_session_counts_once_however_often_it_passes() -> None:
    """Two phones, one of which got in at its second attempt; one print was never seen and is no session."""
    phone, tilt = attack_figures(by_hand(), sessions(), identities_known=True)
    assert phone.session_apcer is not None
    assert tilt.session_apcer is not None
    assert (counted(phone.session_apcer), phone.session_attempts) == ((1, 2), 3)
    assert (counted(tilt.session_apcer), tilt.session_attempts) == ((0, 1), 4)
    twice = [[attempt("print_tilt", 1, proven=True), attempt("print_tilt", 3, proven=True)]]
    again = attack_figures(by_hand(), twice, identities_known=True)
    assert [counted(each.session_apcer) for each in again if each.species == "print_tilt"] == [(1, 1)]


def test_what_was_not_measured_is_told_as_such() -> None:
    """Without sessions no rate per session, without enrolled victims no IAPAR."""
    phone, _ = attack_figures(by_hand(), identities_known=False)
    assert (phone.session_apcer, phone.iapar) == (None, None)


@pytest.mark.parametrize(
    "session", [[], [attempt("print_tilt", 1), attempt("replay_phone", 1)]], ids=["empty", "of two attack types"]
)
def test_a_session_that_is_none_is_refused(session: list[Attempt]) -> None:
    """Rather than counted somewhere."""
    with pytest.raises(ValueError, match="one attack type"):
        attack_figures(by_hand(), [session], identities_known=True)


def test_living_visitors_are_told_apart_from_attacks() -> None:
    """Five came, one was not seen; of four one was turned away, three were asked; two of three passed were asked."""
    found = bona_fide_figures(by_hand(), identities_known=True)
    assert found is not None
    assert found.granted is not None
    assert (counted(found.bpcer), counted(found.bpnrr)) == ((1, 4), (1, 5))
    assert (counted(found.challenged), counted(found.vetoed), counted(found.granted)) == ((3, 4), (0, 4), (2, 5))
    times = found.times
    assert times.every is not None
    assert times.unasked is not None
    assert times.asked is not None
    assert [each.at(50) for each in (times.every, times.unasked, times.asked)] == [6.0, 0.8, 7.0]
    assert [(each.reason, each.count) for each in found.reasons] == [("no_response", 1), ("poor_quality", 1)]


def test_being_asked_is_no_error_of_a_visitor_who_cannot_answer() -> None:
    """A recording that is challenged is not turned away; one that is vetoed is."""
    asked = attempt(LIVE, 0, reason=Reason.NO_RESPONSE)
    vetoed = attempt(LIVE, 1, reason=Reason.VETOED)
    recorded = bona_fide_figures([asked, vetoed], identities_known=False, answers=False)
    present = bona_fide_figures([asked, vetoed], identities_known=False)
    assert recorded is not None
    assert present is not None
    assert (counted(recorded.bpcer), counted(present.bpcer)) == ((1, 2), (2, 2))


def test_a_recording_that_ended_too_soon_is_no_error_and_no_pass() -> None:
    """A clip is over when it is over; a visitor who could have stayed and left was turned away."""
    ended = attempt(LIVE, 0, challenged=False, reason=Reason.LEFT)
    recorded = bona_fide_figures([ended], identities_known=False, answers=False)
    present = bona_fide_figures([ended], identities_known=False)
    assert recorded is not None
    assert present is not None
    assert (counted(recorded.bpcer), counted(recorded.bpnrr)) == ((0, 0), (1, 1))
    assert (counted(present.bpcer), counted(present.bpnrr)) == ((1, 1), (0, 1))
    spoof = attempt("print", 0, challenged=False, reason=Reason.LEFT)
    (found,) = attack_figures([spoof], identities_known=False, answers=False)
    assert (counted(found.apcer), counted(found.apnrr)) == ((0, 0), (1, 1))


def test_a_proof_without_a_decision_has_no_time_to_one() -> None:
    """Its recording ended while votes were counted."""
    late = attempt(LIVE, 0, proven=True, challenged=False, reason=Reason.LEFT, decided_s=2.5)
    found = bona_fide_figures([late], identities_known=False, answers=False)
    assert found is not None
    assert (counted(found.bpcer), found.times.every) == ((0, 1), None)


def test_without_living_visitors_there_is_no_bpcer() -> None:
    """Not one of nought per cent."""
    assert bona_fide_figures([attempt("print_tilt", 1)], identities_known=True) is None


@pytest.mark.parametrize(
    ("shown", "outcome"),
    [
        (attempt(LIVE, 0, proven=True, challenged=False), Outcome.ACCEPTED),
        (attempt(LIVE, 0, proven=True, challenged=True), Outcome.CHALLENGED),
        (attempt(LIVE, 0, challenged=True, reason=Reason.WRONG_RESPONSE), Outcome.CHALLENGED),
        (attempt(LIVE, 0, challenged=False, reason=Reason.VETOED), Outcome.VETOED),
        (attempt(LIVE, 0, challenged=True, reason=Reason.VETOED), Outcome.VETOED),
        (attempt(LIVE, 0, challenged=False, reason=Reason.LIVENESS_ERROR), Outcome.REFUSED),
        (unseen(LIVE, 0), Outcome.NO_RESPONSE),
    ],
)
def test_every_attempt_comes_to_one_outcome(shown: Attempt, outcome: Outcome) -> None:
    """A veto is one even in a challenge."""
    assert outcome_of(shown) is outcome


def test_the_worst_attack_type_is_the_one_that_passes_most_often() -> None:
    """Then the one that was tried least; what never got a response stands last."""
    shown = [
        *(attempt("often", number, proven=number < 2) for number in range(4)),
        *(attempt("seldom", number, proven=number < 1) for number in range(4)),
        *(attempt("never, many", number) for number in range(9)),
        *(attempt("never, few", number) for number in range(3)),
        unseen("unseen", 0),
    ]
    found = attack_figures(shown, identities_known=False)
    assert [each.species for each in found] == ["often", "seldom", "never, few", "never, many", "unseen"]


def test_intervals_over_people_need_people() -> None:
    """Four portraits tell nothing about other people; ten do, and more is then not known than over attempts."""
    few = [attempt("print_tilt", number, subject=f"s{number % 4}") for number in range(40)]
    many = [attempt("print_tilt", number, subject=f"s{number % 10}") for number in range(40)]
    (of_few,) = attack_figures(few, identities_known=False)
    (of_many,) = attack_figures(many, identities_known=False)
    assert of_few.apcer.by_subject is None
    assert of_many.apcer.by_subject is not None
    assert of_many.apcer.interval is not None
    assert of_many.apcer.by_subject.upper > of_many.apcer.interval.upper


def test_cues_are_gathered_from_the_evidence() -> None:
    """Residuals of every judged turn; the last median of the networks; what was not measured is left out."""
    phone, tilt = attack_figures(by_hand(), identities_known=False)
    assert phone.residuals is not None
    assert tilt.residuals is not None
    assert tilt.medians is not None
    assert phone.parallaxes is not None
    assert (phone.residuals.count, phone.parallaxes.count, tilt.residuals.count) == (2, 2, 2)
    assert phone.parallaxes.at(50) == pytest.approx(0.55)
    assert (tilt.residuals.at(0), tilt.residuals.at(100)) == (0.01, 0.02)
    assert (tilt.medians.count, tilt.medians.at(50), phone.medians) == (1, 0.05, None)


def test_variants_keep_their_order_and_show_living_visitors_first() -> None:
    """Passes of attempts with a response."""
    rows = ablation_rows({("nothing", ""): by_hand(), ("another", "why"): by_hand()[:5]})
    assert [row.variant for row in rows] == ["nothing", "another"]
    assert [cell.species for cell in rows[0].cells] == [LIVE, "print_tilt", "replay_phone"]
    assert [counted(cell.passes) for cell in rows[0].cells] == [(3, 4), (0, 4), (1, 3)]
    assert [cell.species for cell in rows[1].cells] == [LIVE]


def test_a_row_tells_the_least_that_the_turns_of_its_attempt_left() -> None:
    """Of each measure by itself: one turn may have the least residual and another the least parallax."""
    rows = {(row.species, row.number): row for row in attempt_rows(by_hand())}
    assert (rows[LIVE, 1].residual, rows[LIVE, 1].parallax) == (0.05, 0.5)
    assert (rows["print_tilt", 3].residual, rows["print_tilt", 3].parallax) == (0.02, 0.2)
    assert (rows["print_tilt", 7].residual, rows["print_tilt", 7].parallax) == (None, None)
    steps = (step(residual=0.04, parallax=0.6), step("planar", residual=0.07, parallax=-0.1))
    bent = attempt("print_bent", 1)
    assert bent.evidence is not None
    (row,) = attempt_rows([replace(bent, evidence=replace(bent.evidence, steps=steps))])
    assert (row.residual, row.parallax) == (0.04, -0.1)


def test_turns_that_reached_the_gate_are_told_apart_from_those_that_did_not() -> None:
    """None of twenty passed, and four turns were judged: the gate has stopped three."""
    outcomes = ("planar", "too_few_corners", "passed", "no_response", "wrong_direction", "open")
    tried = attempt("print_cutout", 1)
    assert tried.evidence is not None
    shown = [replace(tried, number=number) for number in range(20)]
    shown[3] = replace(tried, evidence=replace(tried.evidence, steps=tuple(map(step, outcomes))))
    shown[4] = replace(tried, evidence=replace(tried.evidence, steps=(step("planar"),)))
    shown[5] = unseen("print_cutout", 5)
    (found,) = attack_figures(shown, identities_known=False)
    assert counted(found.apcer) == (0, 19)
    assert (found.turns.judged, found.turns.passed, found.turns.attempts) == (4, 1, 2)
    living = bona_fide_figures(by_hand(), identities_known=True)
    assert living is not None
    assert (living.turns.judged, living.turns.passed, living.turns.attempts) == (4, 4, 2)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32)))
def test_a_spread_holds_numbers_only_and_in_order(numbers: list[float]) -> None:
    """What is no number is left out; nothing is left of nothing."""
    found, finite = spread(numbers), [number for number in numbers if math.isfinite(number)]
    if not finite:
        assert found is None
        return
    assert found is not None
    assert found.count == len(finite)
    assert (found.at(0), found.at(100)) == (min(finite), max(finite))
    assert len(found.quantiles) == len(PERCENTS)


_ATTEMPTS = st.builds(
    attempt,
    st.sampled_from([LIVE, "print_tilt", "replay_phone"]),
    st.integers(0, 99),
    proven=st.booleans(),
    challenged=st.booleans(),
    reason=st.sampled_from([Reason.VETOED, Reason.NOT_LIVE, Reason.NO_RESPONSE]),
    decided_s=st.none() | st.floats(0, 20),
    subject=st.sampled_from("abcdefghijkl"),
)


@given(st.lists(_ATTEMPTS, max_size=30))
def test_no_attempt_is_lost_or_counted_twice(shown: list[Attempt]) -> None:
    """Whatever they were: every one has a species, an outcome, and a reason or a pass."""
    attacks = attack_figures(shown, identities_known=True)
    living = bona_fide_figures(shown, identities_known=True)
    total = sum(each.attempts for each in attacks) + (living.attempts if living is not None else 0)
    assert total == len(shown)
    if living is not None:
        assert sum(living.outcomes.model_dump().values()) == living.attempts
    for each in attacks:
        assert sum(each.outcomes.model_dump().values()) == each.attempts
        assert each.apcer.trials + each.apnrr.count == each.attempts
        proven = sum(one.proven for one in shown if one.species == each.species)
        assert sum(reason.count for reason in each.reasons) + proven == each.attempts


def test_a_result_survives_its_own_json() -> None:
    """Byte for byte, whether simulated or recorded."""
    for found in (result(), result(recorded=True)):
        text = found.model_dump_json()
        assert PolicyResult.model_validate_json(text).model_dump_json() == text


def test_an_accomplice_who_is_alive_has_not_passed_before_the_victims_door_opens() -> None:
    """Alive is no attack; let in as somebody else is."""
    alive = attempt("accomplice", 1, proven=True, granted=False, reason=Reason.FACE_CHANGED)
    let_in = attempt("accomplice", 3, proven=True, granted=True, reason=Reason.GRANTED)
    assert [alive.passed, let_in.passed] == [False, True]
    (figures,) = attack_figures([alive, let_in], identities_known=True)
    assert figures.apcer.value == 0.5
