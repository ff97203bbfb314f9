"""A lit screen that plays a clip, as a door camera sees it.

What a camera sees of a screen and not of a face: a bezel, a narrower range of brightness, a reflection, the beat of the
screen's pixels against its own (moire), and the bands of the refresh on a rolling shutter.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.sim.attacks.clips import Clip, ClipParameters
from device.sim.portrait import Portrait
from device.sim.visitor import rotation
from device.sim.warp import Lens, draw_plane
from device.types import Image, Points

#: A rolling shutter reads its rows in about one period of 30 frames per second.
_READOUT_S = 1 / 30
# No clip is drawn with more pixels than a VGA camera could tell apart.
_MOST_PIXELS = 640 * 480
# A hand's width of transparent room around the bezel for fingers, in metres; and where they are, from the top.
_ROOM_M, _FINGERS = 0.018, ((1, 0.42), (1, 0.53), (1, 0.64), (-1, 0.5))
_SKIN = (128, 156, 206, 255)
# How far a reflection wanders when the screen is tilted by a degree, in shares of the screen.
_WANDER_PER_DEG = 0.035


@dataclass(frozen=True, slots=True)
class ScreenParameters:
    """A screen as it is held, with its picture's sides as the camera sees them.

    Attributes:
        width_m: Of the lit area.
        height_m: Of the lit area.
        bezel_side_m: Left and right of it.
        bezel_end_m: Above and below it.
        bezel_shade: Grey level, 0..255.
        pixels_per_m: Of the screen's own grid.
        peak: What white comes to, as a share of the camera's range; above 1 it is clipped.
        black: What black comes to.
        gamma: Of the way through recording and screen; 1 is faithful.
        glare: Peak of a reflection on the glass, as a share of the camera's range.
        moire: Amplitude of the beat pattern, as a share of the brightness, below 0.5.
        banding: Amplitude of the refresh bands, as a share of the brightness, below 0.5.
        refresh_hz: Of the screen.
    """

    width_m: float
    height_m: float
    bezel_side_m: float
    bezel_end_m: float
    bezel_shade: int
    pixels_per_m: float
    peak: float
    black: float
    gamma: float
    glare: float
    moire: float
    banding: float
    refresh_hz: float


def plane_map(
    lens: Lens, *, size: tuple[int, int], metre: float, angles_deg: tuple[float, float, float], place_m: Points
) -> NDArray[np.float64]:
    """The homography (3, 3) from a picture's pixels to the canvas.

    Args:
        lens: The camera.
        size: Of the picture, width and height in pixels.
        metre: One pixel of it, in metres.
        angles_deg: Yaw, pitch and roll of the plane.
        place_m: (3,) where its middle is.
    """
    width, height = size
    turn = rotation(*angles_deg)
    camera = np.array([[lens.focal_px, 0, lens.width / 2], [0, lens.focal_px, lens.height / 2], [0, 0, 1]])
    on_plane = np.array([[metre, 0, -metre * width / 2], [0, metre, -metre * height / 2], [0, 0, 1]])
    return np.asarray(camera @ np.column_stack([turn[:, 0], turn[:, 1], place_m]) @ on_plane, dtype=np.float64)


class LitScreen:
    """A screen that plays a clip.

    Args:
        portrait: Who is on the clip.
        lens: The camera.
        screen: The device.
        clip: The recording.
        face_share: Ear to ear on it over the lit area's shorter side.
        away_m: Distance at which it will be seen; decides how finely it is drawn.
        held: Whether fingers are seen at its edges.
        seed: Of the clip, and of where the reflection lies.
    """

    def __init__(
        self,
        portrait: Portrait,
        *,
        lens: Lens,
        screen: ScreenParameters,
        clip: ClipParameters,
        face_share: float,
        away_m: float,
        held: bool,
        seed: int,
    ) -> None:
        rng = random.Random(f"{seed}/screen")  # noqa: S311  # a scene that can be repeated
        seen = (screen.width_m * lens.focal_px / away_m, screen.height_m * lens.focal_px / away_m)
        fineness = min(1.0, math.sqrt(_MOST_PIXELS / (seen[0] * seen[1])))
        size = (max(2, round(seen[0] * fineness)), max(2, round(seen[1] * fineness)))
        self._lens = lens
        self._screen = screen
        self._clip = Clip(portrait, size=size, face_share=face_share, parameters=clip, seed=seed)
        self._metre = screen.width_m / size[0]
        self._sheet, self._lit = _body(screen, size, self._metre, held=held)
        self._tone = _tone(screen)
        self._glass = _glass(size, strength=screen.glare, rng=rng)
        self._column, self._row = _moire(screen.moire)
        self._phase = rng.uniform(0, 2 * math.pi)

    def draw(
        self, canvas: Image, *, place_m: Points, angles_deg: tuple[float, float, float], clip_s: float, now_s: float
    ) -> None:
        """Paint it with its middle at ``place_m``, as of ``now_s``, while it plays what was recorded at ``clip_s``."""
        x, y, width, height = self._lit
        shown = np.asarray(cv2.LUT(self._clip.at(clip_s), self._tone), dtype=np.uint8)
        if self._screen.glare > 0.0:
            left = round(width * min(1.0, max(0.0, 0.5 + _WANDER_PER_DEG * angles_deg[0])))
            top = round(height * min(1.0, max(0.0, 0.5 + _WANDER_PER_DEG * angles_deg[1])))
            cv2.add(shown, self._glass[top : top + height, left : left + width], dst=shown)
        self._sheet[y : y + height, x : x + width, :3] = shown
        size = (self._sheet.shape[1], self._sheet.shape[0])
        matrix = plane_map(self._lens, size=size, metre=self._metre, angles_deg=angles_deg, place_m=place_m)
        draw_plane(canvas, self._sheet, matrix)
        self._shimmer(canvas, matrix, now_s)

    def _shimmer(self, canvas: Image, matrix: NDArray[np.float64], now_s: float) -> None:
        """Moire and bands on the lit area: the screen's own grid, taken at the camera's pixels, beats by itself."""
        x, y, width, height = self._lit
        corners = np.array([[[x, y], [x + width, y], [x + width, y + height], [x, y + height]]], dtype=np.float64)
        quad = cv2.perspectiveTransform(corners, matrix)[0]
        low = np.clip(np.floor(quad.min(axis=0)), 0, None).astype(int)
        high = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 1, (canvas.shape[1], canvas.shape[0]))
        if (low >= high).any():
            return
        columns = np.arange(low[0], high[0], dtype=np.float32)[None, :]
        rows = np.arange(low[1], high[1], dtype=np.float32)[:, None]
        back = np.linalg.inv(matrix)
        back[:2] *= self._metre * self._screen.pixels_per_m * 256
        back = back.astype(np.float32)
        scale = 1 / (back[2, 0] * columns + (back[2, 1] * rows + back[2, 2]))
        phases = [(back[k, 0] * columns + (back[k, 1] * rows + back[k, 2])) * scale for k in (0, 1)]
        across, down = (phase.astype(np.int32).astype(np.uint8) for phase in phases)
        turned = self._screen.refresh_hz * (now_s + rows / canvas.shape[0] * _READOUT_S)
        bands = np.rint(128 * self._screen.banding * np.cos(2 * math.pi * turned + self._phase)).astype(np.int16)
        # Sums modulo 256: both stay around 128, far from either end.
        plain = cv2.LUT(down, self._row) + bands.astype(np.uint8)
        gain = cv2.applyColorMap(across, self._column)
        gain = cv2.addWeighted(gain, 1.0, cv2.cvtColor(plain, cv2.COLOR_GRAY2BGR), 1.0, -128.0)
        mask = np.zeros(across.shape, dtype=np.uint8)
        cv2.fillConvexPoly(mask, np.rint(quad - low).astype(np.int32), 255)
        part = canvas[low[1] : high[1], low[0] : high[0]]
        cv2.copyTo(cv2.multiply(part, gain, scale=1 / 128), mask, part)


def _body(
    screen: ScreenParameters, size: tuple[int, int], metre: float, *, held: bool
) -> tuple[Image, tuple[int, int, int, int]]:
    """The switched-off device as uint8 BGRA with room around it, and where its lit area is: x, y, width, height."""
    side, end, room = (round(length / metre) for length in (screen.bezel_side_m, screen.bezel_end_m, _ROOM_M))
    width, height = size[0] + 2 * (side + room), size[1] + 2 * (end + room)
    sheet = np.zeros((height, width, 4), dtype=np.uint8)
    if held:
        for edge, down in _FINGERS:
            middle = (width - room if edge > 0 else room, round(down * height))
            axes = (round(0.95 * room), round(0.0085 / metre))
            cv2.ellipse(sheet, middle, axes, -10 * edge, 0, 360, (96, 122, 172, 255), -1, cv2.LINE_AA)
            axes = (round(0.85 * room), round(0.007 / metre))
            cv2.ellipse(sheet, middle, axes, -10 * edge, 0, 360, _SKIN, -1, cv2.LINE_AA)
    shade = (screen.bezel_shade, screen.bezel_shade, screen.bezel_shade, 255)
    radius = max(1, min(side, end))
    for inset_x, inset_y in ((radius, 0), (0, radius)):
        low, high = (room + inset_x, room + inset_y), (width - room - 1 - inset_x, height - room - 1 - inset_y)
        cv2.rectangle(sheet, low, high, shade, -1)
    for x in (room + radius, width - room - 1 - radius):
        for y in (room + radius, height - room - 1 - radius):
            cv2.circle(sheet, (x, y), radius, shade, -1, cv2.LINE_AA)
    return sheet, (side + room, end + room, size[0], size[1])


def _tone(screen: ScreenParameters) -> NDArray[np.uint8]:
    """Grey level of the clip to grey level before the camera, (256,)."""
    level = (np.arange(256) / 255) ** screen.gamma
    shown = screen.black + (screen.peak - screen.black) * level
    return np.clip(np.rint(255 * shown), 0, 255).astype(np.uint8)


def _glass(size: tuple[int, int], *, strength: float, rng: random.Random) -> Image:
    """A reflected window, twice the size of the screen so that it can wander: uint8 BGR, to be added."""
    width, height = size
    small = np.zeros((64, 64), dtype=np.float32)
    middle = (rng.uniform(20, 44), rng.uniform(20, 44))
    corners = cv2.boxPoints((middle, (rng.uniform(8, 16), rng.uniform(14, 26)), rng.uniform(-25, 25)))
    cv2.fillConvexPoly(small, np.rint(corners).astype(np.int32), 1.0)
    soft = cv2.GaussianBlur(small, (0, 0), rng.uniform(1.5, 4.0))
    large = cv2.resize(soft, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    tint = np.array([1.0, 0.98, 0.94], dtype=np.float32)
    return np.asarray(np.clip(255 * strength * large[..., None] * tint, 0, 255), dtype=np.uint8)


def _moire(amplitude: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Gain by phase, 128 for 1: (256, 1, 3) of columns, three colours side by side, and (256,) of rows."""
    phase = np.arange(256) * (2 * math.pi / 256)
    by_colour = np.cos(phase[:, None] + np.array([0.0, 2.0, 4.0]) * math.pi / 3)
    column = np.rint(128 * (1 + amplitude * by_colour)).astype(np.uint8)
    row = np.rint(128 * (1 + 0.6 * amplitude * np.cos(phase))).astype(np.uint8)
    return column[:, None], row
