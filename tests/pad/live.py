"""A door that really looks: the device's own doorkeeper before a simulated scene, with nothing behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from device.access.liveness import LivenessRules, Policy
from device.app.proof import LivenessProof
from device.app.visit import Doorkeeper
from device.config import DoorConfig
from device.door.controller import DoorController
from device.sim.camera import SceneCamera, door_lens
from device.sim.clock import ManualClock
from device.sim.paper import PrintedPhoto
from device.sim.relay import SimulatedRelay
from device.sim.signals import PromptBoard
from device.sim.visitor import RenderedVisitor
from device.types import Candidate, Decision, Embedding, Person
from device.vision.liveness.challenge import HeadTurnChallenge
from device.vision.liveness.cues import FrameCues
from device.vision.liveness.planarity import PlanarityGate
from export_tools.pad.attempt import LIVE
from export_tools.pad.columns import on_grid
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.record import record
from export_tools.pad.script import Script, course
from export_tools.pad.settings import PolicySettings
from export_tools.pad.studio import Studio
from export_tools.pad.trace import About, Trace

FPS = 15


@dataclass(frozen=True)
class Alone:
    """A roster of one."""

    enrolled: Enrolled

    def search(self, embedding: Embedding, *, k: int) -> tuple[Candidate, ...]:
        """How near the one is."""
        assert k >= 1
        return (Candidate(self.enrolled.person, float(self.enrolled.template.vector @ embedding.vector)),)

    def person(self, handle: str) -> Person | None:
        """The one."""
        return self.enrolled.record if handle == self.enrolled.person else None


class Unwritten:
    """A ledger that forgets."""

    def record(self, *_: object, **__: object) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Scene:
    """Somebody before the door: a visitor who answers, or a print that is tilted where the prompts say."""

    printed: bool = False
    photo: str = "obama.jpg"
    seed: int = 0

    def open(self, studio: Studio) -> tuple[SceneCamera, PromptBoard, ManualClock]:
        """The scene from its beginning, at a frame rate that is quickly rendered."""
        clock = ManualClock()
        board = PromptBoard(clock=clock)
        kind = PrintedPhoto if self.printed else RenderedVisitor
        visitor = kind(studio.sitters[self.photo].portrait, lens=door_lens(), seed=self.seed)
        camera = SceneCamera([visitor], clock=clock, prompts=board, fps=FPS, gap_s=0.2, seed=self.seed)
        camera.open()
        return camera, board, clock

    def record(self, studio: Studio) -> Trace:
        """Its trace."""
        camera, board, _ = self.open(studio)
        vision = studio.vision
        script = Script.of(vision.config, vision.pack)
        species = "print_tilt" if self.printed else LIVE
        about = About(species, self.seed, studio.enrolled(self.photo).person, self.photo, answers=True)
        return record(camera, board, vision=vision, script=script, prompts=course(self.seed), about=about)


def decide_live(studio: Studio, scene: Scene, settings: PolicySettings) -> Decision | None:
    """Let it meet the door, with the prompts of its trace; the first decision, None without any."""
    camera, board, clock = scene.open(studio)
    vision = studio.vision
    rules = settings.rules

    def challenge(steps: int) -> HeadTurnChallenge:
        gate = PlanarityGate(settings.liveness)
        spares = settings.liveness.spare_turns
        return HeadTurnChallenge(
            settings.liveness, gate=gate, prompts=course(scene.seed)[: steps + spares], spares=spares
        )

    keeper = Doorkeeper(
        vision=vision.pipeline(),
        roster=cast("Any", Alone(studio.enrolled(scene.photo))),
        prove=_prover(rules, FrameCues(vision.passive), challenge, settings.policy),
        ledger=cast("Any", Unwritten()),
        door=DoorController(SimulatedRelay(clock, max_pulse_s=10.0), clock, DoorConfig(), max_frame_age_s=0.5),
        signals=board,
        clock=clock,
        rules=settings.visit,
        pack="test",
    )
    while (frame := camera.read()) is not None:
        decision = keeper.attend(replace(frame, captured_s=on_grid(frame.captured_s)))
        if decision is not None:
            return decision
    return keeper.dismiss()


def _prover(
    rules: LivenessRules, reader: FrameCues, challenge: Callable[[int], HeadTurnChallenge], policy: Policy
) -> Callable[[], LivenessProof]:
    return lambda: LivenessProof(rules, reader=reader, challenge=challenge, policy=policy)
