"""The aligned chip: the face turned, scaled and moved so that eyes and nose lie where the embedder expects them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.types import Image, Points
from device.vision.warp import Cutter, Matrix

#: Side of the chip in pixels.
CHIP_PX = 150
#: Landmarks that fix the chip: corners of both eyes, nose base.
ALIGN_POINTS = np.array((33, 133, 362, 263, 2))
#: Where they lie in the chip; fitted on 336 faces to dlib's own five-point chips, 1.48 px RMS from them. Mouth corners
#: or all 468 points make it worse.
TEMPLATE = np.array(
    ((35.367, 46.871), (59.480, 48.525), (89.556, 48.525), (113.669, 46.871), (74.518, 84.108)), np.float64
)
_TEMPLATE_CENTRE = TEMPLATE.mean(0)
_TEMPLATE_OFFSETS = TEMPLATE - _TEMPLATE_CENTRE
_TEMPLATE_SPREAD = float((_TEMPLATE_OFFSETS**2).sum())


def chip_to_picture(points: NDArray[np.floating]) -> Matrix:
    """The similarity that maps the template onto five points, by least squares in closed form (no outliers, no draw).

    Args:
        points: (5, 2): pixels of the picture.

    Returns:
        (2, 3): chip pixels to picture pixels. Fitting in this direction weighs errors in the picture; for a
        similarity of nearly fixed shape the difference to the other direction is below a tenth of a pixel.

    Raises:
        ModelError: The points coincide or are not finite: there is no such map.
    """
    centre = points.mean(0, dtype=np.float64)
    offsets = points - centre
    (xx, xy), (yx, yy) = (_TEMPLATE_OFFSETS.T @ offsets).tolist()
    a = (xx + yy) / _TEMPLATE_SPREAD
    b = (xy - yx) / _TEMPLATE_SPREAD
    if not 1e-6 < a * a + b * b < 1e8:
        raise ModelError("the landmarks do not span a face")
    x, y = _TEMPLATE_CENTRE.tolist()
    cx, cy = centre.tolist()
    return np.array([[a, -b, cx - a * x + b * y], [b, a, cy - b * x - a * y]], np.float64)


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
