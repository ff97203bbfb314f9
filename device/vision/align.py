"""The aligned chip: the face turned, scaled and moved so that eyes and nose lie where the embedder expects them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.types import Image, Points
from device.vision.warp import Cutter, Similarity

#: Side of the chip in pixels.
CHIP_PX = 150
#: Landmarks that fix the chip: corners of both eyes, nose base.
ALIGN_POINTS = np.array((33, 133, 362, 263, 2))
#: Where they lie in the chip; fitted on 336 faces to dlib's own five-point chips, 1.48 px RMS from them. Mouth corners
#: or all 468 points make it worse.
TEMPLATE = ((35.367, 46.871), (59.480, 48.525), (89.556, 48.525), (113.669, 46.871), (74.518, 84.108))
_CENTRE_X = sum(x for x, _ in TEMPLATE) / len(TEMPLATE)
_CENTRE_Y = sum(y for _, y in TEMPLATE) / len(TEMPLATE)
_OFFSETS = tuple((x - _CENTRE_X, y - _CENTRE_Y) for x, y in TEMPLATE)
_SPREAD = sum(x * x + y * y for x, y in _OFFSETS)


def chip_to_picture(points: NDArray[np.floating]) -> Similarity:
    """The similarity that maps the template onto five points, by least squares in closed form (no outliers, no draw).

    Args:
        points: (5, 2): pixels of the picture.

    Returns:
        Chip pixels to picture pixels. Fitting in this direction weighs errors in the picture; for a
        similarity of nearly fixed shape the difference to the other direction is below a tenth of a pixel.

    Raises:
        ModelError: The points coincide or are not finite: there is no such map.
    """
    pairs = points.tolist()  # five points: plain numbers are faster than arrays here
    a = b = sum_x = sum_y = 0.0
    for (x, y), (u, v) in zip(pairs, _OFFSETS, strict=True):
        sum_x += x
        sum_y += y
        a += u * x + v * y
        b += u * y - v * x
    a /= _SPREAD
    b /= _SPREAD
    if not 1e-6 < a * a + b * b < 1e8:
        raise ModelError("the landmarks do not span a face")
    return Similarity(
        a=a,
        b=b,
        x0=sum_x / len(pairs) - a * _CENTRE_X + b * _CENTRE_Y,
        y0=sum_y / len(pairs) - b * _CENTRE_X - a * _CENTRE_Y,
    )


class Aligner:
    """Cuts chips; keeps the buffers."""

    def __init__(self) -> None:
        self._cutter = Cutter(CHIP_PX, border=cv2.BORDER_CONSTANT, smooth=True)

    def chip(self, image: Image, landmarks: Points, *, out: Image | None = None) -> Image:
        """The aligned face.

        Args:
            image: uint8 BGR (height, width, 3).
            landmarks: (468, 3) float32, pixels of the picture.
            out: uint8 (150, 150, 3) to write into; a new array without it.

        Returns:
            uint8 BGR (150, 150, 3); black where the picture ends.

        Raises:
            ModelError: The landmarks do not span a face.
        """
        square = self._cutter.cut(image, chip_to_picture(landmarks[ALIGN_POINTS, :2]))
        if out is None:
            out = np.empty((CHIP_PX, CHIP_PX, 3), np.uint8)
        cv2.cvtColor(square, cv2.COLOR_BGRA2BGR, dst=out)
        return out


def align_chip(image: Image, landmarks: Points, *, out: Image | None = None) -> Image:
    """One chip, without keeping buffers; see :meth:`Aligner.chip`."""
    return Aligner().chip(image, landmarks, out=out)
