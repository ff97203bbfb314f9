"""The pipeline over scripted models: when it detects, what it follows, what it embeds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from device.errors import ModelError
from device.types import Frame, Image, Scene

PICTURE: Image = np.random.default_rng(4).integers(0, 256, (480, 640, 3), np.uint8)


def _watch(stage: Any, *, seconds: float, fps: int = 30, start: int = 0) -> list[Scene]:
    frames = range(start, start + round(seconds * fps))
    return [stage.pipeline.observe(Frame(PICTURE, number / fps, number)) for number in frames]


def test_nobody_there_costs_a_detection_now_and_then(stage: Any) -> None:
    """Every 0.15 s by the frames' own times, and nothing else."""
    assert all(not scene.faces for scene in _watch(stage, seconds=3))
    assert 17 <= stage.detector.calls <= 21
    assert stage.mesh.calls == 0


def test_a_followed_face_needs_the_detector_rarely(stage: Any) -> None:
    """The landmarks of one frame tell where to look in the next; every 0.6 s the detector looks who else is there."""
    stage.faces.append((320, 240, 120))
    scenes = _watch(stage, seconds=3)
    assert {face.track for scene in scenes for face in scene.faces} == {1}
    assert all(len(scene.faces) == 1 for scene in scenes)
    assert stage.detector.calls == 5
    assert stage.mesh.calls == len(scenes)


def test_a_face_is_told_with_its_frame(stage: Any) -> None:
    """Number, time, place, pose and quality belong to the frame it was seen in."""
    stage.faces.append((320, 240, 120))
    frame = Frame(PICTURE, 12.5, 77)
    (face,) = stage.pipeline.observe(frame).faces
    assert (face.frame_number, face.captured_s, face.presence) == (77, 12.5, pytest.approx(1))
    assert face.box.centre == pytest.approx((320, 240), abs=1)
    assert face.box.width == pytest.approx(120, abs=1)
    assert face.pose.yaw_deg == pytest.approx(0, abs=0.01)
    assert face.quality.face_px == face.box.width


def test_whoever_joins_is_found_and_the_nearest_comes_first(stage: Any) -> None:
    """A second, nearer person gets a number of their own."""
    stage.faces.append((150, 240, 80))
    _watch(stage, seconds=0.5)
    stage.faces.append((450, 240, 140))
    scene = _watch(stage, seconds=1, start=15)[-1]
    assert [face.track for face in scene.faces] == [2, 1]


def test_a_face_that_left_is_gone_at_once_and_comes_back_as_another(stage: Any) -> None:
    """Presence ends the track in the very frame."""
    stage.faces.append((320, 240, 120))
    _watch(stage, seconds=0.5)
    stage.presence = 0.1
    assert all(not scene.faces for scene in _watch(stage, seconds=0.5, start=15))
    stage.presence = 1.0
    assert {face.track for scene in _watch(stage, seconds=0.5, start=30) for face in scene.faces} == {2}


def test_a_pause_between_frames_begins_anew(stage: Any) -> None:
    """A third of a second without a picture is long enough to change places."""
    stage.faces.append((320, 240, 120))
    assert [_watch(stage, seconds=0.1, start=start)[-1].faces[0].track for start in (0, 4, 40)] == [1, 1, 2]


def test_time_that_goes_back_begins_anew(stage: Any) -> None:
    """The detector runs at once, although its last run lies ahead."""
    stage.faces.append((320, 240, 120))
    _watch(stage, seconds=0.1, start=300)
    assert _watch(stage, seconds=0.1, start=0)[0].faces[0].track == 2


def test_a_reset_ends_tracks_and_detects_at_once(stage: Any) -> None:
    """As after a lost camera."""
    stage.faces.append((320, 240, 120))
    _watch(stage, seconds=0.1)
    stage.pipeline.reset()
    assert _watch(stage, seconds=0.1, start=3)[0].faces[0].track == 2


def test_the_chip_of_the_scene_is_the_one_that_is_embedded(stage: Any) -> None:
    """Cut once for quality and embedding, and the same as cut anew."""
    stage.faces.append((320, 240, 120))
    frame = Frame(PICTURE, 0.0, 0)
    (face,) = stage.pipeline.observe(frame).faces
    cached = stage.pipeline.embed(frame, face).vector
    seen = stage.embedder.seen
    again = stage.pipeline.embed(dataclasses.replace(frame), face).vector
    np.testing.assert_array_equal(seen, stage.embedder.seen)
    np.testing.assert_array_equal(cached, again)


def test_two_faces_are_not_embedded_as_one(stage: Any) -> None:
    """Each has a chip of its own."""
    stage.faces.extend([(150, 240, 100), (450, 240, 140)])
    frame = Frame(PICTURE, 0.0, 0)
    faces = stage.pipeline.observe(frame).faces
    chips = []
    for face in faces:
        stage.pipeline.embed(frame, face)
        chips.append(stage.embedder.seen)
    assert not np.array_equal(chips[0], chips[1])


def test_a_face_is_not_embedded_from_another_frame(stage: Any) -> None:
    """Landmarks of one picture mean nothing in the next."""
    stage.faces.append((320, 240, 120))
    (face,) = stage.pipeline.observe(Frame(PICTURE, 0.0, 0)).faces
    with pytest.raises(ModelError, match="cannot be embedded"):
        stage.pipeline.embed(Frame(PICTURE, 0.03, 1), face)


@pytest.mark.parametrize("part", ["detector", "mesh"])
def test_a_model_that_fails_ends_all_tracks(stage: Any, part: str) -> None:
    """Nothing of what was followed survives an error."""
    stage.faces.append((320, 240, 120))
    _watch(stage, seconds=0.1)
    session = getattr(stage, part)
    answer = session.answer

    def fail(_: object) -> None:
        raise ModelError("broken")

    session.answer = fail
    with pytest.raises(ModelError):
        _watch(stage, seconds=1, start=3)
    session.answer = answer
    assert _watch(stage, seconds=0.1, start=4)[0].faces[0].track == 2


def test_scenes_outlive_the_next_frame(stage: Any) -> None:
    """Landmarks are not overwritten by the next call."""
    stage.faces.append((320, 240, 120))
    first = _watch(stage, seconds=0.04)[0].faces[0]
    kept = first.landmarks.copy()
    stage.points = np.random.default_rng(0).uniform(60, 130, (468, 3)).astype(np.float32)
    _watch(stage, seconds=0.2, start=1)
    np.testing.assert_array_equal(first.landmarks, kept)
