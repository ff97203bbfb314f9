"""Traces without pictures: a head that obeys, with cues, embeddings and findings that are told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from device.access.liveness import Level
from device.config import Config
from device.types import Box, Cues, Embedding, Face, Frame, LivenessState, Pose, Quality, Signal, Vector
from device.vision.liveness.challenge import HeadTurnChallenge
from device.vision.liveness.planarity import SPATIAL, Planarity
from device.vision.manifest import PAD_ROLES
from export_tools.pad.columns import DONE, Found, cue_row, on_grid
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.notes import Notes
from export_tools.pad.script import SPARES, Script, course
from export_tools.pad.settings import PolicySettings
from export_tools.pad.trace import About, Ending, Trace

MODEL = "made"
THRESHOLD, SAME_FACE = 0.95, 0.93
FINE = Quality(face_px=120, sharpness=90, brightness=120, contrast=40, clipped=0, reasons=())
GOOD = Cues(
    live=0.95, faces=1, bezel=0.0, burnt=0.0, chroma=20.0, brightness=120.0, noise=0.0, context=2.0, sharpness=90.0
)
SOLID = Found(residual=0.05, corners=60, enough=True, linked=True, parallax=0.5, error=0.05)
TURNS = {
    Signal.TURN_LEFT: (28.0, 0.0),
    Signal.TURN_RIGHT: (-28.0, 0.0),
    Signal.LOOK_UP: (0.0, 28.0),
    Signal.LOOK_DOWN: (0.0, -28.0),
}


def look(number: int) -> Vector:
    """Somebody: two numbers have nothing in common."""
    vector = np.random.default_rng(number).normal(size=128)
    scaled: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return scaled


VICTIM, OTHER = look(1), look(2)
ENROLLED = Enrolled("victim", Embedding(VICTIM, MODEL))
CONFIG = Config()


def _pack(roles: tuple[str, ...]) -> Any:
    """As much of a pack as a policy looks at."""
    point = SimpleNamespace(cosine=SAME_FACE)
    thresholds = SimpleNamespace(rule=SimpleNamespace(votes=3, window=5), match=[point], match_cosine=THRESHOLD)
    return SimpleNamespace(thresholds=thresholds, manifest=SimpleNamespace(models=dict.fromkeys(roles), pack="made"))


PLUS, PLAIN = _pack(PAD_ROLES), _pack(())
SCRIPT = Script.of(CONFIG, PLUS)


def settings(*, passive: bool = True, level: Level = Level.STANDARD) -> PolicySettings:
    """The default policy over made traces."""
    config = CONFIG.model_copy(update={"liveness": CONFIG.liveness.model_copy(update={"level": str(level)})})
    return PolicySettings.of(config, PLUS if passive else PLAIN)


@dataclass(frozen=True)
class Presented:
    """What is presented; functions of the seconds since its first frame."""

    species: str = "live"
    number: int = 0
    looks: Callable[[float], Vector] = lambda _: VICTIM
    cues: Callable[[float], Cues] = lambda _: GOOD
    found: Found | None = SOLID
    obeys: bool = True
    answers: bool = True
    passive: bool = True
    fps: int = 30
    after_s: float = 0.5


class _Solid:
    """A gate that notes what it is told and finds every turn solid."""

    def __init__(self, notes: Notes, found: Found | None) -> None:
        self._notes = notes
        self._found = found

    def clear(self) -> None:
        """Nothing."""

    def add(self, frame: Frame, face: Face) -> None:
        """Nothing."""

    def judge(self, *, vouched_s: float, until_s: float) -> Planarity:  # noqa: ARG002  # the gate's
        """Note and answer."""
        if self._found is not None:
            self._notes.turned(DONE, self._found)
        return Planarity(verdict=SPATIAL, residual=0.05, corners=60)


def made(presented: Presented | None = None, **changes: object) -> Trace:
    """The trace of what is presented, as the recorder would have it."""
    what = replace(presented or Presented(), **changes)  # type: ignore[arg-type]
    notes, turn_at, prompts = Notes(), None, course(what.number)
    gate = _Solid(notes, what.found)
    challenge = HeadTurnChallenge(SCRIPT.liveness, gate=gate, prompts=prompts, spares=SPARES)
    signal, since_s, proven_s, compared_s = Signal.CHECKING, 0.0, math.inf, -math.inf
    for number in range(1200):
        now_s = on_grid(5.0 + number / what.fps)
        yaw, pitch = TURNS.get(signal, (0.0, 0.0)) if what.obeys and now_s - since_s >= what.after_s else (0.0, 0.0)
        frame = Frame(np.zeros((1, 1, 3), np.uint8), now_s, number)
        face = Face(
            track=1,
            frame_number=number,
            captured_s=now_s,
            box=Box(200, 150, 120, 160),
            landmarks=np.zeros((468, 3), np.float32),
            presence=0.99,
            pose=Pose(yaw, pitch, 0.0),
            quality=FINE,
        )
        notes.begin(frame, face, nearest=True, others=False)
        near = max(abs(yaw), abs(pitch)) <= SCRIPT.visit.max_turn_deg
        if near and now_s - compared_s >= SCRIPT.visit.compare_every_s:
            compared_s = now_s
            notes.compared(Embedding(what.looks(now_s - 5.0), MODEL))
            if what.passive:
                notes.cued(DONE, cue_row(what.cues(now_s - 5.0)))
        if turn_at is None and now_s - 5.0 >= SCRIPT.rules.within_s:
            turn_at = number
        if turn_at is not None:
            status = challenge.observe(frame, face, vouched_s=compared_s)
            if status.signal is not signal:
                signal, since_s = status.signal, now_s
            if status.state is LivenessState.FAILED:
                break
            if status.state is LivenessState.PROVEN:
                proven_s = min(proven_s, now_s)
        if now_s - proven_s >= 1.2:
            break
    return Trace(
        about=About(what.species, what.number, "victim", "victim.jpg", what.answers),
        passive=what.passive,
        model=MODEL,
        prompts=prompts,
        turn_at=turn_at,
        ending=Ending.OVER,
        frames=notes.frames(),
    )
