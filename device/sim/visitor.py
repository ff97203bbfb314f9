"""A rendered person who walks up to the door, sways, blinks, turns the head when asked, and leaves."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.sim.living import Answering, Glances, Manner, PacedBlinks
from device.sim.motion import Reach, Sway, smooth
from device.sim.portrait import LOWER_LID, UPPER_LID, Portrait, Texture
from device.sim.warp import Lens, draw_affine, draw_mesh
from device.types import Image, Points, Signal

#: Ear to ear, metres: the mean bitragion breadth of adults is 0.14-0.15.
FACE_WIDTH_M = 0.15
#: A standing visitor's head is so far below the lens, metres.
BELOW_M = 0.02
#: What ends a visit, from the visitor's view.
VERDICTS = (Signal.GRANTED, Signal.DENIED)
#: The head turns about the top of the spine: below and behind the face's origin, in face widths.
PIVOT = np.array([0.0, 0.3, 0.45], dtype=np.float32)
#: A comfortable answer to a prompt; pitch goes less far than yaw.
TURNS = Reach(yaw_deg=40.0, up_deg=28.0, down_deg=24.0, turn_s=0.45, reaction_s=0.5)


@dataclass(frozen=True, slots=True)
class Walk:
    """How a visitor comes and goes.

    Attributes:
        far_m: Distance at which the visitor appears.
        near_m: Distance at which the visitor waits.
        side_m: Sideways offset at the start.
        approach_s: Time from far to near.
        leave_s: Time from the verdict out of the picture.
        patience_s: Without a verdict the visitor leaves after so long.
    """

    far_m: float = 2.2
    near_m: float = 0.62
    side_m: float = 0.9
    approach_s: float = 2.0
    leave_s: float = 1.0
    patience_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Living:
    """All that tells one living visitor from another.

    Attributes:
        walk: Path and times.
        reach: How far and how fast the head turns when prompted, and after what time.
        manner: Habits.
    """

    walk: Walk
    reach: Reach
    manner: Manner


@dataclass(frozen=True, slots=True)
class Place:
    """Where a head is seen: the point between the ears, and ear to ear, in pixels."""

    x_px: float
    y_px: float
    face_px: float


class Presence:
    """When a visitor comes and goes: 0 far away, 1 before the door, and how far on the way out."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._arrived_s: float | None = None
        self._leaving_s: float | None = None

    def update(self, now_s: float, *, prompt: Signal, since_s: float) -> tuple[float, float]:
        """Approach and departure at ``now_s``, each 0..1; a verdict counts only if it fell during this visit."""
        if self._arrived_s is None:
            self._arrived_s = now_s
        verdict = prompt in VERDICTS and since_s > self._arrived_s
        if self._leaving_s is None and (verdict or now_s - self._arrived_s > self._walk.patience_s):
            self._leaving_s = now_s + 0.4
        approach = smooth((now_s - self._arrived_s) / self._walk.approach_s)
        departure = 0.0 if self._leaving_s is None else (now_s - self._leaving_s) / self._walk.leave_s
        return approach, departure


