"""Replays: a recorded person on a screen, deaf to the door, and what a screen looks like."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from device.sim.attacks.clips import Clip, ClipParameters, Course
from device.sim.attacks.display import ScreenParameters
from device.sim.attacks.screens import HoldParameters, ReplayParameters, ReplayScreen
from device.sim.camera import Visitor, door_lens
from device.sim.living import Manner
from device.sim.motion import DIRECTIONS, Reach
from device.sim.portrait import Portrait
from device.sim.visitor import RenderedVisitor, Walk
from device.types import Image, Signal

REACH = Reach(yaw_deg=40.0, up_deg=28.0, down_deg=24.0, turn_s=0.4, reaction_s=0.2)
CLIP = ClipParameters(bright=True, fps=30, rest_s=0.8, hold_s=1.2, reach=REACH, manner=Manner())
PANEL = ScreenParameters(
    width_m=0.2,
    height_m=0.15,
    bezel_side_m=0.01,
    bezel_end_m=0.01,
    bezel_shade=20,
    pixels_per_m=10000.0,
    peak=0.9,
    black=0.03,
    gamma=1.0,
    glare=0.0,
    moire=0.0,
    banding=0.0,
    refresh_hz=60.0,
)
STAND = HoldParameters(
    fill=0.7,
    face_px=90.0,
    shake=0.0,
    yaw_deg=0.0,
    pitch_deg=0.0,
    roll_deg=0.0,
    approach_s=0.2,
    leave_s=0.3,
    patience_s=30.0,
)
TABLET = ReplayParameters(screen=PANEL, clip=CLIP, hold=STAND)
HAND = replace(TABLET, hold=replace(STAND, shake=1.0))
#: A colour that no screen and no wall has.
EMPTY = (255, 0, 255)


def play(visitor: Visitor, *prompts: Signal, times: tuple[float, ...] = (0.0, 0.5, 1.5, 2.5, 3.5)) -> list[Image]:
    """What is drawn at each time, while one signal after the other is shown, each from a little before."""
    drawn = []
    for number, now_s in enumerate(times):
        canvas = np.full((480, 640, 3), EMPTY, np.uint8)
        prompt = prompts[number % len(prompts)] if prompts else Signal.IDLE
        assert visitor.draw(canvas, now_s=now_s, prompt=prompt, since_s=now_s - 0.1)
        drawn.append(canvas)
    return drawn


def replay(portrait: Portrait, parameters: ReplayParameters = TABLET, *, seed: int = 1) -> ReplayScreen:
    """A screen before the door's camera."""
    return ReplayScreen(portrait, lens=door_lens(), parameters=parameters, seed=seed)


def same(one: list[Image], two: list[Image]) -> bool:
    """To the last bit."""
    return all(np.array_equal(first, second) for first, second in zip(one, two, strict=True))


def test_a_seed_repeats_a_replay(portrait: Portrait) -> None:
    """Another one gives another."""
    assert same(play(replay(portrait, HAND)), play(replay(portrait, HAND)))
    assert not same(play(replay(portrait, HAND)), play(replay(portrait, HAND, seed=2)))


def test_a_replay_plays_the_same_whatever_the_door_asks(portrait: Portrait) -> None:
    """The control is a living visitor, whom the same prompts move."""
    asked = (Signal.TURN_LEFT, Signal.LOOK_UP, Signal.CHECKING, Signal.TURN_RIGHT)
    assert same(play(replay(portrait, HAND), *asked), play(replay(portrait, HAND)))

    def visitor() -> RenderedVisitor:
        return RenderedVisitor(portrait, lens=door_lens(), walk=Walk(approach_s=0.2), seed=1)

    assert not same(play(visitor(), *asked), play(visitor()))


def test_only_a_verdict_takes_the_screen_down(portrait: Portrait) -> None:
    """Or the end of patience."""
    for signal, gone in ((Signal.DENIED, True), (Signal.TURN_LEFT, False)):
        screen = replay(portrait)
        play(screen, times=(0.0, 1.0))
        canvas = np.zeros((480, 640, 3), np.uint8)
        screen.draw(canvas, now_s=1.1, prompt=signal, since_s=1.05)
        assert screen.draw(canvas, now_s=2.5, prompt=signal, since_s=1.05) is not gone


