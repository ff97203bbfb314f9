"""Drift: what a precision costs, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ModelError
from device.types import Box, Detection
from export_tools.precision.drift import (
    compare_detections,
    compare_embeddings,
    compare_liveness,
    compare_outputs,
    compare_points,
)


def _face(x: float, *, side: float = 10, score: float = 0.9) -> Detection:
    return Detection(box=Box(x, 0, side, side), score=score, keypoints=np.zeros((5, 2), np.float32))


def test_outputs_are_compared_by_greatest_and_mean_difference() -> None:
    """Span and share are FP32's."""
    wanted, given = np.array([[0, 10]], np.float32), np.array([[1, 13]], np.float32)
    (drift,) = compare_outputs([wanted], [given])
    assert (drift.max_abs, drift.mean_abs, drift.span, drift.share) == (3, 2, 10, 0.3)


def test_a_constant_output_that_moved_has_no_finite_share() -> None:
    """Nothing excuses it."""
    (moved,) = compare_outputs([np.ones((2, 2), np.float32)], [np.zeros((2, 2), np.float32)])
    (still,) = compare_outputs([np.ones((2, 2), np.float32)], [np.ones((2, 2), np.float32)])
    assert moved.share == math.inf
    assert still.share == 0


def test_embeddings_are_compared_by_direction() -> None:
    """Length means nothing; one row at a right angle pulls the least to 0."""
    drift = compare_embeddings(np.array([[1, 0], [0, 2]], np.float32), np.array([[9, 0], [3, 0]], np.float32))
    assert (drift.embeddings, drift.cosine_mean, drift.cosine_min) == (2, 0.5, 0)


def test_an_embedding_without_direction_is_an_error() -> None:
    """It has no cosine with anything."""
    with pytest.raises(ModelError, match="no direction"):
        compare_embeddings(np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32))


def test_lost_and_invented_faces_are_counted() -> None:
    """Two faces before; after, one has moved by a tenth, one is gone, one is new."""
    drift = compare_detections([[_face(0), _face(50)]], [[_face(1, score=0.7), _face(90)]])
    assert (drift.reference, drift.lost, drift.invented) == (2, 1, 1)
    assert drift.iou_mean == drift.iou_min == pytest.approx(90 / 110)
    assert drift.score_max == pytest.approx(0.2)


def test_one_answer_is_the_partner_of_one_face_only() -> None:
    """Two faces side by side, one answer between them."""
    drift = compare_detections([[_face(0), _face(2)]], [[_face(1)]])
    assert (drift.lost, drift.invented) == (1, 0)


def test_without_a_pair_there_is_no_overlap() -> None:
    """Not 0, which would be one, and not 1."""
    drift = compare_detections([[_face(0)]], [[]])
    assert drift.lost == 1
    assert math.isnan(drift.iou_mean)
    assert math.isnan(drift.iou_min)


@given(st.lists(st.floats(0, 500), max_size=6))
def test_detections_agree_with_themselves(places: list[float]) -> None:
    """Nothing lost, nothing invented, overlap 1."""
    faces = [_face(place) for place in places]
    drift = compare_detections([faces], [faces])
    assert (drift.lost, drift.invented, drift.score_max) == (0, 0, 0)
    assert not places or drift.iou_min == pytest.approx(1)


def test_points_are_measured_in_distances_between_the_eyes() -> None:
    """Eyes 100 px apart, every point moved by 3 and 4 px: 5 %; depth does not count."""
    wanted = np.zeros((1, 468, 3), np.float32)
    wanted[0, 263, 0] = 100
    drift = compare_points(wanted, wanted + np.array((3, 4, 50), np.float32))
    assert drift.faces == 1
    assert drift.mean_percent == pytest.approx(5)
    assert drift.max_percent == pytest.approx(5)


def test_decisions_turned_are_counted_at_the_threshold() -> None:
    """On the threshold is live."""
    wanted, given = np.array([0.5, 0.9, 0.1], np.float32), np.array([0.49, 0.6, 0.2], np.float32)
    drift = compare_liveness(wanted, given, threshold=0.5)
    assert (drift.faces, drift.flipped) == (3, 1)
    assert drift.max_change == pytest.approx(0.3)


def test_what_does_not_belong_together_is_not_compared() -> None:
    """Other shapes, other pictures, nothing at all."""
    one, two = np.zeros((1, 3), np.float32), np.zeros((2, 3), np.float32)
    for attempt in (
        lambda: compare_outputs([one], [two]),
        lambda: compare_outputs([one], [one, one]),
        lambda: compare_embeddings(one, two),
        lambda: compare_detections([[]], []),
        lambda: compare_points(one, one),
        lambda: compare_liveness(one, one, threshold=0.5),
    ):
        with pytest.raises(ModelError):
            attempt()
