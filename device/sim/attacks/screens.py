"""Telephone, tablet and monitor: a recorded person, played before the camera whatever the door asks."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from device.sim.attacks.clips import ClipParameters
from device.sim.attacks.display import LitScreen, ScreenParameters
from device.sim.motion import Sway
from device.sim.portrait import Portrait
from device.sim.visitor import Presence, Walk
from device.sim.warp import Lens
from device.types import Image, Signal

#: No recorded face is wider than this share of the screen's shorter side: hair and ears must fit.
_WIDEST = 0.62


@dataclass(frozen=True, slots=True)
class HoldParameters:
    """How a screen is presented.

    Attributes:
        fill: Of the screen's shares of the frame's width and height, the smaller one; above 1 no bezel is in sight.
        face_px: Ear to ear before the door's camera, pixels, as far as the screen is wide enough for it.
        shake: 1 for a hand's tremor (3 mm, 1.5 degrees), 0 for a stand.
        yaw_deg: Tilt to the side.
        pitch_deg: Tilt backward.
        roll_deg: Lean.
        approach_s: Time in which it is brought up.
        leave_s: Time in which it is taken down after a verdict.
        patience_s: Without a verdict it is taken down after so long.
    """

    fill: float
    face_px: float
    shake: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    approach_s: float
    leave_s: float
    patience_s: float


@dataclass(frozen=True, slots=True)
class ReplayParameters:
    """A replay attack: the screen, what it plays, how it is held."""

    screen: ScreenParameters
    clip: ClipParameters
    hold: HoldParameters


class Tremor:
    """A hand that holds something flat: place in metres and turn in degrees wander around rest.

    Args:
        shake: 1 for a hand, 0 for a stand.
        rng: Draws the course.
    """

    def __init__(self, *, shake: float, rng: random.Random) -> None:
        self._hand = [Sway(size=0.003 * shake, period_s=2.5, rng=rng) for _ in range(3)]
        self._wrist = [Sway(size=1.5 * shake, period_s=1.8, rng=rng) for _ in range(3)]

    def place(self, now_s: float) -> tuple[float, float, float]:
        """x, y, z in metres."""
        x, y, z = (sway.at(now_s) for sway in self._hand)
        return x, y, z

    def turn(self, now_s: float) -> tuple[float, float, float]:
        """Yaw, pitch, roll in degrees."""
        yaw, pitch, roll = (sway.at(now_s) for sway in self._wrist)
        return yaw, pitch, roll


class ReplayScreen:
    """A screen that is held or stands before the camera and plays a clip.

    Args:
        portrait: Who is on the clip.
        lens: The camera.
        parameters: Screen, clip and hold.
        seed: Decides the clip's course, the hand's tremor and the reflection.
    """

    def __init__(self, portrait: Portrait, *, lens: Lens, parameters: ReplayParameters, seed: int) -> None:
        screen, hold = parameters.screen, parameters.hold
        rng = random.Random(seed)  # noqa: S311  # a scene that can be repeated
        self._lens = lens
        self._hold = hold
        walk = Walk(approach_s=hold.approach_s, leave_s=hold.leave_s, patience_s=hold.patience_s)
        self._presence = Presence(walk)
        self._tremor = Tremor(shake=hold.shake, rng=rng)
        self._away_m = lens.focal_px * min(screen.width_m / lens.width, screen.height_m / lens.height) / hold.fill
        shorter_m = min(screen.width_m, screen.height_m)
        self._hidden_m = self._away_m * lens.height / (2 * lens.focal_px) + screen.height_m / 2 + screen.bezel_end_m
        self._screen = LitScreen(
            portrait,
            lens=lens,
            screen=screen,
            clip=parameters.clip,
            face_share=min(_WIDEST, hold.face_px * self._away_m / (lens.focal_px * shorter_m)),
            away_m=self._away_m,
            held=hold.shake > 0.0,
            seed=seed,
        )
        self._started_s: float | None = None

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """Paint the screen as of ``now_s`` into ``canvas``; False once gone for good. Only a verdict is heeded."""
        approach, departure = self._presence.update(now_s, prompt=prompt, since_s=since_s)
        if departure >= 1.0:
            return False
        if self._started_s is None:
            self._started_s = now_s
        hold = self._hold
        x, y, z = self._tremor.place(now_s)
        drop_m = 1.1 * self._hidden_m * max(1.0 - approach, departure)
        yaw, pitch, roll = self._tremor.turn(now_s)
        self._screen.draw(
            canvas,
            place_m=np.array([x, y + drop_m, self._away_m + z], dtype=np.float32),
            angles_deg=(hold.yaw_deg + yaw, hold.pitch_deg + pitch, hold.roll_deg + roll),
            clip_s=now_s - self._started_s,
            now_s=now_s,
        )
        return True
