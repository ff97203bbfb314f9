"""Cutting a rotated square out of a picture, and handing it to a network: the two steps every model begins with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from device.types import Image

Matrix = NDArray[np.float64]
"""(2, 3): maps pixels of the cut square (x, y, 1) to pixels of the picture."""


class Cutter:
    """Cuts squares of ``side`` pixels, bilinear, into its own buffer.

    OpenCV's warp of three channels takes 2.6 times as long as that of four (194 against 75 us for 192 x 192, identical
    pixels, measured on x86-64): the neighbourhood of the square is widened to BGRA first (9 us).

    Args:
        side: Pixels.
        border: What lies outside the picture: ``cv2.BORDER_CONSTANT`` (black) or ``cv2.BORDER_REPLICATE``.
        smooth: Average over an integer number of pixels before a reduction by two or more, so that fine structure
            does not alias. Off where a network was trained on plainly sampled pictures.
    """

    def __init__(self, side: int, *, border: int, smooth: bool) -> None:
        self._side = side
        self._border = border
        self._smooth = smooth
        self._square: Image = np.empty((side, side, 4), np.uint8)
        self._planes: Image = np.empty((4, side, side), np.uint8)
        # Red first: networks take RGB, pictures are BGR. The fourth plane is the widened channel, never read.
        self._targets = [self._planes[2], self._planes[1], self._planes[0], self._planes[3]]
        corners = np.array([(0, 0, 1), (side, 0, 1), (0, side, 1), (side, side, 1)], np.float64)
        self._corners = np.ascontiguousarray(corners.T)

    def cut(self, image: Image, inverse: Matrix) -> Image:
        """The square as (side, side, 4) BGRA, overwritten by the next call; alpha means nothing."""
        height, width = image.shape[:2]
        reach = inverse @ self._corners
        low_x, low_y = reach.min(1).tolist()
        high_x, high_y = reach.max(1).tolist()
        # One pixel more on each side for the bilinear neighbours. Kept inside the picture even when the square is not.
        left = min(max(int(low_x) - 1, 0), width - 1)
        top = min(max(int(low_y) - 1, 0), height - 1)
        right = max(min(int(high_x) + 3, width), left + 1)
        bottom = max(min(int(high_y) + 3, height), top + 1)
        near = image[top:bottom, left:right]
        matrix = inverse.copy()
        matrix[0, 2] -= left
        matrix[1, 2] -= top
        if self._smooth:
            near = _shrink(near, matrix)
        cv2.warpAffine(
            cv2.cvtColor(near, cv2.COLOR_BGR2BGRA),
            matrix,
            (self._side, self._side),
            dst=self._square,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=self._border,
        )
        return self._square

    def planes(self, square: Image) -> Image:
        """A square of three or four channels as (3, side, side) RGB planes, overwritten by the next call."""
        cv2.split(square, self._targets[: square.shape[2]])
        return self._planes[:3]


def _shrink(near: Image, matrix: Matrix) -> Image:
    """Average blocks of pixels where the warp would skip over them; adapts the matrix in place."""
    factor = int(np.hypot(matrix[0, 0], matrix[1, 0]))
    if factor < 2:
        return near
    width = max(near.shape[1] // factor, 1)
    height = max(near.shape[0] // factor, 1)
    small: Image = cv2.resize(near, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    # Centres of pixels: x_small = (x + 0.5) * width / width_near - 0.5.
    for row, share in ((0, width / near.shape[1]), (1, height / near.shape[0])):
        matrix[row] *= share
        matrix[row, 2] += 0.5 * share - 0.5
    return small
