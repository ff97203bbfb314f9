"""What a replay plays: a recording of a living person, who once turned the head as nobody at this door asked.

The person is drawn by the same code as a visitor, so the clip has depth, blinks and sway. Its course of turns is drawn
from the seed alone: nothing that happens at the door can reach it.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np

from device.sim.backdrop import hallway
from device.sim.living import Manner
from device.sim.motion import DIRECTIONS, Reach
from device.sim.portrait import Portrait
from device.sim.visitor import FACE_WIDTH_M, RenderedVisitor, Walk
from device.sim.warp import Lens
from device.types import Image, Signal

#: Focal length over the longer side of the recording camera's picture: 64 degrees, a telephone's front camera.
_FOCAL_PER_SIDE = 0.8
# The wall behind the recorded person as (factor, offset) on the grey levels of a hallway.
_BRIGHT, _DARK = (0.25, 190.0), (0.3, 4.0)


@dataclass(frozen=True, slots=True)
class ClipParameters:
    """A recording and who is on it.

    Attributes:
        bright: Whether the wall behind the person is bright; dark otherwise.
        fps: Pictures per second of the recording.
        rest_s: Mean time between two turns; each lasts half to one and a half times as long.
        hold_s: Mean time that the head stays turned, varied alike; the movement is part of it.
        reach: How far and how fast the recorded head turns.
        manner: Habits of the recorded person.
    """

    bright: bool
    fps: int
    rest_s: float
    hold_s: float
    reach: Reach
    manner: Manner


class Course:
    """An endless random course of turns with pauses between them.

    Args:
        rest_s: Mean pause.
        hold_s: Mean time of a turn.
        rng: Draws times and directions.
    """

    def __init__(self, *, rest_s: float, hold_s: float, rng: random.Random) -> None:
        self._rest_s = rest_s
        self._hold_s = hold_s
        self._rng = rng
        self._signal = Signal.IDLE
        self._since_s = 0.0
        self._next_s = rest_s * rng.uniform(0.5, 1.5)

    def at(self, clip_s: float) -> tuple[Signal, float]:
        """What the recorded person does at ``clip_s`` and since when; to be asked in the order of time."""
        while clip_s >= self._next_s:
            resting = self._signal not in DIRECTIONS
            self._signal = self._rng.choice(tuple(DIRECTIONS)) if resting else Signal.LOOK_STRAIGHT
            self._since_s = self._next_s
            self._next_s += (self._hold_s if resting else self._rest_s) * self._rng.uniform(0.5, 1.5)
        return self._signal, self._since_s


class Clip:
    """A recording that is drawn while it is played.

    Args:
        portrait: Who was recorded.
        size: Width and height of its pictures in pixels.
        face_share: Ear to ear over the shorter side of them.
        parameters: How it was recorded.
        seed: Decides the course of turns, sway, blinks and the wall.
    """

    def __init__(
        self, portrait: Portrait, *, size: tuple[int, int], face_share: float, parameters: ClipParameters, seed: int
    ) -> None:
        width, height = size
        lens = Lens(focal_px=_FOCAL_PER_SIDE * max(size), width=width, height=height)
        away_m = lens.focal_px * FACE_WIDTH_M / (face_share * min(size))
        # The person is there from the first picture to the last.
        walk = Walk(far_m=away_m, near_m=away_m, side_m=0.0, approach_s=1.0, patience_s=math.inf)
        self._person = RenderedVisitor(
            portrait, lens=lens, seed=seed, walk=walk, reach=parameters.reach, manner=parameters.manner
        )
        rng = random.Random(f"{seed}/course")  # noqa: S311  # a scene that can be repeated
        self._course = Course(rest_s=parameters.rest_s, hold_s=parameters.hold_s, rng=rng)
        factor, offset = _BRIGHT if parameters.bright else _DARK
        wall = cv2.convertScaleAbs(hallway(width, height, seed=seed), alpha=factor, beta=offset)
        self._wall = np.asarray(wall, dtype=np.uint8)
        self._fps = parameters.fps
        self._number = -1
        self._picture = self._wall

    def at(self, clip_s: float) -> Image:
        """The picture that is played at ``clip_s``, uint8 BGR, not to be changed; to be asked in the order of time."""
        number = int(clip_s * self._fps)
        if number > self._number:
            self._number = number
            shown_s = number / self._fps
            signal, since_s = self._course.at(shown_s)
            self._picture = self._wall.copy()
            self._person.draw(self._picture, now_s=shown_s, prompt=signal, since_s=since_s)
        return self._picture
