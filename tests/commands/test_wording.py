"""Every decision has its sentence, and its JSON is JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from device.commands.wording import decision_json, explain
from device.types import Decision, LivenessEvidence, QualityReason, Reason, Signal, StepEvidence

PERSON = "c0ffee" * 5 + "00"


def decision(reason: Reason, *, similarity: float | None = 0.97) -> Decision:
    """One with everything in it."""
    granted = reason is Reason.GRANTED
    steps = (
        StepEvidence(Signal.TURN_LEFT, "passed", 24.0, 0.9, 0.05),
        StepEvidence(Signal.LOOK_UP, "passed" if granted else "planar", math.nan, None, 0.011),
    )
    return Decision(
        reason=reason,
        person=PERSON if granted else None,
        claimed=PERSON,
        similarity=similarity,
        runner_up=math.nan,
        votes=3,
        track=1,
        frame_number=9,
        captured_s=1.0,
        decided_s=1.1,
        first_usable_s=0.5,
        claimed_s=0.9,
        liveness=LivenessEvidence("head_turn", 30, steps),
        quality=(QualityReason.TOO_DARK,),
    )


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("name", [None, "Ada"])
def test_every_reason_has_a_sentence(reason: Reason, name: str | None) -> None:
    """None is missing, none tells a handle."""
    told = explain(decision(reason), name=name, threshold=0.9547)
    assert len(told) > 10
    assert PERSON[:8] not in told
    assert (name or "somebody enrolled") in told
    assert "too dark" in told


def test_no_sentence_serves_two_reasons() -> None:
    """Somebody who reads one knows which it was."""
    told = {explain(decision(reason), name="Ada", threshold=0.9547).partition(";")[0] for reason in Reason}
    assert len(told) == len(Reason)


@pytest.mark.parametrize(("similarity", "sign"), [(0.96, ">="), (0.9547, ">="), (0.9546, "<"), (math.nan, "<")])
def test_the_sign_between_similarity_and_threshold_is_true(similarity: float, sign: str) -> None:
    """NaN reaches nothing."""
    told = explain(decision(Reason.NO_MATCH, similarity=similarity), name=None, threshold=0.9547)
    assert f" {sign} 0.955" in told


@pytest.mark.parametrize("reason", list(Reason))
def test_a_decision_in_json_is_strict_json(reason: Reason) -> None:
    """No NaN, stable words, nobody's name."""
    text = json.dumps(decision_json(decision(reason)), allow_nan=False)
    told = json.loads(text)
    assert told["reason"] == reason.value
    assert told["outcome"] == ("granted" if reason is Reason.GRANTED else "denied")
    assert "name" not in told
    assert told["runner_up"] is None
    assert told["liveness"]["steps"][1]["angle_deg"] is None


def test_a_grant_without_a_person_is_told_as_no_grant() -> None:
    """A decision that contradicts itself opens nothing, and says nothing else."""
    made = decision(Reason.GRANTED)
    broken = Decision(**{name: getattr(made, name) for name in made.__dataclass_fields__} | {"person": None})
    assert decision_json(broken)["outcome"] == "denied"


def turns(*steps: StepEvidence) -> str:
    """The part of the sentence that tells of head turns."""
    made = replace(decision(Reason.NOT_LIVE), liveness=LivenessEvidence("head_turn", 30, steps), quality=())
    return explain(made, name=None, threshold=0.9547).rpartition("; ")[2]


def turned(outcome: str, *, residual: float | None = 0.05, parallax: float | None = 0.4) -> StepEvidence:
    """A turn that was judged so."""
    error = None if parallax is None else 0.02
    return StepEvidence(Signal.TURN_LEFT, outcome, 24.0, 0.9, residual, parallax, error)


def test_turns_that_passed_are_told_by_the_least_that_each_measure_reached() -> None:
    """The weakest relief by what the limit is held against, the least residual of any."""
    weakest = StepEvidence(Signal.LOOK_UP, "passed", 19.0, 0.9, 0.06, 0.41, 0.2)
    told = turns(turned("passed", parallax=0.3), weakest, turned("passed", residual=0.046))
    assert told == "3 of 3 head turns, at least relief 0.410 ± 0.200, residual 0.046"


def test_a_bent_print_is_told_by_the_relief_that_it_lacks() -> None:
    """Its residual is as good as a head's, so the residual alone would not say why."""
    bent = turns(turned("passed"), turned("planar", residual=0.05, parallax=0.01))
    assert bent == "1 of 2 head turns, the last like that of a picture: relief 0.010 ± 0.020, residual 0.050"
    assert turns(turned("planar", parallax=None)).endswith(": relief not measurable, residual 0.050")


def test_a_turn_that_could_not_be_judged_is_not_called_a_pictures() -> None:
    """Too few corners, or too little relief under them."""
    told = turns(turned("too_few_corners", residual=None, parallax=None))
    assert told == "0 of 1 head turns, the last undecided: relief not measurable, residual not measurable"


def test_what_replaced_turns_measured_is_not_told_of_a_course_that_passed() -> None:
    """An undecided turn proved nothing, so it weakens nothing."""
    assert turns(turned("too_few_corners", residual=0.03, parallax=0.1), turned("passed")) == (
        "1 of 2 head turns, at least relief 0.400 ± 0.020, residual 0.050"
    )


@pytest.mark.parametrize("outcome", ["wrong_direction", "no_response", "open"])
def test_turns_that_were_not_judged_have_no_measures(outcome: str) -> None:
    """Those before them have."""
    unjudged = turned(outcome, residual=None, parallax=None)
    assert turns(unjudged) == "0 of 1 head turns"
    assert turns(turned("passed"), unjudged) == "1 of 2 head turns, at least relief 0.400 ± 0.020, residual 0.050"
