"""Who proves to be alive is who is let in: a stranger's living head and a print of somebody enrolled, in turns.

The stranger stands behind the print. Whenever the door compares (the head at rest) the print is up; whenever the door
asks for a turn the print goes down, and the stranger's own head answers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from device.camera.photo import decode_photo
from device.sim.camera import SceneCamera, door_lens
from device.sim.clock import ManualClock
from device.sim.paper import PrintedPhoto
from device.sim.portrait import Portrait, build_portrait
from device.sim.signals import PromptBoard
from device.sim.visitor import RenderedVisitor
from device.types import Decision, Image, Reason, Signal
from device.wiring.daemon import open_daemon
from device.wiring.models import load_vision, open_pack
from device.wiring.stage import Stage
from device.wiring.state import state_keys
from tests.scenarios.conftest import SCENE, Appliance, EverythingIsSpatial

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


@pytest.mark.parametrize("turns_only", [True, False])
@pytest.mark.parametrize("delay_s", [0.0, 0.2, 0.5])
def test_a_head_that_answers_for_a_print_does_not_open_the_door(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes], delay_s: float, turns_only: bool
) -> None:
    """Seen as another face, as a turn that does not hang together, or not at all: never granted."""
    decisions = _play(appliance, demo_photos, delay_s=delay_s, turns_only=turns_only)
    assert decisions
    assert all(not decision.granted for decision in decisions)
    assert all(decision.reason is not Reason.NO_MATCH for decision in decisions if decision.claimed == obama)


def test_with_the_gate_switched_off_the_same_swap_opens_the_door(
    appliance: Appliance, obama: str, demo_photos: dict[str, bytes]
) -> None:
    """The control: the turn that must hang together with the compared face is what keeps the head outside."""
    decisions = _play(appliance, demo_photos, delay_s=0.2, turns_only=True, make_gate=EverythingIsSpatial)
    assert (Reason.GRANTED, obama) in [(decision.reason, decision.person) for decision in decisions]


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
    with open_daemon(appliance.state, SCENE, stage=stage, on_decision=decisions.append, rng=rng, **parts) as daemon:
        daemon.run()
    return decisions


def _portrait(appliance: Appliance, photos: dict[str, bytes], name: str) -> Portrait:
    vision = load_vision(open_pack(appliance.state, SCENE, state_keys(appliance.state)), SCENE)
    picture = decode_photo(photos[name], name=name)
    return build_portrait(picture, vision.find_faces(picture)[0].landmarks)
