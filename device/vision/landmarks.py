"""468 landmarks of a face and the head's pose: FaceMesh (Kartynnik et al. 2019), 192 x 192."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.types import Box, Detection, Image, Points, Pose
from device.vision.warp import Cutter, Similarity

#: Side of the network's input in pixels.
INPUT_PX = 192
#: Number of landmarks.
LANDMARKS = 468
#: Side of the square that the network sees, in faces: MediaPipe's value for this model.
ROI_SCALE = 1.5

#: From this difference between the line of the eyes in the detector's and in the mesh's eyes on, the mesh looks again.
MAX_TURN_DEG = 10.0

#: Outer corners of the person's right and left eye, top of the forehead, tip of the chin.
RIGHT_EYE_OUTER, LEFT_EYE_OUTER, FOREHEAD, CHIN = 33, 263, 10, 152


@dataclass(frozen=True, slots=True)
class Roi:
    """A rotated square in the picture: centre and side in pixels, angle in radians, clockwise as seen."""

    x: float
    y: float
    side: float
    angle: float


@dataclass(frozen=True, slots=True, eq=False)
class MeshFace:
    """What the mesh model found in one region.

    Attributes:
        landmarks: (468, 3) float32; x, y in pixels of the picture, z in the same unit, smaller is nearer.
        box: Tight upright box of the landmarks in pixels.
        presence: The model's own probability that there is a face, 0..1.
    """

    landmarks: Points
    box: Box
    presence: float


def roi_of_detection(detection: Detection) -> Roi:
    """The region for a face just detected: 1.5 times its box, upright by the line between its eyes."""
    (right_x, right_y), (left_x, left_y) = detection.keypoints[:2].tolist()
    return _roi(detection.box, math.atan2(left_y - right_y, left_x - right_x))


def roi_of_landmarks(landmarks: Points, box: Box) -> Roi:
    """The region for a face seen in the frame before: 1.5 times its box, upright by its outer eye corners."""
    right_x, right_y, _ = landmarks[RIGHT_EYE_OUTER].tolist()
    left_x, left_y, _ = landmarks[LEFT_EYE_OUTER].tolist()
    return _roi(box, math.atan2(left_y - right_y, left_x - right_x))


def _roi(box: Box, angle: float) -> Roi:
    x, y = box.centre
    return Roi(x=x, y=y, side=ROI_SCALE * max(box.width, box.height), angle=angle)


class FaceMesh:
    """Finds the landmarks of one face in a region, and tells whether there is a face at all.

    Args:
        session: Input (1, 3, 192, 192) RGB 0..1; outputs points (1, 468, 3) in input pixels and the presence logit
            (1, 1).

    Raises:
        ModelError: The session is not such a model.
    """

    def __init__(self, session: InferenceSession) -> None:
        if session.input_shape != (1, 3, INPUT_PX, INPUT_PX):
            raise ModelError(f"model {session.model} is no FaceMesh: input {session.input_shape}")
        self._session = session
        self._cutter = Cutter(INPUT_PX, border=cv2.BORDER_REPLICATE, smooth=True)
        self._tensor = np.zeros(session.input_shape, np.float32)

    def locate(self, image: Image, roi: Roi) -> MeshFace:
        """Landmarks in pixels of the picture.

        Args:
            image: uint8 BGR (height, width, 3).
            roi: Where to look; may reach beyond the picture (its edge is continued).

        Raises:
            ModelError: The model failed, its outputs have another shape, or the region is not a place in a picture.
        """
        if not (math.isfinite(roi.x) and math.isfinite(roi.y) and math.isfinite(roi.angle) and 1 <= roi.side < 1e5):
            raise ModelError(f"no face can be looked for in the region {roi}")
        step = roi.side / INPUT_PX
        cos, sin = step * math.cos(roi.angle), step * math.sin(roi.angle)
        x0 = roi.x - (cos - sin) * INPUT_PX / 2
        y0 = roi.y - (sin + cos) * INPUT_PX / 2
        square = self._cutter.cut(image, Similarity(a=cos, b=sin, x0=x0, y0=y0))
        np.multiply(self._cutter.planes(square), np.float32(1 / 255), out=self._tensor[0])
        outputs = self._session.run(self._tensor)
        if tuple(output.shape for output in outputs) != ((1, LANDMARKS, 3), (1, 1)):
            raise ModelError(
                f"model {self._session.model} is no FaceMesh: outputs {[output.shape for output in outputs]}"
            )
        points, presence = outputs
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, step]], np.float32)
        landmarks = points[0] @ turn
        landmarks += np.array((x0, y0, 0), np.float32)
        return MeshFace(
            landmarks=landmarks, box=box_of(landmarks), presence=1 / (1 + math.exp(-_clip(float(presence[0, 0]))))
        )


def locate_detected(mesh: FaceMesh, image: Image, detection: Detection) -> MeshFace:
    """The landmarks of a face just detected, looked for again where the head leans otherwise than the detector says.

    YuNet's eyes tell half of a lean: at 30 degrees the landmarks are wrong by 12 % of the distance of the eyes, and by
    2 % after the second look (four press photographs, turned; BlazeFace 3 and 2 %). In an upright face there is none.

    Raises:
        ModelError: As of :meth:`FaceMesh.locate`.
    """
    region = roi_of_detection(detection)
    face = mesh.locate(image, region)
    again = roi_of_landmarks(face.landmarks, face.box)
    turn = math.remainder(again.angle - region.angle, math.tau)
    return face if abs(turn) <= math.radians(MAX_TURN_DEG) else mesh.locate(image, again)


def box_of(landmarks: Points) -> Box:
    """Tight upright box of the landmarks, pixels."""
    x, y = landmarks[:, 0], landmarks[:, 1]
    left, top = float(x.min()), float(y.min())
    return Box(left, top, float(x.max()) - left, float(y.max()) - top)


def head_pose(landmarks: Points) -> Pose:
    """Pose from the mesh's own axes, outer eye corner to outer eye corner and forehead to chin, all in 3-D.

    The two lines span the face; yaw and pitch are where its normal points, roll the rest (order yaw, pitch, roll).
    A six-point PnP is no alternative: tilted paper fools it (25 of 31 sheets).

    Pitch is not corrected: people who look straight ahead measure -4 to +8 degrees, depending on face and height
    of the camera, and there is no recording with known pitch to fit an offset to. Compare it with a person's own rest.

    Args:
        landmarks: (468, 3) float32 as of :class:`MeshFace`.
    """
    corners = landmarks[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER, FOREHEAD, CHIN]].tolist()
    (rx, ry, rz), (lx, ly, lz), (fx, fy, fz), (cx, cy, cz) = corners
    ax, ay, az = lx - rx, ly - ry, lz - rz
    dx, dy, dz = cx - fx, cy - fy, cz - fz
    # across x down points into the picture, away from the camera; the face looks the other way.
    nx, ny, nz = ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    across = math.sqrt(ax * ax + ay * ay + az * az)
    if not (length > 0 and across > 0):
        return Pose(yaw_deg=math.nan, pitch_deg=math.nan, roll_deg=math.nan)
    nx, ny, nz = nx / length, ny / length, nz / length
    yaw = math.atan2(-nx, nz)
    pitch = math.asin(max(-1.0, min(1.0, ny)))
    # The eye line in the plane of the face, against the horizontal direction of that plane.
    horizontal = (math.cos(yaw), 0.0, math.sin(yaw))
    vertical = (
        ny * horizontal[2] - nz * horizontal[1],
        nz * horizontal[0] - nx * horizontal[2],
        nx * horizontal[1] - ny * horizontal[0],
    )
    roll = math.atan2(ax * vertical[0] + ay * vertical[1] + az * vertical[2], ax * horizontal[0] + az * horizontal[2])
    return Pose(yaw_deg=math.degrees(yaw), pitch_deg=math.degrees(pitch), roll_deg=math.degrees(roll))


def _clip(logit: float) -> float:
    return max(-100.0, min(100.0, logit))
