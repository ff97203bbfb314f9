"""Pictures for recordings: drawings and noise, never pictures of people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export_tools.golden import drawing

Picture = NDArray[np.uint8]


def patches(size: int, *, seed: int) -> Picture:
    """Noise in blocks, RGB [size, size, 3]."""
    cells = 8 if size == 64 else 10
    noise = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), np.uint8)
    times = -(-size // cells)
    return noise.repeat(times, axis=0).repeat(times, axis=1)[:size, :size]


def pictures(size: int) -> Picture:
    """The inputs of one model, RGB [3, size, size, 3]."""
    faces = [drawing(size, size, shift=shift, tilt=tilt) for shift, tilt in ((0.0, 0.0), (0.06, 0.3))]
    return np.stack([*faces, patches(size, seed=size)])