class RenderedVisitor:
    """A person, drawn from a portrait.

    Args:
        portrait: Whom to draw.
        lens: The camera.
        seed: Decides sway, blinks, glances and reaction times.
        walk: Path and times.
        reach: How far the head turns when prompted.
        manner: Habits.
    """

    def __init__(
        self,
        portrait: Portrait,
        *,
        lens: Lens,
        seed: int = 0,
        walk: Walk | None = None,
        reach: Reach = TURNS,
        manner: Manner | None = None,
    ) -> None:
        rng = random.Random(seed)  # noqa: S311  # a scene that can be repeated
        mood = random.Random(f"{seed}/mood")  # noqa: S311  # apart: habits change nothing about the rest
        manner = manner or Manner()
        self._portrait = portrait
        self._lens = lens
        self._walk = walk or Walk()
        self._presence = Presence(self._walk)
        self._answering = Answering(reach, manner, rng=rng, mood=mood)
        self._glances = Glances(per_min=manner.glances_per_min, mood=mood)
        self._blinks = PacedBlinks(rate=manner.blink_rate, rng=rng)
        self._place: Place | None = None
        self._side = rng.choice((-1.0, 1.0))
        self._body = [Sway(size=size * manner.sway, period_s=6.0, rng=rng) for size in (0.012, 0.006, 0.01)]
        self._head = [Sway(size=size * manner.sway, period_s=4.0, rng=rng) for size in (1.5, 1.2, 1.0)]
        self._torsos = {texture.scale: _torso(texture, portrait, lens) for texture in portrait.textures}

    @property
    def place(self) -> Place | None:
        """Where the head was drawn last; None before."""
        return self._place

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """Paint the visitor as of ``now_s`` into ``canvas``; False once gone for good."""
        approach, departure = self._presence.update(now_s, prompt=prompt, since_s=since_s)
        if departure >= 1.0:
            return False
        out = smooth(departure)
        walk, body = self._walk, self._body
        distance_m = walk.far_m + (walk.near_m - walk.far_m) * approach + body[2].at(now_s)
        reach_m = (self._lens.width / self._lens.focal_px / 2) * distance_m + 3 * FACE_WIDTH_M
        position = np.array(
            [
                self._side * (walk.side_m * (1.0 - approach) - reach_m * out) + body[0].at(now_s),
                BELOW_M
                + body[1].at(now_s)
                + 0.008 * math.sin(11.0 * now_s) * min(1.0, 4 * approach * (1 - approach) + out),
                distance_m,
            ],
            dtype=np.float32,
        )
        yaw, pitch = self._answering.angles(now_s, prompt=prompt, since_s=since_s)
        aside = self._glances.at(now_s)
        # Who walks up to a door camera looks into it.
        yaw -= math.degrees(math.atan2(float(position[0]), distance_m)) * (1.0 - out)
        yaw, pitch = yaw + aside[0], pitch + aside[1]
        angles = (yaw + self._head[0].at(now_s), pitch + self._head[1].at(now_s), self._head[2].at(now_s))
        self._paint(canvas, position, angles_deg=angles, blink=self._blinks.at(now_s))
        return True

    def _paint(self, canvas: Image, position: Points, *, angles_deg: tuple[float, float, float], blink: float) -> None:
        portrait, lens = self._portrait, self._lens
        face_px = lens.focal_px * FACE_WIDTH_M / float(position[2])
        texture = portrait.texture_for(face_px)
        centre = lens.project(position[None])[0]
        self._place = Place(x_px=float(centre[0]), y_px=float(centre[1]), face_px=face_px)
        draw_affine(canvas, self._torsos[texture.scale], _body_map(portrait, texture, centre, face_px))
        shape = portrait.vertices
        if blink > 0.0:
            shape = shape.copy()
            upper, lower = shape[list(UPPER_LID)], shape[list(LOWER_LID)]
            shape[list(UPPER_LID)] = upper + (lower - upper) * np.float32(0.9 * blink)
        turned = (shape - PIVOT) @ rotation(*angles_deg).T + PIVOT
        solid = turned * np.float32(FACE_WIDTH_M) + position
        still = portrait.vertices[:, :2] * np.float32(face_px) + centre
        follow = portrait.follow[:, None]
        draw_mesh(
            canvas,
            texture.cutout,
            points=still + (lens.project(solid) - still) * follow,
            depths=solid[:, 2],
            texture=(portrait.vertices[:, :2] + portrait.origin) * np.float32(texture.scale),
            triangles=portrait.triangles,
        )


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> NDArray[np.float32]:
    """Turn to the own left, look up, lean clockwise in the picture: (3, 3), applied in the order roll, pitch, yaw."""
    yaw, pitch, roll = (math.radians(angle) for angle in (yaw_deg, pitch_deg, roll_deg))
    about_y = [[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]]
    about_x = [[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]]
    about_z = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    return np.asarray(np.array(about_y) @ np.array(about_x) @ np.array(about_z), dtype=np.float32)


def _body_map(portrait: Portrait, texture: Texture, centre: Points, face_px: float) -> NDArray[np.float64]:
    """The map from the texture's pixels to the canvas for everything that does not turn."""
    scale = face_px / texture.scale
    shift = centre - portrait.origin * face_px
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], dtype=np.float64)


def _torso(texture: Texture, portrait: Portrait, lens: Lens) -> Image:
    """The cutout below the chin, carried on downward where the photograph ends before the picture would."""
    cutout = texture.cutout.copy()
    chin = (portrait.chin + float(portrait.origin[1])) * texture.scale
    rows = np.arange(len(cutout), dtype=np.float32)
    ramp = np.clip((rows - chin - 0.08 * texture.scale) / (0.15 * texture.scale), 0.0, 1.0)
    cutout = np.asarray(np.rint(cutout * ramp[:, None, None]), dtype=np.uint8)
    # This texture serves faces down to half its own width: so much of it must lie below the chin then.
    missing = round(chin + lens.height / 0.5) - len(cutout)
    if missing <= 0:
        return cutout
    return np.asarray(cv2.copyMakeBorder(cutout, 0, missing, 0, 0, cv2.BORDER_REPLICATE), dtype=np.uint8)
