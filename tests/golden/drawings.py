"""Pictures for recordings: drawings and noise, never pictures of people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def drawing(size: int, *, shift: float, tilt: float) -> Picture:
    """A cartoon face on a gradient, RGB [size, size, 3]: smooth areas and edges, as the networks expect them."""
    rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
    x = columns * np.cos(tilt) + rows * np.sin(tilt) - shift
    y = rows * np.cos(tilt) - columns * np.sin(tilt)
    picture = np.stack([90 + 80 * columns, 110 + 60 * rows, 140 - 50 * columns], axis=-1)

    def paint(cx: float, cy: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        picture[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = colour

    paint(0, -0.05, 0.30, 0.38, (70, 45, 30))
    paint(0, 0, 0.26, 0.34, (224, 180, 150))
    for side in (-1, 1):
        paint(0.11 * side, -0.07, 0.055, 0.028, (245, 245, 245))
        paint(0.11 * side, -0.07, 0.024, 0.026, (60, 40, 30))
        paint(0.11 * side, -0.14, 0.065, 0.012, (70, 45, 30))
    paint(0, 0.05, 0.035, 0.06, (205, 155, 130))
    paint(0, 0.18, 0.09, 0.028, (170, 70, 70))
    clipped: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    return clipped


def patches(size: int, *, seed: int) -> Picture:
    """Noise in blocks, RGB [size, size, 3]."""
    cells = 8 if size == 64 else 10
    noise = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), np.uint8)
    times = -(-size // cells)
    return noise.repeat(times, axis=0).repeat(times, axis=1)[:size, :size]


def pictures(size: int) -> Picture:
    """The inputs of one model, RGB [3, size, size, 3]."""
    return np.stack([drawing(size, shift=0.0, tilt=0.0), drawing(size, shift=0.06, tilt=0.3), patches(size, seed=size)])
