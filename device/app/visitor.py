"""What is known so far about one visitor: one track of one face, its proof of life and its votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from device.access.decide import Rules
from device.access.votes import Vote, cast, tally
from device.config import Config
from device.types import (
    Candidate,
    Embedding,
    Face,
    Frame,
    LivenessState,
    LivenessStatus,
    Pose,
    QualityReason,
    Signal,
)

#: What the person can do about a face that is not good enough, most telling first.
_ADVICE = (
    (QualityReason.TOO_SMALL, Signal.COME_CLOSER),
    (QualityReason.TOO_DARK, Signal.TOO_DARK),
)


class ProofOfLife(Protocol):
    """What a visit asks of a liveness method: one frame of one track at a time."""

    def observe(self, frame: Frame, face: Face) -> LivenessStatus:
        """Take one sample."""


@dataclass(frozen=True, slots=True)
class VisitRules:
    """The numbers of a visit; the meaning of each is told in ``device/config.py``."""

    decision: Rules
    threshold: float
    margin: float
    same_face: float
    compare_every_s: float
    max_turn_deg: float
    max_gap_s: float
    cool_down_s: float
    patience_s: float
    left_after_s: float
    takeover_ratio: float

    @classmethod
    def of(cls, config: Config, *, threshold: float) -> VisitRules:
        """Collect them; ``threshold`` is the configured cosine or the pack's."""
        access = config.access
        return cls(
            decision=Rules(access.votes, access.vote_window, access.max_frame_age_s),
            threshold=threshold,
            margin=config.gallery.margin,
            same_face=access.same_face,
            compare_every_s=access.compare_every_s,
            max_turn_deg=access.max_turn_deg,
            max_gap_s=config.liveness.max_gap_s,
            cool_down_s=access.cool_down_s,
            patience_s=access.patience_s,
            left_after_s=access.left_after_s,
            takeover_ratio=access.takeover_ratio,
        )


class Visitor:
    """What is known so far about one track."""

    def __init__(self, face: Face, proof: ProofOfLife, rules: VisitRules) -> None:
        self.track = face.track
        self.face = face
        self.began_s = face.captured_s
        self.first: Embedding | None = None
        self.first_usable_s: float | None = None
        self.claimed_s: float | None = None
        self.liveness: LivenessStatus | None = None
        self.votes: list[Vote] = []
        self._pending: list[Vote] = []
        self._compared_s: float | None = None
        self._rest: Pose | None = None
        self._proven_votes = 0
        self._proof = proof
        self._rules = rules

    def due(self, face: Face) -> bool:
        """Whether this frame's face should be compared: good enough, not turned away, and not compared just now."""
        if not face.quality.usable:
            return False
        if self._compared_s is None or self._rest is None:
            return True
        turned_deg = max(abs(face.pose.yaw_deg - self._rest.yaw_deg), abs(face.pose.pitch_deg - self._rest.pitch_deg))
        return (
            turned_deg <= self._rules.max_turn_deg and face.captured_s - self._compared_s >= self._rules.compare_every_s
        )

    def compared(self, face: Face, embedding: Embedding, candidates: tuple[Candidate, ...]) -> bool:
        """Take a comparison; False when the face is not the one that this visit began with."""
        self._compared_s = face.captured_s
        if self.first is None:
            self.first, self.first_usable_s, self._rest = embedding, face.captured_s, face.pose
        # Written so that NaN or another model disagrees.
        agrees = (
            self.first.model == embedding.model and float(self.first.vector @ embedding.vector) >= self._rules.same_face
        )
        if agrees:
            rules = self._rules
            self._pending.append(
                cast(
                    candidates,
                    threshold=rules.threshold,
                    margin=rules.margin,
                    captured_s=face.captured_s,
                    frame_number=face.frame_number,
                )
            )
        return agrees

    def sample(self, frame: Frame, face: Face) -> None:
        """Take a liveness sample; votes older than it count from now on, if no gap lies between."""
        previous = self.liveness
        self.liveness = status = self._proof.observe(frame, face)
        if previous is None or previous.sampled_s is None or status.sampled_s is None:
            return
        if status.state is LivenessState.FAILED:
            # Final; the votes so far stay as the claim that the audit records.
            self._pending.clear()
            return
        if not (status.sampled_s - previous.sampled_s <= self._rules.max_gap_s):
            self._pending.clear()
            self.votes.clear()
            self._proven_votes = 0
            return
        confirmed = [vote for vote in self._pending if previous.sampled_s <= vote.captured_s < status.sampled_s]
        self._pending = [vote for vote in self._pending if vote.captured_s >= status.sampled_s]
        self.votes.extend(confirmed)
        if status.state is LivenessState.PROVEN:
            self._proven_votes += len(confirmed)
        if self.claimed_s is None and self.claim is not None:
            self.claimed_s = self.votes[-1].captured_s

    @property
    def asked(self) -> bool:
        """Whether the person was asked to do something."""
        return self.liveness is not None and bool(self.liveness.evidence.steps)

    @property
    def claim(self) -> str | None:
        """Handle the confirmed votes agree on, proven alive or not."""
        return tally(self.votes, k=self._rules.decision.votes, n=self._rules.decision.vote_window)

    @property
    def newest(self) -> Vote | None:
        """The newest vote for the claimed person; without a claim the newest of all."""
        claim = self.claim
        return next((vote for vote in reversed(self.votes) if claim in (None, vote.person)), None)

    def ripe(self, now_s: float) -> bool:
        """Whether a decision is due: liveness failed; or passed, and the votes are in; or patience has ended."""
        if now_s - self.began_s >= self._rules.patience_s:
            return True
        if self.liveness is None or self.liveness.state is LivenessState.PENDING:
            return False
        if self.liveness.state is LivenessState.FAILED:
            return True
        # After the proof somebody unknown gets as many frames as a window holds; the last vote must be a fresh one.
        settled = self._proven_votes >= 1 and self.claim is not None and self.votes[-1].person == self.claim
        return settled or self._proven_votes >= self._rules.decision.vote_window

    @property
    def signal(self) -> Signal:
        """What the person should be told now; knows nothing about identity."""
        for reason, advice in _ADVICE:
            if reason in self.face.quality.reasons:
                return advice
        if self.liveness is not None:
            return self.liveness.signal
        return Signal.LOOK_HERE if self.first is None else Signal.CHECKING
