"""Faces in a still picture: no track, no time, no limit on its size."""

from __future__ import annotations

import cv2
import numpy as np

from device.types import Box, Detection, Face, Image
from device.vision.align import Aligner
from device.vision.detector import FaceDetector
from device.vision.landmarks import FaceMesh, MeshFace, head_pose, locate_detected
from device.vision.quality import MEASURED_CHIP, Gates, QualityMeter
from device.vision.tracker import SAME_FACE_IOU, overlap

#: Larger pictures are reduced to this side for the detector, averaging: its plain sampling aliases above some 3:1.
DETECT_PX = 640
#: Black on each side for the second look, as a share of the longer side; recovers almost all tight crops.
PADDING = 0.5


def find_faces(
    image: Image, *, detector: FaceDetector, mesh: FaceMesh, min_presence: float, gates: Gates
) -> tuple[Face, ...]:
    """All faces of a photograph, largest first, numbered from 0 as ``track``; frame number and time are 0.

    A picture in which nothing is found is looked at once more with black around it. The mesh runs once on an upright
    face: a second run from its own landmarks did not bring photographs of one person closer together (0.230, 0.243,
    0.193 became 0.233, 0.255, 0.194, distances of each of three photographs to the mean of the other two).

    Args:
        image: uint8 BGR (height, width, 3).
        detector: Finds faces.
        mesh: Finds landmarks.
        min_presence: Mesh presence below which a detection is no face, 0..1.
        gates: What a usable face must be.

    Raises:
        ModelError: A model failed.
    """
    found: list[MeshFace] = []
    for padding in (0.0, PADDING):
        for detection in _detect(image, detector, padding=padding):
            face = locate_detected(mesh, image, detection)
            if face.presence >= min_presence and all(overlap(face.box, other.box) < SAME_FACE_IOU for other in found):
                found.append(face)
        if found:
            break
    found.sort(key=lambda face: -face.box.area)
    aligner, meter = Aligner(MEASURED_CHIP), QualityMeter()
    height, width = image.shape[:2]
    faces = []
    for number, face in enumerate(found):
        pose = head_pose(face.landmarks)
        chip = aligner.chip(image, face.landmarks)
        faces.append(
            Face(
                track=number,
                frame_number=0,
                captured_s=0.0,
                box=face.box,
                landmarks=face.landmarks,
                presence=face.presence,
                pose=pose,
                quality=meter.measure(chip, box=face.box, size=(height, width), pose=pose, gates=gates),
            )
        )
    return tuple(faces)


def _detect(image: Image, detector: FaceDetector, *, padding: float) -> tuple[Detection, ...]:
    height, width = image.shape[:2]
    if max(height, width) <= DETECT_PX:
        return detector.detect(image, padding=padding)
    share = DETECT_PX / max(height, width)
    small_width, small_height = max(round(width * share), 1), max(round(height * share), 1)
    small = cv2.resize(image, (small_width, small_height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    scale = np.array((width / small_width, height / small_height), np.float32)
    return tuple(_enlarged(detection, scale) for detection in detector.detect(small, padding=padding))


def _enlarged(detection: Detection, scale: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Detection:
    """Back to the large picture; centres of pixels: x = (x_small + 0.5) * scale - 0.5."""
    box, (x, y) = detection.box, scale.tolist()
    return Detection(
        box=Box((box.x + 0.5) * x - 0.5, (box.y + 0.5) * y - 0.5, box.width * x, box.height * y),
        score=detection.score,
        keypoints=(detection.keypoints + np.float32(0.5)) * scale - np.float32(0.5),
    )
