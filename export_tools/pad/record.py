"""Recording a trace: the device's own vision, visitor, proof of life and challenge, on a script instead of a policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from device.access.nearest import candidate, is_nearest
from device.app.proof import LivenessProof
from device.app.visitor import Visitor
from device.errors import ModelError
from device.interfaces import FrameSource, Signals
from device.types import Face, Frame, LivenessState, Scene, Signal
from device.vision.liveness.challenge import HeadTurnChallenge
from device.vision.liveness.cues import FrameCues
from device.vision.repeats import Repeats
from device.wiring.models import Vision
from export_tools.pad.columns import DONE, FAILED, cue_row, on_grid
from export_tools.pad.notes import Notes
from export_tools.pad.script import LONGEST_S, SPARES, TAIL_S, Script, wait_then_ask
from export_tools.pad.trace import About, Ending, Trace
from export_tools.pad.witness import BlindReader, NotingGate, VouchedChallenge


def record(
    source: FrameSource,
    signals: Signals,
    *,
    vision: Vision,
    script: Script,
    prompts: Sequence[Signal],
    about: About,
) -> Trace:
    """Watch one presentation to its end.

    Args:
        source: Shows it; opened and closed here.
        signals: Shows the door's prompts to it.
        vision: The models; may be used for one recording after the other.
        script: What is done with it.
        prompts: The course of the challenge.
        about: What is presented.

    Raises:
        CameraError: The source cannot be read.
        ModelError: A model failed.
        TraceError: There was nothing to see.
    """
    recorder = _Recorder(vision, script, tuple(prompts))
    repeats = Repeats()
    source.open()
    try:
        while recorder.ending is None and (frame := source.read()) is not None:
            # As at the door: a picture that repeats the one before is not looked at.
            if not repeats(frame.image):
                signals.show(recorder.see(replace(frame, captured_s=on_grid(frame.captured_s))))
    finally:
        source.close()
    return Trace(
        about=about,
        passive=vision.passive is not None and not script.brisk,
        model=vision.embedder.model,
        prompts=tuple(prompts),
        turn_at=recorder.turn_at,
        ending=recorder.ending or Ending.LEFT,
        frames=recorder.notes.frames(),
    )


class _Recorder:
    """One recording, frame by frame."""

    def __init__(self, vision: Vision, script: Script, prompts: tuple[Signal, ...]) -> None:
        self._pipeline = vision.pipeline()
        self._script = script
        self._prompts = prompts
        self.notes = Notes()
        self.turn_at: int | None = None
        self.ending: Ending | None = None
        self._reader = FrameCues(vision.passive)
        self._visit: Visitor | None = None
        self._compared_s = -math.inf
        self._began_s = math.inf
        self._proven_s: float | None = None

    def see(self, frame: Frame) -> Signal:
        """Take a frame; says what to show."""
        scene = self._pipeline.observe(frame)
        visit = self._visit
        track = visit.track if visit is not None else None
        face = candidate(scene, current=track, takeover_ratio=self._script.visit.takeover_ratio)
        others = any(each.track == track for each in scene.faces)
        if face is None and not self.notes:
            return Signal.IDLE
        self._began_s = min(self._began_s, frame.captured_s)
        self.notes.begin(frame, face, nearest=face is not None and is_nearest(face, scene), others=others)
        if visit is not None and self._has_left(visit, face, frame.captured_s):
            self._visit = None
            if self.turn_at is not None and not visit.asked:
                # As at the door: nothing was asked yet, so whoever is there begins anew.
                self.turn_at = None
            elif self.turn_at is not None:
                self.ending = Ending.NOT_NEAREST if face is not None and others else Ending.LEFT
                return Signal.IDLE
        if frame.captured_s - self._began_s > LONGEST_S:
            self.ending = Ending.OVER
        if face is None:
            return Signal.IDLE if self._visit is None else self._visit.signal
        if self._visit is None:
            self._visit = Visitor(face, self._prove, self._script.visit)
        self._consider(self._visit, scene, face)
        return self._visit.signal

    def _has_left(self, visit: Visitor, face: Face | None, now_s: float) -> bool:
        if face is None:
            return now_s - visit.face.captured_s >= self._script.visit.left_after_s
        return face.track != visit.track

    def _consider(self, visit: Visitor, scene: Scene, face: Face) -> None:
        visit.face = face
        if visit.due(face):
            embedding = self._pipeline.embed(scene.frame, face)
            self.notes.compared(embedding)
            self._compared_s = face.captured_s
            visit.compared(face, embedding, ())
            self._read(scene, face)
        if visit.first is not None:
            visit.sample(scene, face)
        self._end_if_over(visit, face.captured_s)

    def _read(self, scene: Scene, face: Face) -> None:
        """Note the cues of a compared frame, whatever its pose and whoever it shows."""
        if not self._reader.passive or self._script.brisk:
            return
        try:
            self.notes.cued(DONE, cue_row(self._reader.read(scene, face)))
        except ModelError:
            # The door refuses then; so does whoever plays the trace, if the policy asks.
            self.notes.cued(FAILED, None)

    def _end_if_over(self, visit: Visitor, now_s: float) -> None:
        status = visit.liveness
        if status is not None and status.state is LivenessState.FAILED:
            self.ending = Ending.OVER
        elif status is not None and status.state is LivenessState.PROVEN:
            self._proven_s = now_s if self._proven_s is None else self._proven_s
            if now_s - self._proven_s >= TAIL_S:
                self.ending = Ending.OVER
        elif self.turn_at is None and visit.ripe(now_s):
            self.ending = Ending.OVER

    def _prove(self) -> LivenessProof:
        """A fresh proof for a visit that starts anew, which none does that was asked anything."""
        self.turn_at = None
        return LivenessProof(
            self._script.rules, reader=BlindReader(), challenge=self._begin_challenge, policy=wait_then_ask
        )

    def _begin_challenge(self, _: int) -> VouchedChallenge:
        self.turn_at = len(self.notes) - 1
        gate = NotingGate(self._script, self.notes)
        challenge = HeadTurnChallenge(self._script.liveness, gate=gate, prompts=self._prompts, spares=SPARES)
        return VouchedChallenge(challenge, lambda: self._compared_s)
