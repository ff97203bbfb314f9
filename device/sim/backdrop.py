"""What the door camera sees when nobody is there: a made-up hallway, from gradients, edges and noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from device.types import Image


def hallway(width: int, height: int, *, seed: int) -> Image:
    """An empty corridor, uint8 BGR (height, width, 3); the seed decides its colours and grain."""
    rng = np.random.default_rng(seed)
    warm = rng.uniform(-8, 8)
    down = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    light = 178 - 46 * down - 34 * across**2
    canvas = np.stack([light * 0.93 - warm, light * 0.98, light + warm], axis=2)
    canvas += _grain(rng, width, height, cell=40, size=7.0) + _grain(rng, width, height, cell=4, size=2.5)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * width), round(y * height)

    def box(low: tuple[float, float], high: tuple[float, float], shade: tuple[int, int, int]) -> None:
        cv2.rectangle(canvas, at(*low), at(*high), shade, -1, cv2.LINE_AA)

    floor = np.array([at(-0.1, 1.01), at(0.3, 0.78), at(0.7, 0.78), at(1.1, 1.01)], dtype=np.int32)
    cv2.fillPoly(canvas, [floor], (92, 104, 112), cv2.LINE_AA)
    for corner, edge in ((0.3, -0.1), (0.7, 1.1)):
        cv2.line(canvas, at(corner, 0.78), at(edge, 1.01), (70, 76, 82), 5, cv2.LINE_AA)
        cv2.line(canvas, at(corner, 0.0), at(corner, 0.78), (138, 144, 148), 2, cv2.LINE_AA)
    box((0.3, 0.74), (0.7, 0.78), (82, 88, 94))
    box((0.39, 0.16), (0.61, 0.78), (104, 112, 118))
    box((0.405, 0.185), (0.595, 0.78), (96, 122, 144))
    box((0.43, 0.22), (0.57, 0.44), (88, 112, 133))
    box((0.43, 0.49), (0.57, 0.72), (88, 112, 133))
    box((0.415, 0.485), (0.428, 0.51), (150, 160, 164))
    box((0.07, 0.2), (0.2, 0.46), (62, 66, 70))
    box((0.085, 0.22), (0.185, 0.44), (150, 142, 120))
    box((0.85, 0.3), (0.9, 0.37), (206, 208, 206))
    soft = cv2.GaussianBlur(canvas, (0, 0), 1.6)
    lamp = 60 * np.exp(-((across * 2.2) ** 2) - (down * 5.0) ** 2)
    return np.asarray(np.clip(soft + lamp[..., None], 0, 255), dtype=np.uint8)


def sensor_noise(width: int, height: int, *, seed: int) -> NDArray[np.int16]:
    """Read-out noise, standard deviation 1.6 grey levels, with room to be shifted by up to 64 pixels."""
    rng = np.random.default_rng(seed)
    return np.rint(rng.normal(0.0, 1.6, (height + 64, width + 64, 3))).astype(np.int16)


def _grain(rng: np.random.Generator, width: int, height: int, *, cell: int, size: float) -> NDArray[np.float32]:
    coarse = rng.normal(0.0, size, (height // cell + 2, width // cell + 2, 1)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None], dtype=np.float32)