def test_a_recorded_course_is_random_with_pauses() -> None:
    """Every direction, a rest between any two, times between half and one and a half of the mean."""

    def course(seed: int) -> list[tuple[Signal, float]]:
        course = Course(rest_s=0.8, hold_s=1.2, rng=random.Random(seed))  # noqa: S311  # repeatable
        seen = [course.at(0.0)]
        for now_s in np.arange(0.0, 120.0, 1 / 30):
            if (now := course.at(float(now_s))) != seen[-1]:
                seen.append(now)
        return seen

    seen = course(1)
    assert seen == course(1) != course(2)
    assert {signal for signal, _ in seen} == {*DIRECTIONS, Signal.LOOK_STRAIGHT, Signal.IDLE}
    for (signal, since_s), (following, until_s) in pairwise(seen):
        assert (signal in DIRECTIONS) != (following in DIRECTIONS)
        mean_s = 1.2 if signal in DIRECTIONS else 0.8
        assert 0.5 * mean_s <= until_s - since_s <= 1.5 * mean_s


def eyes(picture: Image) -> float:
    """Column in which the painted irises, the only bright blue things, lie on average."""
    blue = picture[..., 0].astype(int) - picture[..., 2] > 60
    return float(np.nonzero(blue)[1].mean())


def test_the_recorded_head_turns_and_rests(portrait: Portrait) -> None:
    """To both sides within half a minute, from the seed alone."""
    clip = Clip(portrait, size=(320, 240), face_share=0.4, parameters=CLIP, seed=1)
    columns = [eyes(clip.at(now_s)) for now_s in np.arange(0.5, 30.0, 0.1)]
    middle = float(np.median(columns))
    assert min(columns) < middle - 8
    assert max(columns) > middle + 8


def test_a_clip_has_its_own_pictures_per_second(portrait: Portrait) -> None:
    """Between two of them nothing changes."""
    clip = Clip(portrait, size=(160, 120), face_share=0.4, parameters=replace(CLIP, fps=10), seed=1)
    first, again, later = clip.at(1.01), clip.at(1.09), clip.at(1.11)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)


@pytest.mark.parametrize(("fill", "share"), [(0.5, 0.25), (1.02, 1.0)])
def test_a_screen_fills_what_it_is_told_to(portrait: Portrait, fill: float, share: float) -> None:
    """Above 1 neither bezel nor room is in sight; at a half a quarter is lit, with a bezel around it."""
    still = replace(TABLET, hold=replace(STAND, fill=fill))
    (_, canvas) = play(replay(portrait, still), times=(0.0, 1.0))
    beyond = (canvas == EMPTY).all(axis=2)
    bezel = (canvas == PANEL.bezel_shade).all(axis=2)
    lit = ~beyond & ~bezel
    assert lit.mean() == pytest.approx(share, abs=0.02)
    assert (int(bezel.sum()) > 5000) is (fill < 1)


def test_a_stand_stands_still_and_a_hand_does_not(portrait: Portrait) -> None:
    """Seen at the outline."""
    for parameters, still in ((TABLET, True), (HAND, False)):
        one, two = play(replay(portrait, parameters), times=(0.0, 1.0, 2.0))[1:]
        outlines = [(canvas == EMPTY).all(axis=2) for canvas in (one, two)]
        assert np.array_equal(*outlines) is still


def test_the_recorded_wall_is_bright_or_dark(portrait: Portrait) -> None:
    """As the parameters say."""
    means = []
    for bright in (True, False):
        parameters = replace(TABLET, clip=replace(CLIP, bright=bright), hold=replace(STAND, fill=1.02))
        means.append(float(play(replay(portrait, parameters), times=(0.0, 1.0))[1][40:120, 40:600].mean()))
    assert means[0] > 180
    assert means[1] < 90


PLAIN = replace(PANEL, peak=0.7)


@pytest.mark.parametrize(
    ("marked", "least"),
    [(replace(PLAIN, moire=0.05), 1.0), (replace(PLAIN, banding=0.05), 1.0), (replace(PLAIN, glare=0.4), 0.5)],
    ids=["moire", "banding", "glare"],
)
def test_each_trace_of_a_screen_can_be_seen_and_left_out(
    portrait: Portrait, marked: ScreenParameters, least: float
) -> None:
    """In the lit area alone."""
    screens = (replace(TABLET, screen=screen) for screen in (PLAIN, marked))
    (_, one), (_, two) = (play(replay(portrait, parameters), times=(0.0, 1.0)) for parameters in screens)
    difference = np.abs(one.astype(int) - two).max(axis=2)
    lit = ~((one == EMPTY).all(axis=2) | (one == PANEL.bezel_shade).all(axis=2))
    assert difference[lit].mean() > least
    assert difference[~lit].mean() < 0.05
