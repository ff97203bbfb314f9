"""The exchange: somebody answers, and at the given moment somebody else's picture is before the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from device.sim.attacks.accomplice import Accomplice, AccompliceParameters, Cue, Item, Moment, SwapParameters
from device.sim.camera import door_lens
from device.sim.living import Manner
from device.sim.motion import Reach
from device.sim.portrait import Portrait, build_portrait
from device.sim.visitor import Living, RenderedVisitor, Walk
from device.types import Image, Signal
from tests.sim.conftest import painted_landmarks, painted_photo
from tests.sim.test_screens import CLIP, PANEL

LIVING = Living(
    walk=Walk(far_m=0.8, near_m=0.6, side_m=0.0, approach_s=0.3),
    reach=Reach(yaw_deg=40.0, up_deg=28.0, down_deg=24.0, turn_s=0.4, reaction_s=0.3),
    manner=Manner(),
)
SWAP = SwapParameters(
    moment=Moment.SECONDS,
    arrived_s=2.0,
    after_s=0.2,
    turning_s=0.5,
    answers=1,
    raise_s=0.3,
    item=Item.PRINT,
    size=1.0,
    face_share=0.5,
    printed_face_m=0.12,
    shake=1.0,
)
PHONE = replace(PANEL, width_m=0.07, height_m=0.15, bezel_side_m=0.004, bezel_end_m=0.006)
#: What the door shows from each time on.
SHOWN = (
    (0.0, Signal.LOOK_HERE),
    (1.0, Signal.TURN_LEFT),
    (3.0, Signal.LOOK_STRAIGHT),
    (4.0, Signal.TURN_RIGHT),
    (6.0, Signal.CHECKING),
)


@pytest.fixture(scope="module")
def victim() -> Portrait:
    """The painted figure with colours exchanged: red eyes in a blue face."""
    return build_portrait(np.ascontiguousarray(painted_photo()[..., ::-1]), painted_landmarks())


def at(now_s: float) -> tuple[Signal, float]:
    """What is shown, and since when."""
    since_s, signal = next(entry for entry in reversed(SHOWN) if entry[0] <= now_s)
    return signal, since_s


def parameters(swap: SwapParameters) -> AccompliceParameters:
    """With the same person and telephone."""
    return AccompliceParameters(living=LIVING, swap=swap, screen=PHONE, clip=CLIP)


def play(visitor: Accomplice | RenderedVisitor, times: Sequence[float]) -> list[Image]:
    """What is drawn at each time."""
    drawn = []
    for now_s in times:
        canvas = np.full((480, 640, 3), 128, np.uint8)
        signal, since_s = at(now_s)
        assert visitor.draw(canvas, now_s=now_s, prompt=signal, since_s=since_s)
        drawn.append(canvas)
    return drawn


def face(canvas: Image) -> str:
    """Whose skin lies where the face is."""
    blue, _, red = canvas[225:285, 290:350].reshape(-1, 3).mean(axis=0)
    return "victim" if blue > red else "accomplice"


@pytest.mark.parametrize(
    ("moment", "begins_s"),
    [(Moment.SECONDS, 2.0), (Moment.ANSWERS, 3.2), (Moment.TURN, 1.5), (Moment.CHECKING, 6.2)],
)
@pytest.mark.parametrize("item", list(Item))
def test_the_exchange_happens_at_its_moment(
    portrait: Portrait, victim: Portrait, moment: Moment, begins_s: float, item: Item
) -> None:
    """Not a frame before; once it is done, the victim is where the accomplice was."""
    swap = replace(SWAP, moment=moment, item=item)
    visitor = Accomplice(victim, portrait, lens=door_lens(), parameters=parameters(swap), seed=3)
    times = [number / 15 for number in range(120)]
    frames = play(visitor, times)
    assert visitor.raised_s == pytest.approx(begins_s, abs=1 / 15)
    for now_s, frame in zip(times, frames, strict=True):
        if 0.4 < now_s < begins_s:
            assert face(frame) == "accomplice", now_s
        elif now_s > begins_s + SWAP.raise_s + 1 / 15:
            assert face(frame) == "victim", now_s


def test_until_then_it_is_nothing_but_a_living_visitor(portrait: Portrait, victim: Portrait) -> None:
    """To the last bit."""
    swap = replace(SWAP, moment=Moment.CHECKING)
    visitor = Accomplice(victim, portrait, lens=door_lens(), parameters=parameters(swap), seed=3)
    alone = RenderedVisitor(
        portrait, lens=door_lens(), seed=3, walk=LIVING.walk, reach=LIVING.reach, manner=LIVING.manner
    )
    times = [number / 5 for number in range(29)]
    assert all(np.array_equal(one, two) for one, two in zip(play(visitor, times), play(alone, times), strict=True))
    assert visitor.raised_s is None


@pytest.mark.parametrize("item", list(Item))
def test_a_seed_repeats_the_exchange(portrait: Portrait, victim: Portrait, item: Item) -> None:
    """Another one gives another."""
    times = (0.0, 1.0, 2.5, 3.5)

    def frames(seed: int) -> list[Image]:
        swap = parameters(replace(SWAP, item=item))
        return play(Accomplice(victim, portrait, lens=door_lens(), parameters=swap, seed=seed), times)

    assert all(np.array_equal(one, two) for one, two in zip(frames(1), frames(1), strict=True))
    assert not np.array_equal(frames(1)[-1], frames(2)[-1])


def test_a_verdict_ends_the_visit_with_the_picture_still_up(portrait: Portrait, victim: Portrait) -> None:
    """Both leave together."""
    visitor = Accomplice(victim, portrait, lens=door_lens(), parameters=parameters(SWAP), seed=3)
    play(visitor, (0.0, 1.0, 3.0))
    canvas = np.zeros((480, 640, 3), np.uint8)
    assert visitor.draw(canvas, now_s=3.1, prompt=Signal.DENIED, since_s=3.05)
    assert not visitor.draw(canvas, now_s=5.0, prompt=Signal.DENIED, since_s=3.05)


def test_a_prompt_is_answered_when_another_follows_it() -> None:
    """A verdict is no other prompt; a moment that never comes raises nothing."""
    cue = Cue(replace(SWAP, moment=Moment.ANSWERS, answers=2, after_s=0.0))
    shown = [Signal.TURN_LEFT, Signal.LOOK_STRAIGHT, Signal.LOOK_UP, Signal.DENIED]
    assert [cue.update(float(k), prompt=signal, since_s=float(k)) for k, signal in enumerate(shown)] == [None] * 4
    cue = Cue(replace(SWAP, moment=Moment.ANSWERS, answers=2, after_s=0.0))
    shown[-1] = Signal.TURN_LEFT
    assert [cue.update(float(k), prompt=signal, since_s=float(k)) for k, signal in enumerate(shown)][-1] == 3.0
