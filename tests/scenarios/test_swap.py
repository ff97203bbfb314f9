"""Who proves to be alive is who is let in: a stranger's living head and a print of somebody enrolled, in turns.

The stranger stands behind the print. Whenever the door compares (the head at rest) the print is up; whenever the door
asks for a turn the print goes down, and the stranger's own head answers. Before the passive networks the print goes up
and down by itself, at any pace, since nothing is asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from device.app.proof import LivenessProof
from device.camera.photo import decode_photo
from device.sim.camera import SceneCamera, door_lens
from device.sim.clock import ManualClock
from device.sim.paper import PrintedPhoto
from device.sim.portrait import Portrait, build_portrait
from device.sim.signals import PromptBoard
from device.sim.visitor import RenderedVisitor, Walk
from device.types import Decision, Embedding, Face, Frame, Image, Reason, Signal, Word
from device.vision.pipeline import VisionPipeline
from device.wiring import daemon
from device.wiring.daemon import open_daemon
from device.wiring.models import load_vision, open_pack
from device.wiring.stage import Stage
from device.wiring.state import state_keys
from tests.scenarios.conftest import SCENE, SCENE_PLUS, Appliance

TURNS = (Signal.TURN_LEFT, Signal.TURN_RIGHT, Signal.LOOK_UP, Signal.LOOK_DOWN)


#: The stranger's own head is back at rest so long after being asked to look straight: then the print goes up again.
BACK_S = 1.2


@dataclass
class Swapper:
    """A head with a print before it.

    Attributes:
        head: The stranger.
        paper: The print of the enrolled person; never tilted.
        delay_s: How long after a prompt the print goes down.
        turns_only: Swap for every turn; otherwise the print stays down from the first prompt until the proof is over.
    """

    head: RenderedVisitor
    paper: PrintedPhoto
    delay_s: float
    turns_only: bool
    _down: bool = False

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """The head always, the print over it when it is up."""
        stays = self.head.draw(canvas, now_s=now_s, prompt=prompt, since_s=since_s)
        if prompt in TURNS:
            self._down = now_s - since_s >= self.delay_s
        elif prompt is not Signal.LOOK_STRAIGHT or (self.turns_only and now_s - since_s >= BACK_S):
            self._down = False
        if not self._down:
            self.paper.draw(canvas, now_s=now_s, prompt=Signal.LOOK_STRAIGHT, since_s=0.0)
        return stays


@dataclass
class Flicker:
    """A head with a print that goes up and down before it.

    Attributes:
        head: Whose.
        paper: Of the enrolled person; never tilted.
        shown: Whether the print is up, so many seconds after it was there first.
    """

    head: RenderedVisitor
    paper: PrintedPhoto
    shown: Callable[[float], bool]
    _began_s: float | None = None

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """The head always, the print over it when it is up."""
        self._began_s = now_s if self._began_s is None else self._began_s
        stays = self.head.draw(canvas, now_s=now_s, prompt=prompt, since_s=since_s)
        if self.shown(now_s - self._began_s):
            self.paper.draw(canvas, now_s=now_s, prompt=Signal.LOOK_STRAIGHT, since_s=0.0)
        return stays


#: So the printed face covers the head: as large as the head behind it is seen.
HAND = Walk(far_m=0.4, near_m=0.4, side_m=0.0, approach_s=0.2, patience_s=3.0)
#: When the print is up: for every other comparison, for half a second each, as soon as the networks are about to accept
#: the head, once they have, once.
PACES: dict[str, Callable[[float], bool]] = {
    "every other comparison": lambda since_s: int(since_s / 0.15) % 2 == 0,
    "every half second": lambda since_s: int(since_s / 0.5) % 2 == 0,
    "just in time": lambda since_s: since_s > 0.7,
    "at last": lambda since_s: since_s > 1.0,
    "for one comparison": lambda since_s: 0.9 < since_s < 1.05,
}
#: Of these, the ones that open a door without the two cues.
OPENING = ("every other comparison", "just in time")


class Cue(Word):
    """What holds together who lives and who is compared."""

    #: Frames of one visit agree, and all of them with the person.
    AGREEMENT = "agreement"
    #: A frame that did not itself speak for life names nobody.
    LIVED = "lived"


@pytest.fixture
def loosest(plus_appliance: Appliance) -> Appliance:
    """Level ``convenience``: nothing is asked because the print has edges."""
    liveness = SCENE_PLUS.liveness.model_copy(update={"level": "convenience"})
    return replace(plus_appliance, config=SCENE_PLUS.model_copy(update={"liveness": liveness}))


def switch_off(cue: Cue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take one of the two cues away, and nothing else."""
    if cue is Cue.AGREEMENT:
        monkeypatch.setattr(daemon, "same_face_threshold", lambda *_: -2.0)
    else:
        monkeypatch.setattr(LivenessProof, "_lived_s", property(lambda proof: proof._seen_s))


def _named(decisions: list[Decision]) -> list[Decision]:
    return [decision for decision in decisions if decision.granted or decision.claimed is not None]


@pytest.mark.parametrize("pace", list(PACES))
def test_a_head_that_looks_alive_for_a_print_does_not_open_the_door(
    loosest: Appliance, demo_photos: dict[str, bytes], pace: str
) -> None:
    """The living head for the passive networks, the print for the comparison: neither granted nor named."""
    _enrol(loosest, demo_photos)
    decisions, embedded = _flicker(loosest, demo_photos, head="biden.jpg", shown=PACES[pace])
    assert embedded > 5, "the control: somebody was compared all the while"
    assert _named(decisions) == []


