"""Visits filmed once and shown to the whole appliance as often as something in it is broken.

The films are rendered while a healthy door attends: up to the fault every replay goes as the film
did, prompts included.
"""

from __future__ import annotations

import math
import os
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from device.audit.export import entry_object
from device.camera.photo import decode_photo
from device.clock import SystemClock
from device.config import Config
from device.door.controller import DoorController
from device.sim.camera import SceneCamera, Visitor, door_lens
from device.sim.clock import ManualClock
from device.sim.motion import Reach
from device.sim.optics import Optics
from device.sim.portrait import Portrait, build_portrait
from device.sim.relay import RelayPulse, SimulatedRelay
from device.sim.visitor import VERDICTS, RenderedVisitor, Walk
from device.types import Decision, Frame, Image, Reason, Signal
from device.vision.pack import Pack
from device.wiring.daemon import open_daemon
from device.wiring.models import Vision, load_vision, open_pack, open_session
from device.wiring.stage import Stage
from device.wiring.state import open_state, state_keys
from tests.scenarios.faulty import Answer, Board, Fault, FaultySession, Remembering

FPS = 20
#: So much is played after a decision: what it leads to is seen by then.
LINGER_S = 0.4
#: Already there when the door first looks, and quick: what comes before a fault is no part of it.
WALK = Walk(far_m=0.66, near_m=0.62, side_m=0.02, approach_s=0.2, patience_s=99.0)
#: A camera good enough for no doubt about its pictures.
OPTICS = Optics(noise=1.0, defocus_px=0.8)
REACH = Reach(yaw_deg=38.0, up_deg=28.0, down_deg=25.0, turn_s=0.4, reaction_s=0.42)


class Films:
    """A camera that plays frames; keeps :class:`device.interfaces.FrameSource`.

    Args:
        frames: In their order.
        clock: Moved to each frame's time, and on by ``late_s``: how old each picture is when it is handed over.
        late_s: Seconds.
    """

    def __init__(self, frames: Iterable[Frame], *, clock: ManualClock, late_s: float = 0.0) -> None:
        self._frames = iter(frames)
        self._clock = clock
        self._late_s = late_s
        self._ends_s = math.inf

    def end_after(self, seconds: float) -> None:
        """So long from now on there is nothing more to see."""
        self._ends_s = min(self._ends_s, self._clock.monotonic() + seconds)

    description = "a film"
    live = False

    def open(self) -> None:
        """Nothing to acquire."""

    def read(self) -> Frame | None:
        """The next frame."""
        frame = next(self._frames, None)
        if frame is None or self._clock.monotonic() > self._ends_s:
            return None
        self._clock.advance_to(frame.captured_s + self._late_s)
        return frame

    def close(self) -> None:
        """Nothing to release."""


class Filming(Films):
    """Plays a scene until a time, and keeps what it showed."""

    def __init__(self, scene: SceneCamera, *, seconds: float) -> None:
        self._scene = scene
        self._seconds = seconds
        self.frames: list[Frame] = []

    def end_after(self, seconds: float) -> None:
        """A film is as long as it was meant to be."""

    def open(self) -> None:
        """Build the scene."""
        self._scene.open()

    def read(self) -> Frame | None:
        """The next frame of the scene."""
        frame = self._scene.read()
        if frame is None or frame.captured_s > self._seconds:
            return None
        self.frames.append(frame)
        return frame


@dataclass(frozen=True)
class Staying:
    """Somebody whom no verdict sends away."""

    visitor: Visitor

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """As the visitor does."""
        prompt = Signal.LOOK_STRAIGHT if prompt in VERDICTS else prompt
        return self.visitor.draw(canvas, now_s=now_s, prompt=prompt, since_s=since_s)


@dataclass
class Outcome:
    """What came of one evening at the door.

    Attributes:
        decisions: In their order.
        pulses: Of the relay.
        error: What ended the daemon, None where it went on to the end of the film.
        entries: What the audit says about it; its chain was verified.
        board: What was shown.
        sessions: The broken networks by role.
    """

    decisions: list[Decision]
    pulses: tuple[RelayPulse, ...]
    error: Exception | None
    entries: list[dict[str, Any]]
    board: Board
    sessions: dict[str, FaultySession] = field(default_factory=dict)

    @property
    def reasons(self) -> list[Reason]:
        """Of the decisions."""
        return [decision.reason for decision in self.decisions]

    @property
    def opened(self) -> bool:
        """Whether anybody was let in, by whatever account."""
        granted = any(decision.granted or decision.reason is Reason.GRANTED for decision in self.decisions)
        told = any(entry["kind"] == "door" or entry["data"].get("granted") for entry in self.entries)
        return granted or told or bool(self.pulses)


