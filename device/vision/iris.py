"""How far both eyes of a face are open: MediaPipe's iris model (Ablavatski et al. 2020), 64 x 64 per eye.

Only the contour of the lids is read. The lids of the 468-point mesh cost nothing and do not serve: see
:mod:`device.vision.liveness.blink`.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.types import Image, Points
from device.vision.landmarks import LANDMARKS
from device.vision.warp import Cutter, Similarity

#: Side of the network's input in pixels.
INPUT_PX: Final = 64
#: Side of the square around an eye in distances between its corners: MediaPipe's value for this model.
ROI_SCALE: Final = 2.3
#: Corners of the person's right and left eye in the mesh, from the picture's left. The network knows left eyes: the
#: right one is shown mirrored.
_EYES: Final = ((33, 133, True), (362, 263, False))
#: Points of the network's first output: brow, lids and lashes of one eye, the lids first.
_CONTOUR: Final = 71
_IRIS: Final = 5
#: The lower lid from corner to corner, and the upper one between the same corners.
_FIRST_CORNER, _LAST_CORNER = 0, 8
_LOWER, _UPPER = slice(1, 8), slice(9, 16)


class EyeReader:
    """Measures the opening of both eyes of one face per call; keeps its buffers. Used by one thread.

    Args:
        session: Input (1 or -1, 3, 64, 64) RGB 0..1; outputs the contour (1, 71, 3) and the iris (1, 5, 3), both in
            pixels of the input.

    Raises:
        ModelError: The session is not such a model.
    """

    def __init__(self, session: InferenceSession) -> None:
        if session.input_shape not in ((1, 3, INPUT_PX, INPUT_PX), (-1, 3, INPUT_PX, INPUT_PX)):
            raise ModelError(f"model {session.model} is no iris model: input {session.input_shape}")
        self._session = session
        self._cutter = Cutter(INPUT_PX, border=cv2.BORDER_REPLICATE, smooth=True)
        self._tensor = np.zeros((1, 3, INPUT_PX, INPUT_PX), np.float32)

    def openness(self, image: Image, landmarks: Points) -> float:
        """Mean opening of both eyes: distance between the lids over the distance between the corners.

        0.2 to 0.3 in open eyes; what that is in one person's face only a comparison over time can tell.

        Args:
            image: uint8 BGR (height, width, 3).
            landmarks: (468, 3) float32 of :class:`device.types.Face`, x and y in pixels of the picture.

        Raises:
            ModelError: The model failed, its outputs have another shape or are no points, or the landmarks are not
                those of a face.
        """
        if landmarks.shape != (LANDMARKS, 3):
            raise ModelError(f"landmarks of shape {landmarks.shape} have no eyes that can be measured")
        return sum(self._opening(image, landmarks, *eye) for eye in _EYES) / len(_EYES)

    def _opening(self, image: Image, landmarks: Points, left: int, right: int, mirrored: bool) -> float:  # noqa: FBT001
        planes = self._cutter.planes(self._cutter.cut(image, eye_square(landmarks, left, right)))
        np.multiply(planes[:, :, ::-1] if mirrored else planes, np.float32(1 / 255), out=self._tensor[0])
        outputs = self._session.run(self._tensor)
        if tuple(output.shape for output in outputs) != ((1, _CONTOUR, 3), (1, _IRIS, 3)):
            raise ModelError(
                f"model {self._session.model} is no iris model: outputs {[output.shape for output in outputs]}"
            )
        contour = outputs[0][0, :, :2]
        across = math.dist(contour[_FIRST_CORNER].tolist(), contour[_LAST_CORNER].tolist())
        apart = contour[_UPPER] - contour[_LOWER]
        opening = float(np.sqrt((apart * apart).sum(axis=1)).mean())
        if not (math.isfinite(opening) and math.isfinite(across) and across > 0):
            raise ModelError(f"the output of model {self._session.model} is no eye")
        return opening / across


def eye_square(landmarks: Points, left: int, right: int) -> Similarity:
    """The square that the network sees of one eye, level with the line between its corners.

    Args:
        landmarks: (468, 3) float32, pixels of the picture.
        left: Landmark of the corner that lies on the picture's left.
        right: Landmark of the other corner.

    Raises:
        ModelError: The corners are not two places in a picture.
    """
    (ax, ay), (bx, by) = landmarks[left, :2].tolist(), landmarks[right, :2].tolist()
    step = ROI_SCALE * math.hypot(bx - ax, by - ay) / INPUT_PX
    x, y = (ax + bx) / 2, (ay + by) / 2
    if not (0 < step < 1e3 and abs(x) < 1e5 and abs(y) < 1e5):
        raise ModelError(f"no eye can be looked for between ({ax:.0f}, {ay:.0f}) and ({bx:.0f}, {by:.0f})")
    angle = math.atan2(by - ay, bx - ax)
    cos, sin = step * math.cos(angle), step * math.sin(angle)
    half = INPUT_PX / 2
    return Similarity(a=cos, b=sin, x0=x - (cos - sin) * half, y0=y - (sin + cos) * half)
