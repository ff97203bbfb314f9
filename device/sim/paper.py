"""A photograph on paper, held before the camera and tilted where the prompts say: a flat attack."""

from __future__ import annotations

import random

import cv2
import numpy as np

from device.sim.motion import Obedience, Reach, Sway
from device.sim.portrait import Portrait
from device.sim.visitor import Presence, Walk, rotation
from device.sim.warp import Lens, draw_plane
from device.types import Image, Signal

#: Ear to ear on the print. Small and close: only a strong perspective makes the mesh take a tilt for a turn.
PRINTED_FACE_M = 0.1
HAND = Walk(far_m=0.6, near_m=0.33, side_m=0.0, approach_s=1.2, leave_s=0.7)
#: How close the hand comes while it tilts the paper.
CLOSE_M = 0.16
#: The print is taller than the photograph and leans back at rest, which cancels: so it can tilt both up and down.
STRETCH = 1.2
LEAN_DEG = 32.0
#: Found by measurement, see tests/liveness: each fools the mesh by 21-34 degrees while it still sees a face.
TILTS = Reach(yaw_deg=52.0, up_deg=29.0, down_deg=96.0, turn_s=0.9, reaction_s=0.5, spread=0.0)
# The sheet in face widths: what it shows to each side of the face, and its white margin.
_HALF_WIDTH, _HALF_HEIGHT, _MARGIN = 0.85, 1.0, 0.08
_THUMB_ROOM = 0.25


class PrintedPhoto:
    """A print of a portrait in somebody's hand.

    Args:
        portrait: Whose photograph.
        lens: The camera.
        seed: Decides jitter and reaction times.
        walk: Path and times of the hand.
        reach: How far the paper is tilted when prompted.
    """

    def __init__(
        self, portrait: Portrait, *, lens: Lens, seed: int = 0, walk: Walk = HAND, reach: Reach = TILTS
    ) -> None:
        rng = random.Random(seed)  # noqa: S311  # a scene that can be repeated
        self._lens = lens
        self._walk = walk
        self._presence = Presence(walk)
        self._reach = reach
        self._obedience = Obedience(reach, rng=rng)
        self._hand = [Sway(size=size, period_s=2.5, rng=rng) for size in (0.003, 0.003, 0.003)]
        self._wrist = [Sway(size=size, period_s=1.8, rng=rng) for size in (1.5, 1.5, 2.0)]
        self._sheet = printed_sheet(portrait)
        self._scale = portrait.textures[0].scale

    def draw(self, canvas: Image, *, now_s: float, prompt: Signal, since_s: float) -> bool:
        """Paint the print as of ``now_s`` into ``canvas``; False once gone for good."""
        approach, departure = self._presence.update(now_s, prompt=prompt, since_s=since_s)
        if departure >= 1.0:
            return False
        lens, walk, hand = self._lens, self._walk, self._hand
        yaw, pitch = self._obedience.angles(now_s, prompt=prompt, since_s=since_s)
        sideways = min(1.0, abs(yaw) / self._reach.yaw_deg)
        upright = min(1.0, max(pitch / self._reach.up_deg, -pitch / self._reach.down_deg))
        lean = LEAN_DEG * (1.0 - sideways)
        distance_m = walk.far_m + (walk.near_m - walk.far_m) * approach + hand[2].at(now_s)
        distance_m += (CLOSE_M - distance_m) * max(sideways, upright)
        drop_m = 1.6 * distance_m * max(1.0 - approach, departure)
        pose = zip((yaw, lean + pitch, 0.0), self._wrist, strict=True)
        turn = rotation(*(angle + wrist.at(now_s) for angle, wrist in pose))
        position = np.array([hand[0].at(now_s), drop_m + hand[1].at(now_s), distance_m])
        camera = np.array([[lens.focal_px, 0, lens.width / 2], [0, lens.focal_px, lens.height / 2], [0, 0, 1]])
        metre = PRINTED_FACE_M / self._scale
        tall = metre * STRETCH
        height, width = self._sheet.shape[:2]
        on_paper = np.array([[metre, 0, -metre * width / 2], [0, tall, -tall * height / 2], [0, 0, 1]])
        draw_plane(canvas, self._sheet, camera @ np.column_stack([turn[:, 0], turn[:, 1], position]) @ on_paper)
        return True


def _thumb(sheet: Image, scale: float) -> None:
    """The thumb that holds the print at its lower edge."""
    height, width = sheet.shape[:2]
    tip = (round(0.72 * width), height - round((_THUMB_ROOM + 0.04) * scale))
    for reach, shade in ((1.0, (92, 118, 168, 255)), (0.9, (128, 156, 206, 255))):
        axes = (round(0.075 * reach * scale), round(0.2 * reach * scale))
        cv2.ellipse(sheet, (tip[0], tip[1] + round(0.12 * scale)), axes, 12, 0, 360, shade, -1, cv2.LINE_AA)
    nail = (round(0.04 * scale), round(0.055 * scale))
    cv2.ellipse(sheet, (tip[0] + round(0.03 * scale), tip[1]), nail, 12, 0, 360, (176, 192, 226, 255), -1, cv2.LINE_AA)


def printed_sheet(portrait: Portrait) -> Image:
    """The print as uint8 BGRA: the photograph around the face, margin, rounded into the background by one pixel."""
    scale = portrait.textures[0].scale
    size = (round(2 * _HALF_WIDTH * scale), round(2 * _HALF_HEIGHT * scale))
    centre = portrait.origin * np.float32(scale)
    centre[1] -= np.float32(0.05 * scale)
    shift = np.array([[1, 0, size[0] / 2 - centre[0]], [0, 1, size[1] / 2 - centre[1]]], dtype=np.float64)
    white = (238, 242, 244)
    picture = cv2.warpAffine(portrait.photo, shift, size, borderMode=cv2.BORDER_CONSTANT, borderValue=white)
    margin = round(_MARGIN * scale)
    framed = cv2.copyMakeBorder(picture, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=white)
    sheet = cv2.cvtColor(framed, cv2.COLOR_BGR2BGRA)
    room = round(_THUMB_ROOM * scale)
    sheet = cv2.copyMakeBorder(sheet, room, room, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    held = np.asarray(sheet, dtype=np.uint8)
    _thumb(held, scale)
    return np.asarray(cv2.copyMakeBorder(held, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0)), dtype=np.uint8)
