"""Faces without pictures, heads that obey, and rendered people before the real models."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from device.config import LivenessConfig, VisionConfig
from device.errors import ModelError
from device.sim.camera import SceneCamera, Visitor, door_lens
from device.sim.clock import ManualClock
from device.sim.paper import PrintedPhoto
from device.sim.portrait import Portrait, build_portrait
from device.sim.signals import PromptBoard
from device.sim.visitor import RenderedVisitor
from device.types import Box, Face, Frame, Image, LivenessState, LivenessStatus, Points, Pose, Quality, Signal
from device.vision.liveness.challenge import HeadTurnChallenge, TurnGate
from device.vision.liveness.planarity import PLANAR, SPATIAL, TOO_FEW_CORNERS, Planarity, PlanarityGate
from device.vision.liveness.prompts import PromptCourses
from device.vision.photo import find_faces
from device.vision.quality import Gates
from tests.vision.conftest import Models, models, photos

__all__ = ["models", "photos"]

FINE = Quality(face_px=120, sharpness=90, brightness=120, contrast=40, clipped=0, reasons=())
BLANK: Image = np.zeros((2, 2, 3), np.uint8)
NO_POINTS = np.zeros((468, 3), np.float32)
#: Where a head points for each signal, (yaw, pitch) in degrees.
OBEDIENT = {
    Signal.TURN_LEFT: (28.0, 0.0),
    Signal.TURN_RIGHT: (-28.0, 0.0),
    Signal.LOOK_UP: (0.0, 28.0),
    Signal.LOOK_DOWN: (0.0, -28.0),
}
OPPOSITE = {
    Signal.TURN_LEFT: Signal.TURN_RIGHT,
    Signal.TURN_RIGHT: Signal.TURN_LEFT,
    Signal.LOOK_UP: Signal.LOOK_DOWN,
    Signal.LOOK_DOWN: Signal.LOOK_UP,
}


@dataclass
class StubGate:
    """A gate whose verdict is told."""

    verdict: str = SPATIAL
    added: int = 0
    judged: int = 0

    def clear(self) -> None:
        """Forget."""
        self.added = 0

    def add(self, frame: Frame, face: Face) -> None:  # noqa: ARG002  # the gate's own signature
        """Count."""
        self.added += 1

    def judge(self, *, vouched_s: float, until_s: float) -> Planarity:  # noqa: ARG002  # the gate's own signature
        """Answer, or break when the verdict is ``broken``."""
        self.judged += 1
        if self.verdict == "broken":
            raise ModelError("broken")
        few = self.verdict == TOO_FEW_CORNERS
        residual = None if few else (0.05 if self.verdict == SPATIAL else 0.01)
        return Planarity(verdict=self.verdict, residual=residual, corners=3 if few else 60)


#: Where the head points: a function of the time, the signal shown and since when; yaw and pitch in degrees.
Behaviour = Callable[[float, Signal, float], tuple[float, float]]


def obey(*, after_s: float = 0.6, size: float = 1.0) -> Behaviour:
    """Turn where the prompts say, at once but ``after_s`` late."""

    def behave(now_s: float, signal: Signal, since_s: float) -> tuple[float, float]:
        yaw, pitch = OBEDIENT.get(signal, (0.0, 0.0))
        return (size * yaw, size * pitch) if now_s - since_s >= after_s else (0.0, 0.0)

    return behave


@dataclass
class Person:
    """A person before a challenge, sample by sample."""

    challenge: HeadTurnChallenge
    behave: Behaviour
    now_s: float = 10.0
    frame: int = 0
    track: int = 1
    signal: Signal = Signal.IDLE
    since_s: float = 10.0
    vouched_s: float = -math.inf
    shown: list[Signal] = field(default_factory=list)

    def step(self, *, dt_s: float = 1 / 30, pose: tuple[float, float] | None = None) -> LivenessStatus:
        """One more frame."""
        self.now_s += dt_s
        self.frame += 1
        yaw, pitch = pose if pose is not None else self.behave(self.now_s, self.signal, self.since_s)
        if max(abs(yaw), abs(pitch)) <= 15.0:  # as at the door: turned away, a face is not compared
            self.vouched_s = self.now_s
        frame, face = sample(self.now_s, yaw, pitch, frame=self.frame, track=self.track)
        status = self.challenge.observe(frame, face, vouched_s=self.vouched_s)
        if status.signal is not self.signal:
            self.signal, self.since_s = status.signal, self.now_s
            self.shown.append(status.signal)
        return status

    def run(self, *, at_most_s: float = 30.0) -> LivenessStatus:
        """Until the proof stands or has failed."""
        end_s = self.now_s + at_most_s
        status = self.step()
        while status.state is LivenessState.PENDING and self.now_s < end_s:
            status = self.step()
        return status

    def run_until_prompt(self) -> LivenessStatus:
        """Until the first prompt is shown."""
        status = self.step()
        while status.signal not in OBEDIENT:
            status = self.step()
            assert self.now_s < 20.0
        return status


def sample(
    now_s: float, yaw: float, pitch: float, *, frame: int = 1, track: int = 1, width_px: float = 120
) -> tuple[Frame, Face]:
    """A frame and the face in it."""
    face = Face(
        track=track,
        frame_number=frame,
        captured_s=now_s,
        box=Box(0, 0, width_px, 160),
        landmarks=NO_POINTS,
        presence=1.0,
        pose=Pose(yaw_deg=yaw, pitch_deg=pitch, roll_deg=0.0),
        quality=FINE,
    )
    return Frame(image=BLANK, captured_s=now_s, number=frame), face


def person(
    behave: Behaviour,
    *,
    gate: TurnGate | None = None,
    seed: int = 0,
    config: LivenessConfig | None = None,
    spares: int = 0,
) -> Person:
    """Somebody before a new challenge."""
    config = config or LivenessConfig()
    prompts = PromptCourses(random.Random(seed)).draw(config.steps + spares)  # noqa: S311  # repeatable
    challenge = HeadTurnChallenge(config, gate=gate or StubGate(), prompts=prompts, spares=spares)
    return Person(challenge, behave)


# ---- Rendered people


class SwitchedOff:
    """The control: measures like the gate, but finds everything spatial."""

    def __init__(self, config: LivenessConfig) -> None:
        self._gate = PlanarityGate(config)

    def clear(self) -> None:
        """As the gate."""
        self._gate.clear()

    def add(self, frame: Frame, face: Face) -> None:
        """As the gate."""
        self._gate.add(frame, face)

    def judge(self, *, vouched_s: float, until_s: float) -> Planarity:
        """The gate's measurement with another verdict."""
        found = self._gate.judge(vouched_s=vouched_s, until_s=until_s)
        assert found.verdict == PLANAR
        return Planarity(verdict=SPATIAL, residual=found.residual, corners=found.corners)


