"""The head-turn challenge: prompts that a living head answers in time and in space.

Rules, in the order in which they are applied to each frame of one track:

1.  A failure is final. A proof stands only as long as samples keep coming.
2.  Another track, or a gap between samples: failed, ``face_changed``.
3.  Time that does not advance, a frame that is not the face's, a pose that is no number: failed, ``liveness_error``.
4.  Baseline: the head rests near-frontal, nobody walks, for ``baseline_s``; its median is zero for all that follows.
5.  The next prompt of the course is shown; only on a frame that was itself compared and found to be the face of this
    visit (*vouched*).
6.  Any other direction held for ``hold_s``, or an answer sooner than ``answer_min_s``: failed, ``wrong_response``.
7.  No answer begun until ``answer_max_s``: failed, ``no_response``.
8.  The asked direction held for ``hold_s``: the planarity gate judges the turn, which must hang together corner by
    corner with the last vouched frame (no other head may turn in its place); flat: ``not_live``. Undecided: another
    prompt takes the place of this one while there is a spare one, else ``not_live``.
9.  Back at the baseline for ``hold_s``, within ``return_max_s``, else ``no_response``; then the next prompt. A head
    that rests near the baseline for as long as a baseline takes has a new one: who glanced aside at first is not lost.
10. All steps passed and back at the baseline, on a vouched frame: proven.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from device.config import LivenessConfig
from device.errors import ModelError
from device.types import (
    Face,
    Frame,
    LivenessEvidence,
    LivenessState,
    LivenessStatus,
    Reason,
    Signal,
    StepEvidence,
)
from device.vision.liveness.planarity import PLANAR, SPATIAL, TOO_FEW_CORNERS, Planarity
from device.vision.liveness.steps import ANSWERS, Baseline, Heading

METHOD = "head_turn"


class TurnGate(Protocol):
    """Judges whether what turned is solid."""

    def clear(self) -> None:
        """Forget the turn before."""

    def add(self, frame: Frame, face: Face) -> None:
        """Look at one frame of the turn."""

    def judge(self, *, vouched_s: float, until_s: float) -> Planarity:
        """The verdict on the turn that ends at ``until_s`` and left its rest after ``vouched_s``. Raises ModelError."""


class HeadTurnChallenge:
    """The proof of life of one track, frame by frame.

    Args:
        config: Every threshold.
        gate: Judges the turns; at a door :class:`PlanarityGate`.
        prompts: The course, at least one; at a door :class:`PromptCourses` draws it, so that nobody can know it.
        spares: How many of these are asked only where a turn left the gate undecided.
        shown: Called when the first prompt is shown.
    """

    def __init__(
        self,
        config: LivenessConfig,
        *,
        gate: TurnGate,
        prompts: tuple[Signal, ...],
        spares: int = 0,
        shown: Callable[[], None] = lambda: None,
    ) -> None:
        if not 0 <= spares < len(prompts) or not set(prompts) <= set(ANSWERS):
            raise ValueError(f"a course of {len(prompts)} prompts, {spares} of them spare, proves nothing")
        self._config = config
        self._gate = gate
        self._prompts = prompts
        self._needed = len(prompts) - spares
        self._shown = shown
        self._state = LivenessState.PENDING
        self._reason: Reason | None = None
        self._signal = Signal.LOOK_STRAIGHT
        self._track: int | None = None
        self._sampled_s: float | None = None
        self._vouched_s = -math.inf
        self._samples = 0
        self._steps: list[StepEvidence] = []
        self._baseline = self._rest = Baseline(config)
        self._heading: Heading | None = None
        self._asked_s = 0.0
        self._since_s: float | None = None

    def observe(self, frame: Frame, face: Face, *, vouched_s: float) -> LivenessStatus:
        """Take one frame of the track and say how the proof stands.

        Args:
            frame: The frame.
            face: The track's face in it.
            vouched_s: Capture time of the last frame whose embedding agreed with the visit's first; this very frame's,
                if it was compared.
        """
        if self._state is not LivenessState.FAILED:
            self._vouched_s = vouched_s
            broken = self._continuity(frame, face)
            if broken is not None:
                self._fail(broken)
            else:
                self._track, self._sampled_s = face.track, face.captured_s
                self._samples += 1
                if self._state is LivenessState.PENDING:
                    self._advance(frame, face)
        return self.status

    @property
    def status(self) -> LivenessStatus:
        """How the proof stands after the last sample."""
        return LivenessStatus(
            state=self._state,
            reason=self._reason,
            signal=self._signal,
            sampled_s=self._sampled_s,
            since_s=self._since_s,
            lived_s=self._sampled_s,
            evidence=LivenessEvidence(method=METHOD, samples=self._samples, steps=tuple(self._steps)),
        )

    def _continuity(self, frame: Frame, face: Face) -> Reason | None:
        """Rules 2 and 3."""
        same_frame = frame.number == face.frame_number and frame.captured_s == face.captured_s
        finite = all(math.isfinite(value) for value in (face.captured_s, face.pose.yaw_deg, face.pose.pitch_deg))
        if not (same_frame and finite):
            return Reason.LIVENESS_ERROR
        if self._sampled_s is None:
            return None
        if face.track != self._track:
            return Reason.FACE_CHANGED
        if face.captured_s <= self._sampled_s:
            return Reason.LIVENESS_ERROR
        return Reason.FACE_CHANGED if face.captured_s - self._sampled_s > self._config.max_gap_s else None

    def _advance(self, frame: Frame, face: Face) -> None:
        """Rules 4 to 10, with the part that is due."""
        if self._heading is None:
            baseline = self._baseline.add(face.captured_s, face.pose, width_px=face.box.width)
            if baseline is not None and self._vouched(face):
                self._heading = Heading(self._config, baseline=baseline)
                self._ask(frame, face)
            return
        self._heading.add(face.captured_s, face.pose)
        if self._steps[-1].outcome in ("passed", TOO_FEW_CORNERS):
            self._await_return(self._heading, frame, face)
        else:
            self._gate.add(frame, face)
            self._await_answer(self._heading, face.captured_s)

    def _vouched(self, face: Face) -> bool:
        return self._vouched_s == face.captured_s

    def _ask(self, frame: Frame, face: Face) -> None:
        """Rule 5; the gate's memory of a turn begins with a vouched frame."""
        self._signal = self._prompts[len(self._steps)]
        self._asked_s = face.captured_s
        if self._since_s is None:
            self._since_s = face.captured_s
            self._shown()
        self._gate.clear()
        self._gate.add(frame, face)
        self._steps.append(
            StepEvidence(prompt=self._signal, outcome="open", angle_deg=0.0, response_s=None, residual=None)
        )

    def _await_answer(self, heading: Heading, now_s: float) -> None:
        """Rules 6 to 8."""
        config, prompt = self._config, self._steps[-1].prompt
        self._note(angle_deg=max(self._steps[-1].angle_deg, heading.towards(prompt)))
        response_s = heading.since_s - self._asked_s
        too_soon = heading.direction in ANSWERS and response_s < config.answer_min_s
        if too_soon or heading.held not in (None, prompt):
            self._note(outcome="wrong_direction", response_s=response_s)
            self._fail(Reason.WRONG_RESPONSE)
        elif heading.held is prompt:
            self._note(response_s=response_s)
            self._judge(now_s)
        elif now_s - self._asked_s > config.answer_max_s and heading.direction is not prompt:
            self._note(outcome="no_response")
            self._fail(Reason.NO_RESPONSE)

    def _judge(self, now_s: float) -> None:
        """Rule 8."""
        try:
            found = self._gate.judge(vouched_s=self._vouched_s, until_s=now_s)
        except ModelError:
            self._fail(Reason.LIVENESS_ERROR)
            return
        self._note(residual=found.residual, parallax=found.parallax, error=found.error)
        undecided = found.verdict == TOO_FEW_CORNERS
        self._note(outcome="passed" if found.verdict == SPATIAL else TOO_FEW_CORNERS if undecided else PLANAR)
        spare = self._passed + len(self._prompts) - len(self._steps) >= self._needed
        if found.verdict == SPATIAL or (undecided and spare):
            self._signal = Signal.LOOK_STRAIGHT
            self._asked_s = now_s
            self._rest = Baseline(self._config)
        else:
            self._fail(Reason.NOT_LIVE)

    @property
    def _passed(self) -> int:
        return sum(step.outcome == "passed" for step in self._steps)

    def _await_return(self, heading: Heading, frame: Frame, face: Face) -> None:
        """Rules 9 and 10."""
        rest = self._rest.add(face.captured_s, face.pose, width_px=face.box.width)
        settled = heading.at_rest
        if not settled and rest is not None and heading.near(rest):
            self._heading, settled = Heading(self._config, baseline=rest), True
        if settled and self._vouched(face):
            if self._passed < self._needed:
                self._ask(frame, face)
            else:
                self._state = LivenessState.PROVEN
                self._signal = Signal.CHECKING
        elif face.captured_s - self._asked_s > self._config.return_max_s:
            self._fail(Reason.NO_RESPONSE)

    def _note(self, **changes: object) -> None:
        self._steps[-1] = replace(self._steps[-1], **changes)  # type: ignore[arg-type]

    def _fail(self, reason: Reason) -> None:
        self._state = LivenessState.FAILED
        self._reason = reason
        self._signal = Signal.DENIED
