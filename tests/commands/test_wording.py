"""Every decision has its sentence, and its JSON is JSON."""

from __future__ import annotations

import json
import math

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
