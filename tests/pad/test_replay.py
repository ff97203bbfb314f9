"""A policy decides about a trace as it would have decided at the door."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.access.liveness import Level
from device.errors import UsageError
from device.types import Doubt, PassiveVerdict, Reason, Vector
from export_tools.pad.columns import FAILED, GRID_S
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.replay import play, run_attempt
from export_tools.pad.trace import Trace
from export_tools.pad.turns import turn_counts
from tests.pad.made import ENROLLED, GOOD, OTHER, SOLID, VICTIM, Presented, made, settings

SPOOF = replace(GOOD, live=0.05)
UNSURE = replace(GOOD, live=0.5)
FLAT = replace(SOLID, residual=0.01)


def test_a_living_face_is_let_in_by_the_networks_alone() -> None:
    attempt = run_attempt(made(), settings(), ENROLLED)
    assert (attempt.proven, attempt.granted, attempt.challenged) == (True, True, False)
    assert attempt.reason is Reason.GRANTED
    assert attempt.decided_s is not None
    assert 0.5 < attempt.decided_s < 1.0


def test_without_networks_three_turns_are_asked_for_and_answered() -> None:
    attempt = run_attempt(made(), settings(passive=False), ENROLLED)
    assert (attempt.proven, attempt.granted, attempt.challenged) == (True, True, True)
    assert attempt.evidence is not None
    assert [step.outcome for step in attempt.evidence.steps] == ["passed"] * 3
    assert attempt.evidence.passive is None


def test_undecided_networks_lead_to_two_turns_of_the_same_course() -> None:
    trace = made(cues=lambda _: UNSURE)
    attempt = run_attempt(trace, settings(), ENROLLED)
    assert attempt.granted
    assert attempt.evidence is not None
    assert [step.prompt for step in attempt.evidence.steps] == list(trace.prompts[:2])
    assert attempt.evidence.passive is not None
    assert attempt.evidence.passive.verdict is PassiveVerdict.UNDECIDED


def test_a_spoof_is_vetoed() -> None:
    attempt = run_attempt(made(species="replay_phone", cues=lambda _: SPOOF), settings(), ENROLLED)
    assert attempt.reason is Reason.VETOED
    assert (attempt.proven, attempt.granted, attempt.challenged) == (False, False, False)


def test_a_veto_during_the_turns_ends_them() -> None:
    trace = made(cues=lambda at_s: UNSURE if at_s < 4.0 else SPOOF)
    attempt = run_attempt(trace, settings(), ENROLLED)
    assert attempt.reason is Reason.VETOED
    assert attempt.challenged
    assert not attempt.proven


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (FLAT, "planar"),
        (replace(SOLID, residual=None), "planar"),
        (replace(SOLID, linked=False), "too_few_corners"),
        (replace(SOLID, enough=False), "too_few_corners"),
        (None, "too_few_corners"),
    ],
)
def test_what_the_gate_found_decides_about_a_turn(found: object, outcome: str) -> None:
    attempt = run_attempt(made(found=found), settings(passive=False), ENROLLED)
    assert attempt.reason is Reason.NOT_LIVE
    assert attempt.evidence is not None
    # A turn that leaves the gate undecided is replaced once.
    assert [step.outcome for step in attempt.evidence.steps] == [outcome] * (2 if outcome == "too_few_corners" else 1)
    assert not attempt.proven


def test_a_gate_or_a_reader_that_failed_denies() -> None:
    trace = made()
    frames = trace.frames
    cued = np.where(frames.cued == 1, FAILED, 0)
    turned = np.where(frames.turned == 1, FAILED, 0)
    broken = replace(trace, frames=replace(frames, cued=cued, cues=frames.cues[:0]))
    assert run_attempt(broken, settings(), ENROLLED).reason is Reason.MODEL_ERROR
    broken = replace(trace, frames=replace(frames, turned=turned, findings=frames.findings[:0]))
    assert run_attempt(broken, settings(passive=False), ENROLLED).reason is Reason.LIVENESS_ERROR


def test_who_does_not_answer_is_denied() -> None:
    attempt = run_attempt(made(obeys=False), settings(passive=False), ENROLLED)
    assert attempt.reason is Reason.NO_RESPONSE
    assert attempt.challenged


def test_only_turns_that_came_as_far_as_the_gate_count_as_judged() -> None:
    shown = [
        made(obeys=False),
        made(found=FLAT),
        made(found=replace(SOLID, linked=False)),
        made(),
    ]
    counts = [turn_counts([run_attempt(trace, settings(passive=False), ENROLLED)]) for trace in shown]
    assert [(each.judged, each.passed, each.attempts) for each in counts] == [
        (0, 0, 0),
        (1, 0, 1),
        (2, 0, 1),
        (3, 3, 1),
    ]


def test_a_recording_that_cannot_answer_goes_on_and_is_denied() -> None:
    attempt = run_attempt(made(obeys=False, answers=False), settings(passive=False), ENROLLED)
    assert attempt.challenged
    assert not attempt.proven
    assert attempt.reason is Reason.NO_RESPONSE


def test_a_door_that_cannot_ask_denies_whom_it_would_ask() -> None:
    policy = replace(settings(), challenge=False)
    attempt = run_attempt(made(cues=lambda _: UNSURE), policy, ENROLLED)
    assert attempt.reason is Reason.NO_RESPONSE
    assert (attempt.challenged, attempt.proven) == (False, False)
    assert run_attempt(made(), policy, ENROLLED).granted


def test_nobody_enrolled_can_be_alive_but_not_let_in() -> None:
    attempt = run_attempt(made(), settings(), None)
    assert (attempt.proven, attempt.granted) == (True, False)
    assert attempt.reason is Reason.NO_MATCH


def test_somebody_else_than_enrolled_is_not_let_in() -> None:
    attempt = run_attempt(made(looks=lambda _: OTHER), settings(), ENROLLED)
    assert (attempt.proven, attempt.granted) == (True, False)
    assert attempt.reason is Reason.NO_MATCH


def _exchanged(at_s: float) -> Trace:
    def looks(now_s: float) -> Vector:
        return OTHER if now_s < at_s else VICTIM

    return made(looks=looks, species="accomplice")


def test_an_accomplice_who_gives_way_after_the_first_turn_opens_nothing() -> None:
    attempt = run_attempt(_exchanged(5.5), settings(passive=False), ENROLLED)
    assert attempt.challenged
    assert not attempt.proven
    assert attempt.reason in (Reason.FACE_CHANGED, Reason.NO_RESPONSE)


def test_the_proof_starts_anew_for_a_face_that_was_exchanged_before_anything_was_asked() -> None:
    attempt = run_attempt(_exchanged(0.4), settings(), ENROLLED)
    control = run_attempt(made(), settings(), ENROLLED)
    assert attempt.granted
    assert attempt.decided_s is not None
    assert control.decided_s is not None
    assert attempt.decided_s >= control.decided_s + 0.3


@given(number=st.integers(0, 500), fps=st.integers(12, 30), after_s=st.floats(0.6, 1.5))
def test_whoever_answers_every_prompt_in_time_is_let_in(number: int, fps: int, after_s: float) -> None:
    trace = made(Presented(number=number, fps=fps, after_s=after_s, passive=False))
    assert run_attempt(trace, settings(passive=False), ENROLLED).granted


def test_a_look_that_differs_before_the_first_prompt_does_not_begin_the_recording_again() -> None:
    """At the door such a visit starts anew; the recording of what followed goes on."""
    trace = made(passive=False, after_s=1.3, looks=lambda at_s: OTHER if 3.35 < at_s < 3.47 else VICTIM)
    assert trace.turn_at is not None
    begun_s = trace.frames.captured_s[trace.turn_at] - 5.0
    assert 3.2 < begun_s < 3.35
    attempt = run_attempt(trace, settings(passive=False), ENROLLED)
    assert (attempt.reason, attempt.proven) == (Reason.GRANTED, True)


@given(residual=st.floats(allow_nan=True, allow_infinity=True), corners=st.integers(0, 200))
def test_only_a_finite_residual_above_the_limit_passes(residual: float, corners: int) -> None:
    found = replace(SOLID, residual=residual if np.isfinite(residual) else None, corners=corners)
    attempt = run_attempt(made(found=found, fps=15), settings(passive=False), ENROLLED)
    assert attempt.proven == bool(np.isfinite(residual) and residual >= 0.024)


def test_level_high_asks_the_living_too() -> None:
    attempt = run_attempt(made(), settings(level=Level.HIGH), ENROLLED)
    assert attempt.challenged
    assert attempt.granted


def test_doubts_are_kept_as_evidence() -> None:
    attempt = run_attempt(made(cues=lambda _: replace(GOOD, bezel=3.0)), settings(), ENROLLED)
    assert attempt.challenged
    assert attempt.evidence is not None
    assert attempt.evidence.doubts == (Doubt.BEZEL,)


def test_networks_that_were_not_asked_cannot_be_asked_afterwards() -> None:
    with pytest.raises(UsageError, match="without them"):
        run_attempt(made(passive=False), settings(), ENROLLED)


def test_a_template_of_another_model_is_refused() -> None:
    other = Enrolled("victim", replace(ENROLLED.template, model="another"))
    with pytest.raises(UsageError, match="another"):
        run_attempt(made(), settings(), other)


def test_a_policy_cannot_ask_for_more_turns_than_were_recorded() -> None:
    with pytest.raises(UsageError, match="more than 3 head turns"):
        replace(settings(), rules=replace(settings().rules, steps=4))


MADE = (made(fps=30, passive=False), made(fps=15, cues=lambda _: UNSURE), made(fps=24, found=FLAT))


@given(which=st.sampled_from(MADE), ticks=st.integers(0, 2**40))
def test_when_a_trace_is_played_changes_nothing(which: Trace, ticks: int) -> None:
    """Spans of just 0.1 s occur in each: rounded, they would be enough at one time and not at another."""
    policy = settings(passive=which.passive)
    now, then = (play(which, policy, ENROLLED, start_s=start_s) for start_s in (0.0, ticks * GRID_S))
    assert now.attempt == then.attempt
    assert then.ended_s - ticks * GRID_S == now.ended_s


def test_playing_a_trace_twice_gives_the_same_attempt() -> None:
    trace = made()
    assert run_attempt(trace, settings(), ENROLLED) == run_attempt(trace, settings(), ENROLLED)


def _with_tracks(trace: Trace, since_s: float, *, others: bool = False) -> Trace:
    """From then on another track is the candidate."""
    frames = trace.frames
    late = frames.captured_s - frames.captured_s[0] >= since_s
    first = np.flatnonzero(late)[0]
    gone = np.zeros(len(trace), np.bool_)
    gone[first] = others
    return replace(trace, frames=replace(frames, track=np.where(late, 2, 1), others=gone))


def test_a_track_that_breaks_before_anything_was_asked_begins_a_new_visit() -> None:
    attempt = run_attempt(_with_tracks(made(), 0.4), settings(), ENROLLED)
    control = run_attempt(made(), settings(), ENROLLED)
    assert attempt.granted
    assert attempt.decided_s is not None
    assert control.decided_s is not None
    assert attempt.decided_s >= control.decided_s + 0.3


@pytest.mark.parametrize(("others", "reason"), [(False, Reason.LEFT), (True, Reason.NOT_NEAREST)])
def test_a_track_that_breaks_during_the_turns_ends_the_attempt(others: bool, reason: Reason) -> None:
    trace = _with_tracks(made(passive=False), 5.0, others=others)
    attempt = run_attempt(trace, settings(passive=False), ENROLLED)
    assert attempt.reason is reason
    assert attempt.challenged
    assert not attempt.proven


def test_somebody_before_the_candidate_keeps_the_door_shut() -> None:
    trace = made()
    hidden = replace(trace, frames=replace(trace.frames, nearest=np.zeros(len(trace), np.bool_)))
    attempt = run_attempt(hidden, settings(), ENROLLED)
    assert (attempt.proven, attempt.granted) == (True, False)
    assert attempt.reason is Reason.NOT_NEAREST
