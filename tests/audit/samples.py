"""Decisions to write down."""

from __future__ import annotations

from device.types import Decision, LivenessEvidence, QualityReason, Reason, Signal, StepEvidence

HANDLE = "0123456789abcdef0123456789abcdef"
NAME = "Ada Lovelace"


def decision(reason: Reason = Reason.GRANTED, *, claimed: str | None = HANDLE, similarity: float = 0.97) -> Decision:
    """The end of a visit with three challenge steps."""
    step = StepEvidence(prompt=Signal.TURN_LEFT, outcome="passed", angle_deg=24.5, response_s=0.8, residual=0.05)
    return Decision(
        reason=reason,
        person=claimed if reason is Reason.GRANTED else None,
        claimed=claimed,
        similarity=similarity,
        runner_up=0.88,
        votes=3,
        track=2,
        frame_number=101,
        captured_s=12.25,
        decided_s=12.5,
        first_usable_s=8.0,
        claimed_s=9.0,
        liveness=LivenessEvidence(method="head_turn", samples=60, steps=(step, step, step)),
        quality=(QualityReason.TURNED,),
    )
