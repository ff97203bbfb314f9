"""The aligned chip: the face turned, scaled and moved so that its points lie where an embedder expects them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from device.errors import ModelError
from device.types import Image, Points
from device.vision.manifest import Family
from device.vision.warp import Cutter, Similarity


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where which points of a face lie in a chip.

    Attributes:
        name: For messages and manifests.
        side_px: Side of the chip in pixels.
        points: Landmarks of the mesh whose mean is each point.
        template: Place of each point in the chip, (x, y) in pixels.
    """

    name: str
    side_px: int
    points: tuple[tuple[int, ...], ...]
    template: tuple[tuple[float, float], ...]


#: The chip of dlib's network: corners of both eyes and nose base, fitted on 336 faces to dlib's own five-point chips;
#: mouth corners or all 468 points make it worse. dlib lays the 150 pixels of a chip over 149 steps, and so does this
#: template: 1.4 px RMS from dlib's chips on photographs, 1.1 and 2.0 px on recordings of large and of small faces
#: (tests/scenarios/test_alignment.py).
DLIB_150 = Alignment(
    name="dlib-150",
    side_px=150,
    points=((33,), (133,), (362,), (263,), (2,)),
    template=((35.131, 46.559), (59.083, 48.202), (88.959, 48.202), (112.911, 46.559), (74.021, 83.547)),
)
#: The chip of networks trained with InsightFace's alignment (ArcFace, SFace): eye centres, nose tip and mouth corners,
#: left in the picture first. Template: ``arcface_dst`` of InsightFace's ``face_align.py``, which OpenCV's
#: ``FaceRecognizerSF`` shares. These landmarks give the chips nearest to those of a five-point detector (YuNet):
#: over 95 frontal faces the template's points lie 3.0 px RMS apart, most of it the scatter of that detector's points.
INSIGHTFACE_112 = Alignment(
    name="insightface-112",
    side_px=112,
    points=((33, 133), (362, 263), (4,), (61,), (291,)),
    template=((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)),
)


ALIGNMENTS: Final[Mapping[Family, Alignment]] = {"dlib-resnet": DLIB_150, "arcface": INSIGHTFACE_112}
"""The chip that each family of embedders was trained on."""


class Aligner:
    """Cuts chips of one alignment; keeps the buffers."""

    def __init__(self, alignment: Alignment) -> None:
        self.alignment = alignment
        self._cutter = Cutter(alignment.side_px, border=cv2.BORDER_CONSTANT, smooth=True)
        self._indices = np.array([index for group in alignment.points for index in group])
        count = len(alignment.template)
        self._centre_x = sum(x for x, _ in alignment.template) / count
        self._centre_y = sum(y for _, y in alignment.template) / count
        self._offsets = tuple((x - self._centre_x, y - self._centre_y) for x, y in alignment.template)
        self._spread = sum(x * x + y * y for x, y in self._offsets)

    def chip(self, image: Image, landmarks: Points, *, out: Image | None = None) -> Image:
        """The aligned face.

        Args:
            image: uint8 BGR (height, width, 3).
            landmarks: (468, 3) float32, pixels of the picture.
            out: uint8 (side, side, 3) to write into; a new array without it.

        Returns:
            uint8 BGR (side, side, 3); black where the picture ends.

        Raises:
            ModelError: The landmarks do not span a face.
        """
        square = self._cutter.cut(image, self.place(landmarks))
        if out is None:
            out = np.empty((self.alignment.side_px, self.alignment.side_px, 3), np.uint8)
        cv2.cvtColor(square, cv2.COLOR_BGRA2BGR, dst=out)
        return out

    def place(self, landmarks: Points) -> Similarity:
        """The similarity that maps the template onto the face, by least squares in closed form (no outliers, no draw).

        Args:
            landmarks: (468, 3) or (468, 2): pixels of the picture.

        Returns:
            Chip pixels to picture pixels. Fitting in this direction weighs errors in the picture; for a similarity of
            nearly fixed shape the difference to the other direction is below a tenth of a pixel.

        Raises:
            ModelError: The points coincide or are not finite: there is no such map.
        """
        # A handful of points: plain numbers are faster than arrays here.
        rows = iter(landmarks[self._indices, :2].tolist())
        a = b = sum_x = sum_y = 0.0
        for group, (u, v) in zip(self.alignment.points, self._offsets, strict=True):
            x, y = next(rows)
            for _ in group[1:]:
                other_x, other_y = next(rows)
                x += other_x
                y += other_y
            x /= len(group)
            y /= len(group)
            sum_x += x
            sum_y += y
            a += u * x + v * y
            b += u * y - v * x
        a /= self._spread
        b /= self._spread
        if not 1e-6 < a * a + b * b < 1e8:
            raise ModelError("the landmarks do not span a face")
        count = len(self._offsets)
        return Similarity(
            a=a,
            b=b,
            x0=sum_x / count - a * self._centre_x + b * self._centre_y,
            y0=sum_y / count - b * self._centre_x - a * self._centre_y,
        )


def align_chip(image: Image, landmarks: Points, *, alignment: Alignment, out: Image | None = None) -> Image:
    """One chip, without keeping buffers; see :meth:`Aligner.chip`."""
    return Aligner(alignment).chip(image, landmarks, out=out)