@dataclass(frozen=True)
class Outcome:
    """What a rendered scene came to.

    Attributes:
        status: Of the challenge, None when nobody was seen.
        near_frontal: Embeddings of usable, near-frontal frames of at least 60 pixels.
    """

    status: LivenessStatus | None
    near_frontal: list[np.ndarray]


@dataclass(frozen=True)
class Stage:
    """Plays rendered scenes before the real models."""

    models: Models
    photos: dict[str, Image]
    landmarks: dict[str, Points]
    portraits: dict[str, Portrait]

    def visitor(self, name: str, *, seed: int = 0) -> Visitor:
        """A living person."""
        return RenderedVisitor(self.portraits[name], lens=door_lens(), seed=seed)

    def print_of(self, name: str, *, seed: int = 0) -> Visitor:
        """A print of the same photograph."""
        return PrintedPhoto(self.portraits[name], lens=door_lens(), seed=seed)

    def play(
        self, visitor: Visitor, *, course: tuple[Signal, ...], switched_off: bool = False, compare: bool = False
    ) -> Outcome:
        """Let a visitor meet a challenge with these prompts."""
        config = LivenessConfig()
        clock = ManualClock()
        board = PromptBoard(clock=clock)
        camera = SceneCamera([visitor], clock=clock, prompts=board, gap_s=0.2)
        camera.open()
        vision = self.models.pipeline()
        gate: TurnGate = SwitchedOff(config) if switched_off else PlanarityGate(config)
        challenge = HeadTurnChallenge(config, gate=gate, prompts=course)
        status: LivenessStatus | None = None
        seen: list[np.ndarray] = []
        while (frame := camera.read()) is not None:
            faces = vision.observe(frame).faces
            if not faces or (status is None and not faces[0].quality.usable):
                continue
            status = challenge.observe(frame, faces[0], vouched_s=frame.captured_s)
            board.show(status.signal)
            pose = faces[0].pose
            frontal = max(abs(pose.yaw_deg), abs(pose.pitch_deg)) < 20 and faces[0].box.width >= 60
            if compare and frontal and faces[0].quality.usable and frame.number % 3 == 0:
                seen.append(vision.embed(frame, faces[0]).vector.copy())
            if status.state is not LivenessState.PENDING:
                break
        return Outcome(status, seen)


@pytest.fixture(scope="session")
def stage(models: Models, photos: dict[str, Image]) -> Stage:
    """The portraits of the demo before the pack ``door``."""
    gates = Gates.for_door(VisionConfig())
    landmarks, portraits = {}, {}
    for name in ("obama", "obama2", "obama3", "biden"):
        (face, *_) = find_faces(photos[name], detector=models.detector, mesh=models.mesh, min_presence=0.5, gates=gates)
        landmarks[name] = face.landmarks
        portraits[name] = build_portrait(photos[name], face.landmarks)
    return Stage(models, photos, landmarks, portraits)
