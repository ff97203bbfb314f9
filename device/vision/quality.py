"""Whether a face is good enough to be compared: size, sharpness, exposure, contrast, pose, cut off."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from device.config import EnrolmentConfig, VisionConfig
from device.types import Box, Image, Points, Pose, Quality, QualityReason
from device.vision.align import DLIB_150, Aligner
from device.vision.landmarks import box_of

#: The chip that is measured, whatever the embedder sees: the limits of sharpness hold for its 150 pixels.
MEASURED_CHIP = DLIB_150
#: Grey level from which a pixel counts as burnt out.
BURNT = 250
#: A face may reach beyond the picture by this share of its box's side.
MAX_OUTSIDE = 0.05
#: The part of the chip that is measured: from the brows to the chin, between the temples; no hair, no background.
_SIDE = MEASURED_CHIP.side_px
_ROWS = slice(30, 135)
_COLUMNS = slice(30, 120)


@dataclass(frozen=True, slots=True)
class Gates:
    """Limits of what may be compared; see :class:`device.config.VisionConfig` for each."""

    min_face_px: float
    min_sharpness: float
    min_brightness: float
    max_brightness: float
    max_clipped: float
    min_contrast: float
    max_yaw_deg: float
    max_pitch_deg: float
    max_roll_deg: float

    @classmethod
    def for_door(cls, vision: VisionConfig) -> Gates:
        """What a frame at the door must be."""
        return cls(
            min_face_px=vision.min_face_px,
            min_sharpness=vision.min_sharpness,
            min_brightness=vision.min_brightness,
            max_brightness=vision.max_brightness,
            max_clipped=vision.max_clipped,
            min_contrast=vision.min_contrast,
            max_yaw_deg=vision.max_yaw_deg,
            max_pitch_deg=vision.max_pitch_deg,
            max_roll_deg=vision.max_roll_deg,
        )

    @classmethod
    def for_enrolment(cls, vision: VisionConfig, enrolment: EnrolmentConfig) -> Gates:
        """What a photograph must be to enter the gallery: the stricter of both limits."""
        return cls(
            min_face_px=max(vision.min_face_px, enrolment.min_face_px),
            min_sharpness=max(vision.min_sharpness, enrolment.min_sharpness),
            min_brightness=vision.min_brightness,
            max_brightness=vision.max_brightness,
            max_clipped=vision.max_clipped,
            min_contrast=vision.min_contrast,
            max_yaw_deg=min(vision.max_yaw_deg, enrolment.max_yaw_deg),
            max_pitch_deg=min(vision.max_pitch_deg, enrolment.max_pitch_deg),
            max_roll_deg=vision.max_roll_deg,
        )


class QualityMeter:
    """Measures faces on their aligned chips; keeps the buffers."""

    def __init__(self) -> None:
        self._grey: Image = np.empty((_SIDE, _SIDE), np.uint8)
        self._laplacian = np.empty((_SIDE, _SIDE), np.int16)[_ROWS, _COLUMNS].copy()

    def measure(self, chip: Image, *, box: Box, size: tuple[int, int], pose: Pose, gates: Gates) -> Quality:
        """Judge one face; anything that is not a number fails its gate.

        Args:
            chip: The face aligned as ``MEASURED_CHIP``, uint8 BGR (150, 150, 3).
            box: Tight box of the landmarks in the picture.
            size: Height and width of the picture.
            pose: Of the head.
            gates: The limits.
        """
        cv2.cvtColor(chip, cv2.COLOR_BGR2GRAY, dst=self._grey)
        face = self._grey[_ROWS, _COLUMNS]
        mean, deviation = cv2.meanStdDev(face)
        brightness, contrast = float(mean[0, 0]), float(deviation[0, 0])
        cv2.Laplacian(face, cv2.CV_16S, dst=self._laplacian)
        sharpness = float(cv2.meanStdDev(self._laplacian)[1][0, 0]) ** 2
        clipped = float(np.count_nonzero(face >= BURNT)) / face.size
        height, width = size
        margin_x, margin_y = MAX_OUTSIDE * box.width, MAX_OUTSIDE * box.height
        inside = (
            box.x >= -margin_x
            and box.y >= -margin_y
            and box.x + box.width <= width + margin_x
            and box.y + box.height <= height + margin_y
        )
        # Each test says what is good, so that a value that is not a number is bad.
        passed = (
            (QualityReason.TOO_SMALL, box.width >= gates.min_face_px),
            (QualityReason.CUT_OFF, inside),
            (QualityReason.TOO_DARK, brightness >= gates.min_brightness),
            (QualityReason.TOO_BRIGHT, brightness <= gates.max_brightness and clipped <= gates.max_clipped),
            (QualityReason.LOW_CONTRAST, contrast >= gates.min_contrast),
            (QualityReason.BLURRED, sharpness >= gates.min_sharpness),
            (QualityReason.TURNED, abs(pose.yaw_deg) <= gates.max_yaw_deg),
            (QualityReason.TILTED, abs(pose.pitch_deg) <= gates.max_pitch_deg),
            (QualityReason.ROLLED, abs(pose.roll_deg) <= gates.max_roll_deg),
        )
        return Quality(
            face_px=box.width,
            sharpness=sharpness,
            brightness=brightness,
            contrast=contrast,
            clipped=clipped,
            reasons=tuple(reason for reason, good in passed if not good),
        )


def assess(image: Image, landmarks: Points, pose: Pose, gates: Gates) -> Quality:
    """Judge one face of a picture, without keeping buffers; see :meth:`QualityMeter.measure`.

    Raises:
        ModelError: The landmarks do not span a face.
    """
    height, width = image.shape[:2]
    chip = Aligner(MEASURED_CHIP).chip(image, landmarks)
    return QualityMeter().measure(chip, box=box_of(landmarks), size=(height, width), pose=pose, gates=gates)