@dataclass
class House:
    """One state directory with somebody enrolled, whose networks stay loaded from test to test."""

    state: Path
    config: Config
    person: str
    seed: int = 2
    """Of the prompts."""
    _sessions: dict[str, Remembering] = field(default_factory=dict)
    good: dict[str, Answer] = field(default_factory=dict)
    """Each network's answer at the end of a visit that was granted."""

    def attend(
        self,
        source: Callable[[ManualClock, Board], Films],
        *,
        faults: Sequence[Fault] = (),
        board: Callable[[ManualClock], Board] = lambda clock: Board(clock=clock),
        **parts: Any,
    ) -> Outcome:
        """Run the daemon on a camera until its end."""
        clock = ManualClock()
        shown = board(clock)
        relay = SimulatedRelay(clock, max_pulse_s=self.config.door.max_pulse_s)
        before = len(self._audit())
        camera = source(clock, shown)
        decisions: list[Decision] = []
        broken: dict[str, FaultySession] = {}
        error: Exception | None = None

        def load(pack: Pack, config: Config) -> Vision:
            return self._load(pack, config, faults=faults, board=shown, broken=broken)

        def door(config: Config, *_: Any, **__: Any) -> DoorController:
            return DoorController(relay, clock, config.door, max_frame_age_s=config.access.max_frame_age_s)

        def decided(decision: Decision) -> None:
            decisions.append(decision)
            camera.end_after(LINGER_S)
            if decision.granted and not self.good:
                self.good = {role: session.last for role, session in self._sessions.items()}

        parts.setdefault("rng", random.Random(self.seed))  # noqa: S311  # the prompts of the film
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("device.wiring.daemon.load_vision", load)
            patch.setattr("device.wiring.daemon.make_door", door)
            stage = Stage(clock, camera, shown)
            try:
                with open_daemon(self.state, self.config, stage=stage, on_decision=decided, **parts) as daemon:
                    daemon.run()
            except Exception as exc:  # noqa: BLE001  # the test says which
                error = exc
        return Outcome(decisions, relay.pulses, error, self._audit()[before:], shown, broken)

    def replay(self, frames: Iterable[Frame], *, late_s: float = 0.0, **parts: Any) -> Outcome:
        """Show a film to the daemon."""
        return self.attend(lambda clock, _: Films(frames, clock=clock, late_s=late_s), **parts)

    def film(self, visitors: Sequence[Visitor], *, seconds: float, **parts: Any) -> tuple[list[Frame], Outcome]:
        """Film a scene while the healthy door attends."""
        made: list[Filming] = []

        def scene(clock: ManualClock, board: Board) -> Filming:
            size = self.config.camera
            camera = SceneCamera(
                visitors,
                clock=clock,
                prompts=board,
                width=size.width,
                height=size.height,
                fps=FPS,
                gap_s=0.2,
                optics=OPTICS,
            )
            made.append(Filming(camera, seconds=seconds))
            return made[0]

        outcome = self.attend(scene, **parts)
        return made[0].frames, outcome

    def portrait(self, photo: bytes) -> Portrait:
        """Somebody's head from a photograph."""
        picture = decode_photo(photo, name="photo")
        vision = self._load(self._pack(), self.config)
        return build_portrait(picture, vision.find_faces(picture)[0].landmarks)

    def visitor(self, photo: bytes, *, walk: Walk = WALK, seed: int = 0) -> RenderedVisitor:
        """Somebody rendered from a photograph."""
        lens = door_lens(self.config.camera.width, self.config.camera.height)
        return RenderedVisitor(self.portrait(photo), lens=lens, walk=walk, reach=REACH, seed=seed)

    def with_level(self, level: str) -> House:
        """The same house with another level of proof."""
        liveness = self.config.liveness.model_copy(update={"level": level})
        return replace(self, config=self.config.model_copy(update={"liveness": liveness}), good={})

    def without_file(self, role: str, folder: Path) -> House:
        """A copy of the house in whose pack one network's file is missing."""
        shutil.copytree(self.state, folder, copy_function=os.link, ignore=shutil.ignore_patterns("*.sock", "*.lock"))
        pack = self._pack()
        (folder / "packs" / pack.manifest.pack / pack.manifest.models[role].file).unlink()  # type: ignore[index]
        return replace(self, state=folder)

    def _pack(self) -> Pack:
        return open_pack(self.state, self.config, state_keys(self.state))

    def _load(
        self,
        pack: Pack,
        config: Config,
        *,
        faults: Sequence[Fault] = (),
        board: Board | None = None,
        broken: dict[str, FaultySession] | None = None,
    ) -> Vision:
        roles = {entry.model_id: role for role, entry in pack.manifest.models.items()}

        def make(_: bytes, model: str) -> Any:
            role = roles[model]
            if role not in self._sessions:
                self._sessions[role] = Remembering(open_session(pack, role, config))
            healthy = self._sessions[role]
            for fault in faults:
                if fault.role == role and board is not None and broken is not None:
                    broken[role] = FaultySession(healthy, fault, board.reached, self.good.get(role, ()))
                    return broken[role]
            return healthy

        return load_vision(pack, config, make_session=make)

    def _audit(self) -> list[dict[str, Any]]:
        with open_state(self.state, self.config, clock=SystemClock(), create=False) as state:
            assert state.ledger.verify().sound
            return [entry_object(entry) for entry in state.ledger.entries()]
