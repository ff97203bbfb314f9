"""The proof of life of one track: the passive networks first, head turns where they are not enough.

    each frame    -> the track and its times go on, else it fails
    compared ones -> cues -> doubts -> passive test -> the policy's ruling
    once asked    -> the challenge judges every frame; the networks go on, must see, and can still veto

What was proven stands only as long as samples keep coming and the networks do not take it back. Where there are
networks, only frames that they judged vouch for a face and speak for life: one that leans or turns away from them, or
blinds them, answers no prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from device.access.doubts import doubts_about
from device.access.liveness import LivenessRules, Move, Policy, Standpoint, objection, rule, shortfall
from device.access.passive_test import PassiveTest
from device.types import (
    Cues,
    Doubt,
    Face,
    Frame,
    LivenessEvidence,
    LivenessState,
    LivenessStatus,
    PassiveEvidence,
    PassiveVerdict,
    Reason,
    Scene,
    Signal,
)

PASSIVE: Final = "passive"
HEAD_TURN: Final = "head_turn"


class CueReader(Protocol):
    """Measures what a frame says about life."""

    @property
    def passive(self) -> bool:
        """Whether there are passive networks to be asked."""

    def read(self, scene: Scene, face: Face) -> Cues:
        """The numbers of one face of a frame. Raises ModelError."""


class EyeWatch(Protocol):
    """Counts the blinks of one track."""

    @property
    def blinks(self) -> int:
        """So far."""

    def look(self, frame: Frame, face: Face) -> None:
        """Take one frame. Raises ModelError."""


class Challenge(Protocol):
    """Judges head turns, frame by frame; :class:`device.vision.liveness.challenge.HeadTurnChallenge`."""

    def observe(self, frame: Frame, face: Face, *, vouched_s: float) -> LivenessStatus:
        """Take one frame."""


class LivenessProof:
    """The proof of life of one track, frame by frame.

    Args:
        rules: What this door asks for.
        reader: Measures the cues of compared frames.
        challenge: Begins a challenge of so many head turns.
        eyes: Counts blinks for the evidence; None where they are not counted.
        policy: Decides what is asked next; another one only where policies are compared.
    """

    def __init__(
        self,
        rules: LivenessRules,
        *,
        reader: CueReader,
        challenge: Callable[[int], Challenge],
        eyes: EyeWatch | None = None,
        policy: Policy = rule,
    ) -> None:
        self._rules = rules
        self._reader = reader
        self._begin_challenge = challenge
        self._eyes = eyes
        self._policy = policy
        self._test = PassiveTest(rules.passive)
        self._challenge: Challenge | None = None
        self._asked: LivenessStatus | None = None
        self._passed_s: float | None = None
        self._track: int | None = None
        self._began_s = math.nan
        self._seen_s = -math.inf
        self._failure: Reason | None = None
        self._accepted = False
        self._doubts: set[Doubt] = set()

    def observe(self, scene: Scene, face: Face, *, vouched_s: float, owes_challenge: bool = False) -> LivenessStatus:
        """Take one frame of the track and say how the proof stands.

        Args:
            scene: The frame with all its faces.
            face: The track's face in it.
            vouched_s: Capture time of the last frame whose embedding agreed with the visit's first; this very frame's,
                if it was compared.
            owes_challenge: Whether this face is to be asked even if the networks find it alive.

        Raises:
            ModelError: A network failed or gave nonsense.
        """
        if self._failure is None:
            self._failure = self._broken(scene.frame, face)
        if self._failure is None:
            self._track, self._seen_s = face.track, face.captured_s
            if math.isnan(self._began_s):
                self._began_s = face.captured_s
            if self._eyes is not None:
                self._eyes.look(scene.frame, face)
            if vouched_s == face.captured_s and self._upright(face):
                self._sample(scene, face)
            self._rule(face, owes_challenge=owes_challenge)
            if self._failure is None and self._challenge is not None:
                self._ask(self._challenge, scene.frame, face, vouched_s=vouched_s)
        return self.status

    def _ask(self, challenge: Challenge, frame: Frame, face: Face, *, vouched_s: float) -> None:
        """Let the challenge judge this frame, and the networks what it came to."""
        judged_s = self._test.sampled_s if self._reader.passive else vouched_s
        self._asked = challenge.observe(frame, face, vouched_s=-math.inf if judged_s is None else judged_s)
        if self._asked.state is LivenessState.PROVEN and self._passed_s is None:
            self._passed_s = face.captured_s
            self._failure = shortfall(self._test.clear, self._rules) if self._reader.passive else None

    def _broken(self, frame: Frame, face: Face) -> Reason | None:
        """Whether this is not the next frame of the same track."""
        if frame.number != face.frame_number or frame.captured_s != face.captured_s:
            return Reason.LIVENESS_ERROR
        if self._track not in (None, face.track):
            return Reason.FACE_CHANGED
        return None if math.isfinite(face.captured_s) and face.captured_s > self._seen_s else Reason.LIVENESS_ERROR

    def _upright(self, face: Face) -> bool:
        """Whether the face is one that the networks can judge; each side by itself, so that NaN is not."""
        pose, rules = face.pose, self._rules
        return abs(pose.yaw_deg) < rules.max_yaw_deg and abs(pose.roll_deg) < rules.max_roll_deg

    def _sample(self, scene: Scene, face: Face) -> None:
        if not self._reader.passive:
            return
        cues = self._reader.read(scene, face)
        doubts = doubts_about(cues, self._rules.limits)
        # A reader that has networks and tells nothing is broken, not silent.
        self._test.add(face.captured_s, math.nan if cues.live is None else cues.live, doubts)

    def _rule(self, face: Face, *, owes_challenge: bool) -> None:
        """Hold the evidence against the policy; a veto ends everything, at any time."""
        case = Standpoint(
            passive=self._verdict,
            doubts=self._test.doubts,
            late=not (face.captured_s - self._began_s < self._rules.within_s),
            owes=owes_challenge,
            hopeful=self._test.hopeful,
        )
        if self._challenge is not None:
            self._failure = objection(case, self._rules)
            return
        ruling = self._policy(case, self._rules)
        self._accepted = ruling.move is Move.ACCEPT
        if ruling.move is Move.REFUSE:
            self._doubts |= case.doubts
            self._failure = ruling.reason or Reason.LIVENESS_ERROR
        elif ruling.move is Move.CHALLENGE:
            self._doubts |= case.doubts
            self._test.ask()
            self._challenge = self._begin_challenge(ruling.steps)

    @property
    def _verdict(self) -> PassiveVerdict:
        return self._test.verdict if self._reader.passive else PassiveVerdict.ABSENT

    @property
    def status(self) -> LivenessStatus:
        """How the proof stands after the last frame."""
        state, reason, signal = self._standing()
        asked = self._asked
        return LivenessStatus(
            state=state,
            reason=reason,
            signal=signal,
            # Without a challenge only what the networks judged is a sample.
            sampled_s=asked.sampled_s if asked is not None else self._test.sampled_s,
            since_s=asked.since_s if asked is not None else self._test.since_s,
            lived_s=self._lived_s,
            evidence=self._evidence(),
            proven_s=self._proven_s if state is LivenessState.PROVEN else None,
        )

    @property
    def _lived_s(self) -> float | None:
        if self._asked is None:
            return self._test.lived_s
        return self._test.sampled_s if self._reader.passive else self._asked.lived_s

    @property
    def _proven_s(self) -> float | None:
        return self._passed_s if self._asked is not None else self._test.sampled_s

    def _standing(self) -> tuple[LivenessState, Reason | None, Signal]:
        if self._failure is not None:
            return LivenessState.FAILED, self._failure, Signal.DENIED
        if self._asked is not None:
            return self._asked.state, self._asked.reason, self._asked.signal
        return LivenessState.PROVEN if self._accepted else LivenessState.PENDING, None, Signal.CHECKING

    def _evidence(self) -> LivenessEvidence:
        asked, test = self._asked, self._test
        methods = [PASSIVE] * self._reader.passive + [HEAD_TURN] * (asked is not None)
        return LivenessEvidence(
            method="+".join(methods) or HEAD_TURN,
            samples=asked.evidence.samples if asked is not None else test.samples,
            steps=asked.evidence.steps if asked is not None else (),
            level=str(self._rules.level),
            passive=PassiveEvidence(self._verdict, test.samples, test.live, test.median)
            if self._reader.passive
            else None,
            doubts=tuple(sorted(self._doubts | test.doubts, key=str)),
            blinks=self._eyes.blinks if self._eyes is not None else None,
        )
