"""Habits of living visitors: each can be told apart, and none at all moves as before."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from device.sim.camera import door_lens
from device.sim.living import Answering, Glances, Manner, PacedBlinks
from device.sim.motion import Blinks, Obedience, Reach
from device.sim.portrait import Portrait
from device.sim.visitor import RenderedVisitor, Walk
from device.types import Signal

REACH = Reach(yaw_deg=40.0, up_deg=28.0, down_deg=24.0, turn_s=0.5, reaction_s=0.4)
STILL = Walk(far_m=0.6, near_m=0.6, side_m=0.0, approach_s=0.1)
TIMES = np.arange(0.0, 6.0, 1 / 60)


def dice(seed: int = 3) -> random.Random:
    """Repeatable."""
    return random.Random(seed)  # noqa: S311


def shown(now_s: float) -> tuple[Signal, float]:
    """Left after a second, back after three."""
    if now_s < 1.0:
        return Signal.IDLE, 0.0
    return (Signal.TURN_LEFT, 1.0) if now_s < 3.0 else (Signal.LOOK_STRAIGHT, 3.0)


def yaws(turns: Obedience) -> list[float]:
    """Course of the yaw."""
    return [turns.angles(now_s, prompt=shown(now_s)[0], since_s=shown(now_s)[1])[0] for now_s in TIMES]


def answering(manner: Manner) -> list[float]:
    """The same in somebody's manner."""
    return yaws(Answering(REACH, manner, rng=dice(), mood=dice(9)))


def test_without_habits_everybody_moves_as_everybody() -> None:
    """To the last bit: scenes that were measured stay what they were."""
    assert answering(Manner()) == yaws(Obedience(REACH, rng=dice()))
    plain, paced = Blinks(rng=dice()), PacedBlinks(rate=1.0, rng=dice())
    assert [plain.at(now_s) for now_s in TIMES] == [paced.at(now_s) for now_s in TIMES]
    assert all(Glances(per_min=0.0, mood=dice()).at(now_s) == (0.0, 0.0) for now_s in TIMES)


def test_an_overshoot_goes_past_the_mark_and_settles_on_it() -> None:
    """By the share that was asked for."""
    straight, past = answering(Manner()), answering(Manner(overshoot=0.2))
    assert max(past) == pytest.approx(1.2 * max(straight), rel=0.01)
    assert past[170] == pytest.approx(straight[170])
    assert min(past) < -0.15 * max(straight)
    assert min(straight) >= 0.0


def test_who_hesitates_starts_later() -> None:
    """And turns as far."""
    prompt, hesitant = answering(Manner()), answering(Manner(hesitation_s=0.8))
    begins = [next(k for k, yaw in enumerate(course) if yaw > 1.0) for course in (prompt, hesitant)]
    assert 3 < begins[1] - begins[0] <= 48
    assert max(hesitant) == pytest.approx(max(prompt))


def test_who_does_not_obey_ignores_every_prompt(portrait: Portrait) -> None:
    """The same frames whatever is shown; the control is somebody who does."""

    def play(manner: Manner, signal: Signal) -> np.ndarray:
        visitor = RenderedVisitor(portrait, lens=door_lens(), seed=2, walk=STILL, manner=manner)
        canvases = np.zeros((2, 480, 640, 3), np.uint8)
        visitor.draw(canvases[0], now_s=0.0, prompt=Signal.IDLE, since_s=0.0)
        for now_s in (1.0, 2.0):
            canvases[1] = 0
            visitor.draw(canvases[1], now_s=now_s, prompt=signal, since_s=0.5)
        return canvases

    ignoring, willing = Manner(obeys=False), Manner()
    for signal in (Signal.TURN_LEFT, Signal.LOOK_DOWN):
        assert np.array_equal(play(ignoring, signal), play(ignoring, Signal.LOOK_HERE))
        assert not np.array_equal(play(willing, signal), play(willing, Signal.LOOK_HERE))


def test_a_glance_leaves_and_comes_back() -> None:
    """About as often as asked, for a moment each, between 10 and 24 degrees."""
    glances = Glances(per_min=20.0, mood=dice())
    sideways = np.array([abs(glances.at(now_s)[0]) for now_s in np.arange(0.0, 120.0, 1 / 30)])
    assert 9.0 < sideways.max() <= 24.0
    started = int(((sideways[1:] > 5.0) & (sideways[:-1] <= 5.0)).sum())
    assert 12 <= started <= 50
    assert (sideways == 0.0).mean() > 0.3


def test_blinks_come_at_the_own_rate() -> None:
    """Twice the rate, about twice as many."""

    def count(rate: float) -> int:
        blinks = PacedBlinks(rate=rate, rng=dice())
        closed = np.array([blinks.at(now_s) > 0.5 for now_s in np.arange(0.0, 120.0, 1 / 60)])
        return int((closed[1:] & ~closed[:-1]).sum())

    assert count(2.0) == pytest.approx(2 * count(1.0), rel=0.2)


def test_a_visitor_says_where_the_head_is_seen(portrait: Portrait) -> None:
    """Nothing before the first frame; then the width that the distance gives."""
    lens = door_lens()
    visitor = RenderedVisitor(portrait, lens=lens, walk=STILL, manner=replace(Manner(), sway=0.0))
    before = visitor.place
    visitor.draw(np.zeros((480, 640, 3), np.uint8), now_s=0.0, prompt=Signal.IDLE, since_s=0.0)
    place = visitor.place
    assert before is None
    assert place is not None
    assert place.face_px == pytest.approx(lens.focal_px * 0.15 / 0.6)
    assert place.x_px == pytest.approx(320.0)
