"""The tracker's promise: one number is one face without a break."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.types import Box, Detection
from device.vision.landmarks import MeshFace
from device.vision.tracker import MAX_GAP_S, MAX_GROWTH, MAX_JUMP, Tracker, continuous, overlap

Make = Callable[..., MeshFace]
SIZE = (480, 640)
BOXES = st.builds(Box, st.floats(-50, 600), st.floats(-50, 400), st.floats(1, 300), st.floats(1, 300))


def _detection(mesh: MeshFace) -> Detection:
    return Detection(box=mesh.box, score=0.9, keypoints=np.zeros((6, 2), np.float32))


@pytest.fixture
def tracker() -> Tracker:
    """At time 0 of a picture of 640 x 480."""
    tracker = Tracker(max_faces=3, min_presence=0.5)
    tracker.begin(captured_s=0.0, size=SIZE)
    return tracker


def _numbers(tracker: Tracker) -> list[int]:
    return [track.number for track in tracker.tracks]


def test_a_moving_face_keeps_its_number(tracker: Tracker, make_mesh: Make) -> None:
    """Across the picture in small steps."""
    tracker.add([make_mesh(100, 200)])
    for step in range(1, 20):
        tracker.begin(captured_s=step / 30, size=SIZE)
        tracker.follow([make_mesh(100 + 20 * step, 200)])
        assert _numbers(tracker) == [1]


def test_a_jump_is_another_face(tracker: Tracker, make_mesh: Make) -> None:
    """Further than a head moves from one frame to the next."""
    tracker.add([make_mesh(100, 200)])
    tracker.follow([make_mesh(100 + 100 * MAX_JUMP + 2, 200)])
    assert _numbers(tracker) == [2]


@pytest.mark.parametrize("factor", [MAX_GROWTH + 0.02, 1 / (MAX_GROWTH + 0.02)])
def test_a_sudden_change_of_size_is_another_face(tracker: Tracker, make_mesh: Make, factor: float) -> None:
    """Nearer or further at once: somebody else."""
    tracker.add([make_mesh(300, 200)])
    tracker.follow([make_mesh(300, 200, 100 * factor)])
    assert _numbers(tracker) == [2]


@pytest.mark.parametrize("presence", [0.49, 0.0, math.nan])
def test_without_presence_there_is_no_face(tracker: Tracker, make_mesh: Make, presence: float) -> None:
    """The track ends, and nothing begins on what is none."""
    tracker.add([make_mesh(300, 200)])
    tracker.follow([make_mesh(300, 200, presence=presence)])
    tracker.add([make_mesh(300, 200, presence=presence)])
    assert _numbers(tracker) == []


@pytest.mark.parametrize("side", [5.0, 4000.0, math.nan])
def test_a_size_that_no_face_has_ends_the_track(tracker: Tracker, make_mesh: Make, side: float) -> None:
    """Nor does one begin."""
    tracker.add([make_mesh(300, 200)])
    tracker.follow([make_mesh(300, 200, side)])
    tracker.add([make_mesh(300, 200, side)])
    assert _numbers(tracker) == []


@pytest.mark.parametrize("then_s", [MAX_GAP_S + 0.01, -0.01, math.nan])
def test_a_break_in_time_ends_all_tracks(tracker: Tracker, make_mesh: Make, then_s: float) -> None:
    """Too late, backwards, or no time at all."""
    tracker.add([make_mesh(100, 200), make_mesh(400, 200)])
    tracker.begin(captured_s=then_s, size=SIZE)
    assert _numbers(tracker) == []


def test_a_picture_of_another_size_ends_all_tracks(tracker: Tracker, make_mesh: Make) -> None:
    """Pixels mean something else from there on."""
    tracker.add([make_mesh(100, 200)])
    tracker.begin(captured_s=0.03, size=(720, 1280))
    assert _numbers(tracker) == []


def test_tracks_that_meet_leave_one_face_under_a_new_number(tracker: Tracker, make_mesh: Make) -> None:
    """Nobody can tell which of the two is left, so neither number survives."""
    tracker.add([make_mesh(200, 200), make_mesh(300, 200)])
    assert _numbers(tracker) == [1, 2]
    tracker.follow([make_mesh(225, 200), make_mesh(270, 200)])
    tracker.follow([make_mesh(245, 200), make_mesh(250, 200)])
    assert _numbers(tracker) == [3]


def test_a_second_look_at_a_followed_face_begins_no_track(tracker: Tracker, make_mesh: Make) -> None:
    """The detector may answer twice."""
    tracker.add([make_mesh(200, 200)])
    tracker.add([make_mesh(205, 202), make_mesh(202, 199)])
    assert _numbers(tracker) == [1]


def test_a_weak_track_ends_after_two_detections_without_support(tracker: Tracker, make_mesh: Make) -> None:
    """One miss is forgiven, and support in between starts the count anew."""
    weak = make_mesh(200, 200, presence=0.7)
    tracker.add([weak])
    tracker.support([])
    tracker.support([_detection(weak)])
    tracker.support([])
    assert _numbers(tracker) == [1]
    tracker.support([_detection(make_mesh(500, 200))])
    assert _numbers(tracker) == []


def test_a_strong_track_needs_no_detection(tracker: Tracker, make_mesh: Make) -> None:
    """Hands before the face escape the detector, not the mesh."""
    tracker.add([make_mesh(200, 200, presence=0.99)])
    for _ in range(5):
        tracker.support([])
    assert _numbers(tracker) == [1]


def test_support_returns_whom_nobody_follows(tracker: Tracker, make_mesh: Make) -> None:
    """Only they need the mesh."""
    tracker.add([make_mesh(200, 200)])
    known, stranger = _detection(make_mesh(210, 205)), _detection(make_mesh(450, 200))
    assert tracker.support([known, stranger]) == (stranger,)


def test_only_the_nearest_are_kept_and_the_nearest_comes_first(tracker: Tracker, make_mesh: Make) -> None:
    """By area; a nearer newcomer displaces the furthest."""
    tracker.add([make_mesh(60, 100, 40), make_mesh(200, 100, 80), make_mesh(400, 100, 60)])
    tracker.add([make_mesh(400, 350, 120)])
    assert [round(track.mesh.box.width) for track in tracker.tracks] == [120, 80, 60]


def test_numbers_are_never_used_again(tracker: Tracker, make_mesh: Make) -> None:
    """Not even after a reset."""
    tracker.add([make_mesh(200, 200)])
    tracker.reset()
    tracker.begin(captured_s=0.0, size=SIZE)
    tracker.add([make_mesh(200, 200)])
    assert _numbers(tracker) == [2]


@given(BOXES, BOXES)
def test_overlap_is_a_share_and_mutual(one: Box, other: Box) -> None:
    """Between 0 and 1, the same both ways, 1 with itself."""
    assert 0 <= overlap(one, other) <= 1 + 1e-9
    assert overlap(one, other) == pytest.approx(overlap(other, one))
    assert overlap(one, one) == pytest.approx(1)


@given(BOXES, BOXES)
def test_continuity_is_mutual(one: Box, other: Box) -> None:
    """A step that is too far one way is too far the other."""
    assert continuous(one, one)
    assert continuous(one, other) == continuous(other, one)


@given(BOXES, st.sampled_from((math.nan, math.inf)), st.integers(0, 3))
def test_a_place_that_is_no_number_is_never_continuous(box: Box, value: float, field: int) -> None:
    """Comparisons deny by default."""
    parts = [box.x, box.y, box.width, box.height]
    parts[field] = value
    assert not continuous(box, Box(*parts))
