"""What is known so far about one visitor: one track of one face, its proof of life and its votes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from device.access.votes import Vote, cast, tally
from device.app.visit_rules import VisitRules
from device.types import (
    Candidate,
    Embedding,
    Face,
    LivenessState,
    LivenessStatus,
    Pose,
    QualityReason,
    Reason,
    Scene,
    Signal,
)
from device.vision.repeats import FaceRepeats

#: After the proof the head is at rest and compared some eight times a second: a face not found for so long has gone.
_PROVEN_UNVOUCHED_S = 0.7
#: What the person can do about a face that is not good enough, most telling first.
_ADVICE = (
    (QualityReason.TOO_SMALL, Signal.COME_CLOSER),
    (QualityReason.TOO_DARK, Signal.TOO_DARK),
)


class ProofOfLife(Protocol):
    """What a visit asks of the proof of life: one frame of one track at a time."""

    def observe(self, scene: Scene, face: Face, *, vouched_s: float, owes_challenge: bool) -> LivenessStatus:
        """Take one frame; ``vouched_s`` is when the face was last compared and found to be the visit's first."""


class Visitor:
    """What is known so far about one track.

    Args:
        face: Its first frame.
        prove: Makes a fresh proof of life.
        rules: The numbers.
    """

    def __init__(self, face: Face, prove: Callable[[], ProofOfLife], rules: VisitRules) -> None:
        self.track = face.track
        self.face = face
        self.began_s = face.captured_s
        self.first_usable_s: float | None = None
        self.locked_until_s = -math.inf
        self.owes_challenge = False
        self.repeats = FaceRepeats()
        self._thrown: list[Embedding] = []
        self._prove = prove
        self._rules = rules
        self.first: Embedding | None = None
        self.liveness: LivenessStatus | None = None
        self._start_anew()

    def _start_anew(self) -> None:
        """Nothing seen so far counts: not the first embedding, not a vote, not a sample.

        What spoke against the face is not thrown away with it: who was not found alive owes a challenge from now on.
        """
        if self.undecided:
            self._thrown += self.looks
            self.owes_challenge = True
        self.first = None
        self.last: Embedding | None = None
        self.claimed_s: float | None = None
        self.liveness = None
        self.votes: list[Vote] = []
        self._pending: list[Vote] = []
        self._rest: Pose | None = None
        self._compared_s = self._vouched_s = -math.inf
        self._proven_votes = 0
        self._proof = self._prove()

    def due(self, face: Face) -> bool:
        """Whether this frame's face should be compared: good enough, not turned away, and not compared just now."""
        if not face.quality.usable:
            return False
        if self.first is None or self._rest is None:
            return True
        if not self.asked and face.captured_s - self._vouched_s > self._rules.max_unvouched_s:
            # It first was seen in a pose that it does not come back to; nothing was asked yet, so nothing is lost.
            self._start_anew()
            return True
        if not self.asked and self._frontal(face.pose) and self._pause_over(face):
            return True  # a first look at somebody who looks elsewhere must not keep the better ones out
        limit = self._rules.max_turn_deg
        # Each side by itself: max() would hide a NaN.
        near = (
            abs(face.pose.yaw_deg - self._rest.yaw_deg) <= limit
            and abs(face.pose.pitch_deg - self._rest.pitch_deg) <= limit
        )
        return near and self._pause_over(face)

    def _pause_over(self, face: Face) -> bool:
        return face.captured_s - self._compared_s >= self._rules.compare_every_s

    def _frontal(self, pose: Pose) -> bool:
        limit = self._rules.max_turn_deg
        return abs(pose.yaw_deg) <= limit and abs(pose.pitch_deg) <= limit

    def compared(self, face: Face, embedding: Embedding, candidates: tuple[Candidate, ...]) -> None:
        """Take a comparison. A frame that does not agree with the first neither vouches for the face nor votes."""
        agrees = self.first is None or self._rules.agree(self.first, embedding)
        if not agrees and not self.asked:
            # Before anything was asked (a first look from afar, say) the newest look is the better beginning.
            self._start_anew()
        self._compared_s = face.captured_s
        if not agrees and self.asked:
            return
        if self.first is None:
            self.first, self._rest = embedding, face.pose
            self.first_usable_s = face.captured_s if self.first_usable_s is None else self.first_usable_s
        self.last = embedding
        self._vouched_s = face.captured_s
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

    def exchanged(self, face: Face) -> bool:
        """Whether the face that was asked has not been found again for too long."""
        limit_s = self._rules.max_unvouched_s
        if self.proven:
            limit_s = min(limit_s, _PROVEN_UNVOUCHED_S)
        return self.asked and not (face.captured_s - self._vouched_s <= limit_s)

    def sample(self, scene: Scene, face: Face) -> None:
        """Take a frame for the proof of life; votes older than its sample count from then on, if no gap lies between.

        Raises:
            ModelError: A network failed.
        """
        previous, asked = self.liveness, self.asked
        self.liveness = status = self._proof.observe(
            scene, face, vouched_s=self._vouched_s, owes_challenge=self.owes_challenge
        )
        if status.state is not LivenessState.PROVEN:
            self._proven_votes = 0
        if self.asked and not asked:
            # The look that answers are held to is the one that was asked: a first look from afar is a poor one.
            self.first = self.last
        if self._pending and self._pending[-1].captured_s == face.captured_s != status.lived_s:
            # Who votes must be who lives: a frame that did not itself speak for life names nobody.
            self._pending[-1] = replace(self._pending[-1], person=None, reason=Reason.NOT_LIVE)
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
    def undecided(self) -> bool:
        """Whether some answer of the passive networks did not speak for life, nothing was asked and nothing proven."""
        passive = self.liveness.evidence.passive if self.liveness is not None else None
        doubted = passive is not None and passive.samples > passive.live
        return doubted and not self.asked and not self.proven

    @property
    def looks(self) -> tuple[Embedding, ...]:
        """How the face looked first and last: what it is remembered by."""
        return tuple(look for look in (self.first, self.last) if look is not None)

    def take_thrown(self) -> tuple[Embedding, ...]:
        """Looks of faces whose undecided proof was thrown away since the last call."""
        thrown, self._thrown = tuple(self._thrown), []
        return thrown

    @property
    def asked(self) -> bool:
        """Whether the person was asked to do something."""
        return self.liveness is not None and bool(self.liveness.evidence.steps)

    @property
    def proven(self) -> bool:
        """Whether the proof of life has passed."""
        return self.liveness is not None and self.liveness.state is LivenessState.PROVEN

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
