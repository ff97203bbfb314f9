"""FaceMesh: regions, the way back to the picture, and the pose."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ModelError
from device.types import Box, Detection, Points
from device.vision.landmarks import (
    MAX_TURN_DEG,
    FaceMesh,
    Roi,
    box_of,
    head_pose,
    locate_detected,
    roi_of_detection,
    roi_of_landmarks,
)


@pytest.mark.parametrize("yaw", [-40.0, 0.0, 25.0])
@pytest.mark.parametrize("pitch", [-30.0, 0.0, 20.0])
@pytest.mark.parametrize("roll", [-50.0, 0.0, 35.0])
def test_a_turned_face_has_the_pose_it_was_turned_to(
    make_points: Callable[..., Points], yaw: float, pitch: float, roll: float
) -> None:
    """Yaw to the right side of the picture, pitch up, roll clockwise are positive, and do not mix."""
    pose = head_pose(make_points(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll))
    assert (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) == pytest.approx((yaw, pitch, roll), abs=0.05)


def test_a_face_without_extent_has_no_pose() -> None:
    """Not a number, so that every gate denies."""
    pose = head_pose(np.zeros((468, 3), np.float32))
    assert math.isnan(pose.yaw_deg)
    assert math.isnan(pose.pitch_deg)


@given(x=st.floats(-50, 700), y=st.floats(-50, 500), side=st.floats(20, 600), angle=st.floats(-math.pi, math.pi))
def test_landmarks_come_back_into_the_picture(x: float, y: float, side: float, angle: float) -> None:
    """The middle of the region is its centre, a step in it is turned and scaled, depth is scaled alike."""
    from collections.abc import Callable as _Callable

    points = np.zeros((1, 468, 3), np.float32)
    points[0, 0] = 96, 96, 0
    points[0, 1] = 96 + 48, 96, 24

    class Session:
        model = "scripted"
        input_shape = (1, 3, 192, 192)
        run: _Callable[..., Any] = staticmethod(lambda _: (points, np.zeros((1, 1), np.float32)))

    face = FaceMesh(Session()).locate(np.zeros((480, 640, 3), np.uint8), Roi(x, y, side, angle))  # type: ignore[arg-type]
    assert face.presence == pytest.approx(0.5)
    np.testing.assert_allclose(face.landmarks[0], (x, y, 0), atol=1e-2)
    expected = (x + math.cos(angle) * side / 4, y + math.sin(angle) * side / 4, side / 8)
    np.testing.assert_allclose(face.landmarks[1], expected, atol=1e-2)


def test_the_network_sees_what_lies_in_the_region(scripted: Any, make_points: Callable[..., Points]) -> None:
    """RGB between 0 and 1, the region's left edge on the left, the picture's edge continued beyond it."""
    session = scripted((1, 3, 192, 192), lambda _: (make_points()[np.newaxis], np.zeros((1, 1), np.float32)))
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, :320] = (255, 0, 51)
    FaceMesh(session).locate(image, Roi(320, 0, 192, 0.0))
    np.testing.assert_allclose(session.seen[0, :, 150, 20], (0.2, 0, 1), atol=1e-6)
    np.testing.assert_allclose(session.seen[0, :, 5, 20], (0.2, 0, 1), atol=1e-6)
    assert session.seen[0, :, :, 120:].max() == 0


def test_the_next_region_is_the_one_that_found_the_face(make_points: Callable[..., Points]) -> None:
    """A face that fills two thirds of its region is looked for in the same region again, turned as its eyes are."""
    for roll in (0.0, 20.0):
        points = make_points(roll_deg=roll)
        roi = roi_of_landmarks(points, box_of(points))
        assert roi.angle == pytest.approx(math.radians(roll), abs=1e-5)
        if roll == 0:
            assert (roi.x, roi.y, roi.side) == pytest.approx((96, 96, 192), abs=1e-3)


def test_a_detected_face_is_turned_by_its_eyes() -> None:
    """The first two key points are the person's right and left eye."""
    keypoints = np.array([(10, 30), (50, 70), (0, 0), (0, 0), (0, 0), (0, 0)], np.float32)
    roi = roi_of_detection(Detection(box=Box(0, 20, 60, 80), score=1, keypoints=keypoints))
    assert (roi.x, roi.y, roi.side, roi.angle) == pytest.approx((30, 60, 120, math.pi / 4))


@pytest.mark.parametrize(("lean_deg", "looks"), [(0.0, 1), (-8.0, 1), (25.0, 2), (-25.0, 2)])
def test_a_face_that_leans_otherwise_than_detected_is_looked_for_again(
    scripted: Any, make_points: Callable[..., Points], lean_deg: float, looks: int
) -> None:
    """The second look is turned by what the first one found; an upright face costs one."""
    answers = iter([make_points(roll_deg=lean_deg), make_points()])
    session = scripted((1, 3, 192, 192), lambda _: (next(answers)[np.newaxis], np.full((1, 1), 9, np.float32)))
    keypoints = np.array([(30, 50), (70, 50), (50, 70)], np.float32)
    detection = Detection(box=Box(20, 20, 60, 80), score=1, keypoints=keypoints)
    face = locate_detected(FaceMesh(session), np.zeros((120, 100, 3), np.uint8), detection)
    assert session.calls == looks
    found = head_pose(face.landmarks).roll_deg
    assert found == pytest.approx(lean_deg, abs=0.01), "turned once, seen upright in the second region"
    assert (abs(lean_deg) > MAX_TURN_DEG) == (looks == 2)


@pytest.mark.parametrize(
    "bad", [Roi(math.nan, 0, 10, 0), Roi(0, 0, 0, 0), Roi(0, 0, math.inf, 0), Roi(0, 0, 9, math.nan)]
)
def test_a_region_that_is_no_place_is_an_error(scripted: Any, bad: Roi) -> None:
    """Nothing is cut out of nowhere."""
    mesh = FaceMesh(scripted((1, 3, 192, 192), lambda _: ()))
    with pytest.raises(ModelError):
        mesh.locate(np.zeros((50, 50, 3), np.uint8), bad)


def test_a_foreign_model_is_refused(scripted: Any) -> None:
    """By its input at once, by its outputs when it runs."""
    with pytest.raises(ModelError):
        FaceMesh(scripted((1, 3, 256, 256), tuple))
    with pytest.raises(ModelError):
        FaceMesh(scripted((1, 3, 192, 192), lambda _: (np.zeros((1, 478, 3), np.float32),))).locate(
            np.zeros((50, 50, 3), np.uint8), Roi(20, 20, 30, 0)
        )


def test_noise_has_no_face_in_it(models: Any) -> None:
    """The mesh's own presence tells a face from what is none."""
    rng = np.random.default_rng(9)
    for image in (rng.integers(0, 256, (480, 640, 3), np.uint8), np.full((480, 640, 3), 90, np.uint8)):
        assert models.mesh.locate(image, Roi(300, 200, 180, 0.1)).presence < 0.5
