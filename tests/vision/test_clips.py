"""Recorded people before a camera: everybody is followed, told apart, and posed as seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Still

from device.types import Face, Frame

#: Who is seen in which clip.
WHO = {"again": "A", "help": "A", "no": "A", "yes": "A", "bird": "B", "thanks": "B", "book": "C", "learn": "C"}
#: Euclidean distance of unit vectors at a false match rate of 1e-5.
THRESHOLD = 0.301


def _frames(path: Path, *, step: int = 1) -> Iterator[Frame]:
    """Every ``step``-th frame of a clip with its time."""
    if path.suffix == ".gif":
        with Still.open(path) as clip:
            for number in range(clip.n_frames):
                clip.seek(number)
                picture = cv2.cvtColor(np.asarray(clip.convert("RGB")), cv2.COLOR_RGB2BGR)
                yield Frame(picture.astype(np.uint8, copy=False), number * 0.08, number)
        return
    capture = cv2.VideoCapture(str(path))
    try:
        number = 0
        while capture.grab():
            if number % step == 0:
                _, picture = capture.retrieve()
                yield Frame(picture.astype(np.uint8, copy=False), number / 30, number)
            number += 1
    finally:
        capture.release()


@dataclass(frozen=True)
class Watched:
    """What the pipeline saw in a clip."""

    frames: int
    faces: list[Face]
    vectors: np.ndarray


def _watch(models: Any, path: Path, *, step: int = 1, embed_every: int = 0) -> Watched:
    pipeline = models.pipeline()
    frames, faces, vectors = 0, [], []
    for frame in _frames(path, step=step):
        scene = pipeline.observe(frame)
        frames += 1
        faces.extend(scene.faces)
        if scene.faces and embed_every and frames % embed_every == 1:
            vectors.append(pipeline.embed(frame, scene.faces[0]).vector)
    return Watched(frames, faces, np.array(vectors))


@pytest.fixture(scope="module")
def office(models: Any, shared: Path) -> dict[str, Watched]:
    """The eight office clips, watched whole."""
    return {name: _watch(models, shared / f"clips/intel_asl_{name}.mkv", embed_every=8) for name in WHO}


@pytest.mark.parametrize("name", WHO)
def test_the_person_is_followed_from_the_first_frame_to_the_last(office: dict[str, Watched], name: str) -> None:
    """One track, a face in every frame, hands before it or not."""
    seen = office[name]
    assert len(seen.faces) == seen.frames
    assert len({face.track for face in seen.faces}) == 1
    assert all(50 < face.box.width < 75 for face in seen.faces)
    assert np.mean([face.quality.usable for face in seen.faces]) > 0.6


def test_people_are_told_apart_in_every_clip(office: dict[str, Watched]) -> None:
    """Template of five frames of any clip: nobody else comes within the threshold, the person nearly always does."""
    missed, compared = 0, 0
    for enrolled, person in WHO.items():
        template = office[enrolled].vectors[:5].mean(0)
        template /= np.linalg.norm(template)
        for clip, other in WHO.items():
            distances = np.linalg.norm(office[clip].vectors - template, axis=1)
            if person != other:
                assert distances.min() > THRESHOLD, f"{enrolled} is taken for {clip}"
            elif clip != enrolled:
                missed += int((distances > THRESHOLD).sum())
                compared += len(distances)
    assert missed / compared < 0.02


def test_a_head_that_turns_is_followed_and_its_yaw_has_the_sign_of_the_turn(models: Any, shared: Path) -> None:
    """She looks to the left side of the picture, then to its right, beyond 25 degrees both ways."""
    seen = _watch(models, shared / "clips/intel_head-pose-face-detection-female.gif")
    assert len(seen.faces) == seen.frames
    assert len({face.track for face in seen.faces}) == 1
    yaws = [face.pose.yaw_deg for face in seen.faces]
    assert min(yaws) == pytest.approx(-47, abs=5)
    assert max(yaws) == pytest.approx(31, abs=5)
    assert np.ptp([face.pose.pitch_deg for face in seen.faces]) < 12


def test_two_people_keep_their_own_tracks(models: Any, shared: Path) -> None:
    """Both lean their heads to the left side of the picture: negative roll."""
    seen = _watch(models, shared / "clips/intel_head-pose-face-detection-female-and-male.gif")
    assert len(seen.faces) == 2 * seen.frames
    assert len({face.track for face in seen.faces}) == 2
    assert max(face.pose.roll_deg for face in seen.faces) < 0


def test_a_head_seen_from_above_is_no_face(models: Any, shared: Path) -> None:
    """Nobody can be recognised from there."""
    seen = _watch(models, shared / "clips/intel_one-by-one-person-detection.mp4", step=9)
    assert seen.frames > 50
    assert seen.faces == []
