"""Cutting a rotated square out of a picture, and handing it to a network: the two steps every model begins with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.types import Image


def use_threads(count: int) -> None:
    """Let OpenCV use so many threads; a setting of the whole process.

    Its own choice is one per core, which costs more than it brings for pictures of 200 pixels.
    """
    cv2.setNumThreads(count)


@dataclass(frozen=True, slots=True)
class Similarity:
    """Turn, scale and shift from pixels of a cut square to pixels of the picture.

    ``x_picture = a * x - b * y + x0`` and ``y_picture = b * x + a * y + y0``: pixels per pixel is ``hypot(a, b)``.
    """

    a: float
    b: float
    x0: float
    y0: float


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
        self._matrix = np.zeros((2, 3), np.float64)

    def cut(self, image: Image, place: Similarity) -> Image:
        """The square as (side, side, 4) BGRA, overwritten by the next call; alpha means nothing."""
        height, width = image.shape[:2]
        x_span = self._side * place.a, -self._side * place.b
        y_span = self._side * place.b, self._side * place.a
        # Some pixels more for the bilinear neighbours. Kept inside the picture even when the square is not.
        left = min(max(int(place.x0 + min(x_span[0], 0) + min(x_span[1], 0)) - 1, 0), width - 1)
        top = min(max(int(place.y0 + min(y_span[0], 0) + min(y_span[1], 0)) - 1, 0), height - 1)
        right = max(min(int(place.x0 + max(x_span[0], 0) + max(x_span[1], 0)) + 3, width), left + 1)
        bottom = max(min(int(place.y0 + max(y_span[0], 0) + max(y_span[1], 0)) + 3, height), top + 1)
        near = image[top:bottom, left:right]
        matrix = self._matrix
        matrix[0] = place.a, -place.b, place.x0 - left
        matrix[1] = place.b, place.a, place.y0 - top
        factor = int(math.hypot(place.a, place.b))
        if self._smooth and factor > 1:
            near = _shrink(near, factor, matrix)
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


def _shrink(near: Image, factor: int, matrix: NDArray[np.float64]) -> Image:
    """Average blocks of factor x factor pixels; adapts the matrix in place."""
    width = max(near.shape[1] // factor, 1)
    height = max(near.shape[0] // factor, 1)
    small: Image = cv2.resize(near, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    # Centres of pixels: x_small = (x + 0.5) * width_small / width - 0.5.
    for row, share in ((0, width / near.shape[1]), (1, height / near.shape[0])):
        matrix[row] *= share
        matrix[row, 2] += 0.5 * share - 0.5
    return small
