"""What lens, sensor and encoder make of a scene: exposure, blur, noise, JPEG; grey by night, burnt against the light.

Applied in this order: burnt background and exposure with its tone curve, lens (defocus, motion), noise, encoder.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import ConfigError
from device.types import Image

#: Room by which the noise is shifted from frame to frame, pixels.
_ROOM_PX = 64
#: From this grey level on, a scene against the light is white at any exposure; below the next one it is not.
_BURNT, _UNBURNT = 255, 249


@dataclass(frozen=True, slots=True)
class Optics:
    """A camera's faults. Without arguments it has none. Behind each field the range that makes sense.

    Attributes:
        gain: Factor on the light, clipped at white; 0.35..1.8.
        gamma: Exponent on the brightness 0..1 after the gain: above 1 darker, below 1 lighter; 0.6..1.7.
        defocus_px: Standard deviation of the blur, pixels; 0..2.5.
        motion_px: Length of a straight motion blur of the whole picture, pixels; 0..9.
        motion_deg: Its direction, degrees clockwise from the right; 0..180.
        noise: Standard deviation of the read-out noise, grey levels; 0..8.
        shot_noise: Standard deviation that light itself adds at white (less by the root of the brightness below), grey
            levels; 0..10.
        jpeg_quality: Of the encoder, 30..95; 0 for no encoder.
        grey: Whether the picture has no colours (infrared light by night).
        backlight: Whether the background is burnt to white, whatever the gain: the exposure is the face's.
        veil: Share of white that stray light lays over everything; 0..0.3, with backlight.

    Raises:
        ConfigError: A value is not finite or lies beyond what a camera can do.
    """

    gain: float = 1.0
    gamma: float = 1.0
    defocus_px: float = 0.0
    motion_px: float = 0.0
    motion_deg: float = 0.0
    noise: float = 0.0
    shot_noise: float = 0.0
    jpeg_quality: int = 0
    grey: bool = False
    backlight: bool = False
    veil: float = 0.0

    def __post_init__(self) -> None:
        limits = {"gain": (1e-3, 100.0), "gamma": (0.05, 20.0), "motion_deg": (-360.0, 360.0), "veil": (0.0, 1.0)}
        limits |= {"defocus_px": (0.0, 50.0), "motion_px": (0.0, 100.0), "noise": (0.0, 100.0)}
        limits |= {"shot_noise": (0.0, 100.0), "jpeg_quality": (0.0, 100.0)}
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = limits.get(field.name, (0.0, 1.0))
            if not (math.isfinite(value) and low <= value <= high):
                raise ConfigError(
                    f"{field.name} {value} is beyond what a camera can do", hint=f"choose it in {low:g}..{high:g}"
                )


class OpticsRenderer:
    """Exposes one camera's frames, in order; the seed decides the noise.

    Args:
        optics: The camera's faults.
        width: Of its pictures, pixels.
        height: Of its pictures, pixels.
        seed: Decides the noise.
    """

    def __init__(self, optics: Optics, *, width: int, height: int, seed: int) -> None:
        self._optics = optics
        self._size = (width, height)
        self._rng = random.Random(seed)  # noqa: S311  # a scene that can be repeated
        self._tone = _tone(optics)
        self._kernel = _motion_kernel(optics.motion_px, optics.motion_deg)
        self._noise: NDArray[np.int16] | NDArray[np.float32] | None = None
        self._sigma: NDArray[np.float32] | None = None
        shape = (height + _ROOM_PX, width + _ROOM_PX, *(() if optics.grey else (3,)))
        normal = np.random.default_rng(seed)
        if optics.shot_noise > 0.0:
            self._noise = normal.standard_normal(shape, dtype=np.float32)
            variance = optics.noise**2 + optics.shot_noise**2 * np.arange(256) / 255
            self._sigma = np.sqrt(variance).astype(np.float32)
        elif optics.noise > 0.0:
            self._noise = np.rint(normal.normal(0.0, optics.noise, shape)).astype(np.int16)

    def background(self, empty: Image) -> Image:
        """The scene without anybody as the light makes it, uint8 BGR; a new picture where it changes anything."""
        return np.full_like(empty, _BURNT) if self._optics.backlight else empty

    def expose(self, canvas: Image) -> Image:
        """What the camera delivers for ``canvas``, uint8 BGR; the canvas itself where nothing changes it."""
        optics = self._optics
        image = canvas if self._tone is None else np.asarray(cv2.LUT(canvas, self._tone), dtype=np.uint8)
        if optics.grey:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        if optics.defocus_px > 0.0:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), optics.defocus_px), dtype=np.uint8)
        if self._kernel is not None:
            image = np.asarray(cv2.filter2D(image, -1, self._kernel, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)
        image = self._noisy(image)
        if optics.jpeg_quality > 0:
            image = _compressed(image, optics.jpeg_quality)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), dtype=np.uint8) if optics.grey else image

    def _noisy(self, image: Image) -> Image:
        if self._noise is None:
            return image
        width, height = self._size
        x, y = self._rng.randrange(_ROOM_PX), self._rng.randrange(_ROOM_PX)
        noise: NDArray[Any] = self._noise[y : y + height, x : x + width]
        if self._sigma is not None:
            noise = np.asarray(cv2.multiply(noise, np.asarray(cv2.LUT(image, self._sigma), dtype=np.float32)))
        return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), dtype=np.uint8)


def _tone(optics: Optics) -> NDArray[np.uint8] | None:
    """Level to level, (256,) uint8; None where each stays as it is."""
    light = np.arange(256) / 255
    level = np.minimum(1.0, light * optics.gain) ** optics.gamma
    level = level + optics.veil * (1.0 - level)
    if optics.backlight:
        burnt = np.clip((light * 255 - _UNBURNT) / (_BURNT - _UNBURNT), 0.0, 1.0)
        level = level + burnt * (1.0 - level)
    table = np.rint(level * 255).astype(np.uint8)
    return None if np.array_equal(table, np.arange(256)) else table


def _motion_kernel(length_px: float, angle_deg: float) -> NDArray[np.float32] | None:
    """A line of this length, sum 1; None without one."""
    if not length_px > 0.0:
        return None
    side = 2 * math.ceil(length_px / 2) + 1
    kernel = np.zeros((side, side), dtype=np.float64)
    steps = max(2, math.ceil(8 * length_px))
    for share in np.linspace(-0.5, 0.5, steps).tolist():
        x = share * length_px * math.cos(math.radians(angle_deg)) + side // 2
        y = share * length_px * math.sin(math.radians(angle_deg)) + side // 2
        column, row = min(side - 2, max(0, math.floor(x))), min(side - 2, max(0, math.floor(y)))
        dx, dy = x - column, y - row
        kernel[row : row + 2, column : column + 2] += np.outer((1 - dy, dy), (1 - dx, dx))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _compressed(image: Image, quality: int) -> Image:
    coded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), dtype=np.uint8)
