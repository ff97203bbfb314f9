"""What a visit comes to, as the decision that is audited, shown and obeyed."""

from __future__ import annotations

from device.app.visitor import Visitor
from device.types import Decision, Reason


def decision_on(visit: Visitor, reason: Reason, *, decided_s: float) -> Decision:
    """The end of a visit for this reason.

    Args:
        visit: What is known about the visitor.
        reason: ``GRANTED`` names the claimed person as the one let in.
        decided_s: Monotonic.
    """
    claim = visit.claim
    last = visit.newest
    return Decision(
        reason=reason,
        person=claim if reason is Reason.GRANTED else None,
        claimed=claim,
        similarity=last.similarity if last is not None else None,
        runner_up=last.runner_up if last is not None else None,
        votes=sum(vote.person == claim for vote in visit.votes) if claim is not None else 0,
        track=visit.track,
        frame_number=last.frame_number if last is not None else visit.face.frame_number,
        captured_s=last.captured_s if last is not None else visit.face.captured_s,
        decided_s=decided_s,
        first_usable_s=visit.first_usable_s,
        claimed_s=visit.claimed_s,
        liveness=visit.liveness.evidence if visit.liveness is not None else None,
        quality=visit.face.quality.reasons,
    )