@pytest.mark.parametrize("pace", OPENING)
@pytest.mark.parametrize("off", list(Cue))
def test_each_of_the_two_cues_alone_keeps_the_head_and_its_print_outside(
    loosest: Appliance, demo_photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, pace: str, off: Cue
) -> None:
    """Whichever the other one is."""
    _enrol(loosest, demo_photos)
    switch_off(off, monkeypatch)
    decisions, _ = _flicker(loosest, demo_photos, head="biden.jpg", shown=PACES[pace])
    assert all(not decision.granted for decision in decisions)


@pytest.mark.parametrize("pace", OPENING)
def test_without_the_two_cues_the_head_and_its_print_open_the_door(
    loosest: Appliance, demo_photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, pace: str
) -> None:
    """The control: nothing else at this level keeps them out, and the living head is let in as the enrolled person."""
    enrolled = _enrol(loosest, demo_photos)
    for cue in Cue:
        switch_off(cue, monkeypatch)
    decisions, _ = _flicker(loosest, demo_photos, head="biden.jpg", shown=PACES[pace])
    assert [decision.person for decision in decisions if decision.granted] == [enrolled]


def test_the_head_behind_the_print_comes_in_by_itself_if_it_is_enrolled(
    plus_appliance: Appliance, demo_photos: dict[str, bytes]
) -> None:
    """A head that the networks find alive, with no print in the way, is only compared."""
    enrolled = _enrol(plus_appliance, demo_photos)
    decisions, _ = _flicker(plus_appliance, demo_photos, head="obama.jpg", shown=lambda _: False)
    assert [decision.person for decision in decisions if decision.granted] == [enrolled]


@pytest.mark.parametrize("turns_only", [True, False])
@pytest.mark.parametrize("delay_s", [0.0, 0.2, 0.5])
def test_a_head_that_answers_for_a_print_does_not_open_the_door(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes], delay_s: float, turns_only: bool
) -> None:
    """Seen as another face, as a turn that does not hang together, or not at all: never granted."""
    decisions = _play(appliance, demo_photos, delay_s=delay_s, turns_only=turns_only)
    assert decisions
    assert all(not decision.granted for decision in decisions)
    assert obama not in [decision.person for decision in decisions]


def test_with_the_gate_switched_off_the_same_swap_opens_the_door(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes], no_planarity: None
) -> None:
    """The control: the turn that must hang together with the compared face is what keeps the head outside."""
    decisions = _play(appliance, demo_photos, delay_s=0.2, turns_only=True)
    assert (Reason.GRANTED, obama) in [(decision.reason, decision.person) for decision in decisions]


def _enrol(appliance: Appliance, photos: dict[str, bytes]) -> str:
    return appliance.enrol("Barack Obama", {name: photos[name] for name in ("obama2.jpg", "obama3.jpg")})


def _flicker(
    appliance: Appliance, photos: dict[str, bytes], *, head: str, shown: Callable[[float], bool]
) -> tuple[list[Decision], int]:
    """What the pack with the passive networks decides about it within four seconds, and how often it compared."""
    config = appliance.config
    lens = door_lens(config.camera.width, config.camera.height)
    walk = Walk(far_m=0.66, near_m=0.62, side_m=0.02, approach_s=0.2, patience_s=3.0)
    clock = ManualClock()
    board = PromptBoard(clock=clock)
    visitor = Flicker(
        RenderedVisitor(_portrait(appliance, photos, head), lens=lens, walk=walk),
        PrintedPhoto(_portrait(appliance, photos, "obama.jpg"), lens=lens, walk=HAND),
        shown,
    )
    stage = Stage(clock, SceneCamera([visitor], clock=clock, prompts=board, fps=20, gap_s=0.2), board)
    decisions: list[Decision] = []
    compared: list[object] = []
    embed = VisionPipeline.embed

    def counted(pipeline: VisionPipeline, frame: Frame, face: Face) -> Embedding:
        compared.append(face)
        return embed(pipeline, frame, face)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VisionPipeline, "embed", counted)
        with open_daemon(appliance.state, config, stage=stage, on_decision=decisions.append) as door:
            door.run()
    return decisions, len(compared)


def _play(
    appliance: Appliance, photos: dict[str, bytes], *, delay_s: float, turns_only: bool, **parts: Any
) -> list[Decision]:
    lens = door_lens(SCENE.camera.width, SCENE.camera.height)
    head, printed = (_portrait(appliance, photos, name) for name in ("biden.jpg", "obama.jpg"))
    clock = ManualClock()
    board = PromptBoard(clock=clock)
    swappers = [
        Swapper(
            RenderedVisitor(head, lens=lens, seed=seed),
            PrintedPhoto(printed, lens=lens, seed=seed),
            delay_s,
            turns_only,
        )
        for seed in range(2)
    ]
    stage = Stage(clock, SceneCamera(swappers, clock=clock, prompts=board, fps=20), board)
    decisions: list[Decision] = []
    rng = random.Random(2)  # noqa: S311  # a scene that can be repeated
    with open_daemon(appliance.state, SCENE, stage=stage, on_decision=decisions.append, rng=rng, **parts) as door:
        door.run()
    return decisions


def _portrait(appliance: Appliance, photos: dict[str, bytes], name: str) -> Portrait:
    config = appliance.config
    vision = load_vision(open_pack(appliance.state, config, state_keys(appliance.state)), config)
    picture = decode_photo(photos[name], name=name)
    return build_portrait(picture, vision.find_faces(picture)[0].landmarks)
