"""An appliance for each scenario: its own state directory with the built pack, the real daemon, nothing mocked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from device.app.frames import AttachedFile
from device.app.identification import Criteria, Finding, VideoIdentifier
from device.app.requests import AuditListRequest, AuditVerifyRequest, EnrollRequest
from device.clock import SystemClock
from device.config import Config, parse_config
from device.types import Decision
from device.vision.liveness.planarity import Planarity
from device.wiring.daemon import open_daemon
from device.wiring.models import adopt_pack, load_vision, match_threshold, open_pack
from device.wiring.people import open_offline, open_roster
from device.wiring.stage import Actor, open_stage
from device.wiring.state import open_state
from device.wiring.surroundings import open_recording

SCENE = parse_config(b"camera: {source: scene, pace: fast}", origin="scenario")
SCENE_PLUS = parse_config(b"camera: {source: scene, pace: fast}\nmodels: {pack: door-plus}", origin="scenario")


@dataclass
class Appliance:
    """A state directory and what a scenario does with it."""

    state: Path
    config: Config = SCENE

    def enrol(self, name: str, photos: dict[str, bytes], *, config: Config | None = None) -> str:
        """Enrol somebody from photographs; the handle."""
        files = [AttachedFile(file, content) for file, content in photos.items()]
        with open_offline(self.state, config or self.config) as verbs:
            return str(verbs.answer(EnrollRequest(name=name), files)["person"]["handle"])

    def play(self, cast: Sequence[Actor], *, seed: int = 0, **parts: Any) -> list[Decision]:
        """Run the daemon on a rendered scene; what it decided."""
        decisions: list[Decision] = []
        parts.setdefault("rng", random.Random(seed))  # noqa: S311  # a scene that can be repeated, prompts included
        stage = open_stage(self.state, self.config, cast, seed=seed)
        with open_daemon(self.state, self.config, stage=stage, on_decision=decisions.append, **parts) as daemon:
            daemon.run()
        return decisions

    def watch(self, recording: Path, *, config: Config | None = None) -> list[Decision]:
        """Run the daemon on a recording, as fast as it can; what it decided."""
        base = config or self.config
        camera = base.camera.model_copy(update={"source": str(recording), "pace": "fast"})
        decisions: list[Decision] = []
        with open_daemon(
            self.state,
            base.model_copy(update={"camera": camera}),
            signals=Silence(),
            on_decision=decisions.append,
        ) as daemon:
            daemon.run()
        return decisions

    def identify(self, recording: Path) -> tuple[Finding, ...]:
        """Who is in a recording, by votes, without a door and a proof of life."""
        with open_state(self.state, self.config, clock=SystemClock(), create=False) as state:
            pack = open_pack(self.state, self.config, state.keys)
            roster = open_roster(state, pack, self.config)
            access = self.config.access
            criteria = Criteria(
                threshold=match_threshold(pack, self.config),
                margin=self.config.gallery.margin,
                votes=access.votes,
                vote_window=access.vote_window,
                compare_every_s=access.compare_every_s,
            )
            identifier = VideoIdentifier(
                load_vision(pack, self.config).pipeline(), search=roster.search, criteria=criteria
            )
            video = open_recording(recording)
            video.open()
            while (frame := video.read()) is not None:
                list(identifier.see(frame))
            video.close()
            return identifier.findings()

    def audit(self) -> list[dict[str, Any]]:
        """All audit entries, after the chain was verified."""
        with open_offline(self.state, self.config) as verbs:
            assert verbs.answer(AuditVerifyRequest())["sound"]
            return list(verbs.answer(AuditListRequest())["entries"])


class EverythingIsSpatial:
    """The control: a planarity gate that is switched off."""

    def clear(self) -> None:
        """Nothing to forget."""

    def add(self, frame: object, face: object) -> None:
        """Nothing to look at."""

    def judge(self, *, vouched_s: float, until_s: float) -> Planarity:  # noqa: ARG002  # the gate's own signature
        """Always a solid head."""
        return Planarity(verdict="spatial", residual=None, corners=0)


class Silence:
    """Signals that nobody sees."""

    def show(self, signal: object) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@pytest.fixture
def no_planarity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doors and pad-tests of this test have no planarity gate."""
    monkeypatch.setattr("device.wiring.liveness.PlanarityGate", lambda _: EverythingIsSpatial())


@pytest.fixture
def appliance(tmp_path: Path, door_state: Path) -> Appliance:
    """A state directory of its own with the pack ``door``; nobody is enrolled."""
    state = tmp_path / "state"
    adopt_pack(door_state, state, SCENE)
    return Appliance(state)


@pytest.fixture
def plus_appliance(tmp_path: Path, door_plus_state: Path) -> Appliance:
    """A state directory of its own with the pack ``door-plus``; nobody is enrolled."""
    state = tmp_path / "plus"
    adopt_pack(door_plus_state, state, SCENE_PLUS)
    return Appliance(state, SCENE_PLUS)


@pytest.fixture
def obama(appliance: Appliance, demo_photos: dict[str, bytes]) -> str:
    """The handle of the one person enrolled in the rendered scenes."""
    return appliance.enrol("Barack Obama", {name: demo_photos[name] for name in ("obama2.jpg", "obama3.jpg")})
