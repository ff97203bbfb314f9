"""The quality gates: each with its own word, and nothing that is not a number passes one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import EnrolmentConfig, VisionConfig
from device.types import Box, Image, Points, Pose, Quality, QualityReason
from device.vision.quality import Gates, QualityMeter, assess

GATES = Gates.for_door(VisionConfig())
FRONTAL = Pose(0, 0, 0)
BOX = Box(100, 100, 100, 120)
SIZE = (480, 640)
CHIP: Image = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (150, 150, 3), np.uint8), (0, 0), 1).astype(
    np.uint8
)


def _judge(chip: Image = CHIP, *, box: Box = BOX, pose: Pose = FRONTAL) -> Quality:
    return QualityMeter().measure(chip, box=box, size=SIZE, pose=pose, gates=GATES)


def test_a_good_face_has_no_reason() -> None:
    """Sharp, evenly lit, frontal, large, whole."""
    assert _judge().usable


def _scaled(factor: float, offset: float = 0.0) -> Image:
    return np.clip(CHIP.astype(np.float64) * factor + offset, 0, 255).astype(np.uint8)


_BURNT = np.where(np.arange(150)[np.newaxis, :, np.newaxis] % 3 == 0, np.uint8(255), CHIP).astype(np.uint8)


@pytest.mark.parametrize(
    ("chip", "box", "pose", "reason"),
    [
        (CHIP, Box(100, 100, 39, 60), FRONTAL, QualityReason.TOO_SMALL),
        (CHIP, Box(-10, 100, 100, 120), FRONTAL, QualityReason.CUT_OFF),
        (CHIP, Box(550, 100, 100, 120), FRONTAL, QualityReason.CUT_OFF),
        (CHIP, Box(100, 380, 100, 120), FRONTAL, QualityReason.CUT_OFF),
        (_scaled(0.25), BOX, FRONTAL, QualityReason.TOO_DARK),
        (_scaled(1, 100), BOX, FRONTAL, QualityReason.TOO_BRIGHT),
        (_BURNT, BOX, FRONTAL, QualityReason.TOO_BRIGHT),
        (_scaled(0.1, 100), BOX, FRONTAL, QualityReason.LOW_CONTRAST),
        (cv2.GaussianBlur(CHIP, (0, 0), 6).astype(np.uint8), BOX, FRONTAL, QualityReason.BLURRED),
        (CHIP, BOX, Pose(-26, 0, 0), QualityReason.TURNED),
        (CHIP, BOX, Pose(0, 26, 0), QualityReason.TILTED),
        (CHIP, BOX, Pose(0, 0, -36), QualityReason.ROLLED),
    ],
)
def test_each_fault_has_its_own_word(chip: Image, box: Box, pose: Pose, reason: QualityReason) -> None:
    """The reason is named, whatever else is wrong."""
    assert reason in _judge(chip, box=box, pose=pose).reasons


@given(
    fields=st.lists(st.sampled_from(("yaw_deg", "pitch_deg", "roll_deg")), min_size=1, unique=True),
    value=st.sampled_from((math.nan, math.inf, -math.inf)),
)
def test_a_pose_that_is_no_number_never_passes(fields: list[str], value: float) -> None:
    """Comparisons deny by default."""
    quality = _judge(pose=dataclasses.replace(FRONTAL, **dict.fromkeys(fields, value)))
    assert len(quality.reasons) == len(fields)


@pytest.mark.parametrize("field", ["x", "y", "width", "height"])
def test_one_side_of_a_box_that_is_no_number_never_passes(field: str) -> None:
    """Whichever it is."""
    assert not _judge(box=dataclasses.replace(BOX, **{field: math.nan})).usable


def test_a_box_that_is_no_number_never_passes() -> None:
    """Neither large enough nor inside the picture."""
    assert set(_judge(box=Box(math.nan, math.nan, math.nan, math.nan)).reasons) == {
        QualityReason.TOO_SMALL,
        QualityReason.CUT_OFF,
    }


@given(st.floats(0.5, 8))
def test_more_blur_is_never_sharper(sigma: float) -> None:
    """Sharpness falls with blur."""
    blurred = cv2.GaussianBlur(CHIP, (0, 0), sigma).astype(np.uint8)
    assert _judge(blurred).sharpness < _judge().sharpness


def test_figures_are_those_of_plain_arithmetic() -> None:
    """Mean, deviation, variance of the Laplacian, share of burnt pixels of the middle of the chip."""
    quality = _judge(_scaled(1.6))
    grey = cv2.cvtColor(_scaled(1.6), cv2.COLOR_BGR2GRAY)[30:135, 30:120]
    assert quality.brightness == pytest.approx(grey.mean(), abs=1e-6)
    assert quality.contrast == pytest.approx(grey.std(), abs=1e-6)
    assert quality.clipped == pytest.approx((grey >= 250).mean())
    assert quality.sharpness == pytest.approx(cv2.Laplacian(grey, cv2.CV_64F).var(), rel=1e-6)


def test_enrolment_is_never_laxer_than_the_door() -> None:
    """Each limit is the stricter of both."""
    lax = EnrolmentConfig(min_face_px=10, min_sharpness=1, max_yaw_deg=80, max_pitch_deg=80)
    assert Gates.for_enrolment(VisionConfig(), lax) == GATES
    strict = Gates.for_enrolment(VisionConfig(), EnrolmentConfig())
    assert strict.min_face_px > GATES.min_face_px
    assert strict.min_sharpness > GATES.min_sharpness


def test_a_picture_is_judged_by_the_chip_of_its_face(make_points: Callable[..., Points]) -> None:
    """The one-call form finds the chip itself."""
    quality = assess(np.full((480, 640, 3), 128, np.uint8), make_points() + np.float32(100), FRONTAL, GATES)
    assert quality.face_px == pytest.approx(128, abs=0.01)
    assert set(quality.reasons) == {QualityReason.LOW_CONTRAST, QualityReason.BLURRED}
