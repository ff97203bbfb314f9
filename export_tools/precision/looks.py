"""How each role of a pack sees a picture, through the device's own parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from device.config import VisionConfig
from device.interfaces import InferenceSession
from device.types import Face, Image, Points
from device.vision.detector import FaceDetector
from device.vision.embedder import FaceEmbedder
from device.vision.landmarks import FaceMesh
from device.vision.liveness.passive import PassiveScorer
from device.vision.photo import find_faces
from device.vision.quality import Gates
from device.vision.warp import Cutter, Similarity

IRIS_PX: Final = 64
"""Side of the iris model's input."""
IRIS_ROI_SCALE: Final = 2.3
"""Side of the square around an eye, in distances between its corners: MediaPipe's value."""
_EYES: Final = ((33, 133, True), (362, 263, False))
"""Corners of the person's right and left eye in the mesh, from the picture's left; the model knows left eyes, so the
right one is mirrored."""

FaceLook = Callable[[Image, tuple[Face, ...]], None]
"""Feeds one more role with a picture and the faces in it."""


def door_look(
    *, detector: FaceDetector, mesh: FaceMesh, embedder: FaceEmbedder, more: tuple[FaceLook, ...] = ()
) -> Callable[[Image], bool]:
    """How a door looks at a picture: detect, locate the landmarks, embed chip and mirrored chip.

    Args:
        detector: Finds faces.
        mesh: Finds their landmarks.
        embedder: Compares them.
        more: Further parts, each given the picture and the faces found in it.

    Returns:
        Looks at one picture, uint8 BGR; tells whether there was a face. Raises ModelError.
    """
    config = VisionConfig()
    gates = Gates.for_door(config)

    def look(picture: Image) -> bool:
        faces = find_faces(picture, detector=detector, mesh=mesh, min_presence=config.min_presence, gates=gates)
        for face in faces:
            embedder.embed(picture, face.landmarks)
        for part in more:
            part(picture, faces)
        return bool(faces)

    return look


def liveness_look(scorer: PassiveScorer) -> FaceLook:
    """Both passive liveness networks, on every face."""

    def look(picture: Image, faces: tuple[Face, ...]) -> None:
        for face in faces:
            scorer.score(picture, face.box)

    return look


def iris_look(session: InferenceSession) -> FaceLook:
    """Both eyes of every face: RGB 0..1, a square of 2.3 times the distance of the corners."""
    cutter = Cutter(IRIS_PX, border=cv2.BORDER_REPLICATE, smooth=True)

    def look(picture: Image, faces: tuple[Face, ...]) -> None:
        for face in faces:
            for left, right, mirrored in _EYES:
                planes = cutter.planes(cutter.cut(picture, _eye_square(face.landmarks, left, right)))
                turned = planes[:, :, ::-1] if mirrored else planes
                session.run(np.ascontiguousarray(turned[np.newaxis] * np.float32(1 / 255), np.float32))

    return look


def _eye_square(landmarks: Points, left: int, right: int) -> Similarity:
    (ax, ay), (bx, by) = landmarks[left, :2].tolist(), landmarks[right, :2].tolist()
    step = IRIS_ROI_SCALE * math.hypot(bx - ax, by - ay) / IRIS_PX
    angle = math.atan2(by - ay, bx - ax)
    cos, sin = step * math.cos(angle), step * math.sin(angle)
    half = IRIS_PX / 2
    return Similarity(a=cos, b=sin, x0=(ax + bx) / 2 - (cos - sin) * half, y0=(ay + by) / 2 - (sin + cos) * half)
