"""How far eyes are open: what the network is given, what its contour becomes, and real eyes open and shut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from device.config import VisionConfig
from device.errors import ModelError
from device.types import Image, Points
from device.vision.backends.onnx import OnnxSession
from device.vision.iris import EyeReader, eye_square
from device.vision.photo import find_faces
from device.vision.quality import Gates
from tests.vision.conftest import Models, ScriptedSession, face_points

Tensor = NDArray[np.float32]
SHAPE = (1, 3, 64, 64)
PICTURE: Image = np.random.default_rng(0).integers(0, 256, (192, 192, 3)).astype(np.uint8)


def eye(*, opening: float, across: float = 24.0) -> tuple[Tensor, Tensor]:
    """A network's answer: lids and corners so many pixels apart; brow and iris anywhere."""
    contour = np.random.default_rng(1).uniform(0, 64, (1, 71, 3)).astype(np.float32)
    along = 20.0 + across * np.arange(9) / 8
    contour[0, :9, 0], contour[0, :9, 1] = along, 32.0 + opening / 2
    contour[0, (0, 8), 1] = 32.0
    contour[0, 9:16, 0], contour[0, 9:16, 1] = along[1:8], 32.0 - opening / 2
    return contour, np.zeros((1, 5, 3), np.float32)


# ---- What the network is given, and what its answer becomes


@pytest.mark.parametrize(("opening", "across"), [(0.0, 24.0), (6.0, 24.0), (6.0, 30.0)])
def test_openness_is_the_distance_of_the_lids_over_that_of_the_corners(opening: float, across: float) -> None:
    """Whatever the brow and the iris do."""
    reader = EyeReader(ScriptedSession(SHAPE, lambda _: eye(opening=opening, across=across)))
    assert reader.openness(PICTURE, face_points()) == pytest.approx(opening / across, abs=1e-6)


def test_both_eyes_count_alike() -> None:
    """One shut and one open are half open."""
    answers = iter([eye(opening=0.0), eye(opening=6.0)])
    reader = EyeReader(ScriptedSession(SHAPE, lambda _: next(answers)))
    assert reader.openness(PICTURE, face_points()) == pytest.approx(0.125)


def test_the_network_sees_red_first_from_0_to_1_and_the_right_eye_mirrored() -> None:
    """A picture that grows redder to the right: the network, which knows left eyes, sees one eye of it reversed."""
    ramp: Image = np.zeros((192, 192, 3), np.uint8)
    ramp[..., 0], ramp[..., 2] = 255, np.arange(192)
    squares: list[Tensor] = []

    def look(tensor: Tensor) -> tuple[Tensor, ...]:
        squares.append(tensor[0].copy())
        return eye(opening=6.0)

    EyeReader(ScriptedSession((-1, 3, 64, 64), look)).openness(ramp, face_points())
    right, left = squares
    for square in squares:
        assert square[1].max() == 0
        assert square[2].min() == pytest.approx(1)
        assert 0 < square[0].min() < square[0].max() < 1
    assert right[0, 32, 0] > right[0, 32, 63]
    assert left[0, 32, 0] < left[0, 32, 63]


def test_the_square_is_level_with_the_eye_and_2_3_times_as_wide() -> None:
    """Its middle is the eye's, its side along the corners."""
    points = face_points(roll_deg=30)
    square = eye_square(points, 33, 133)
    (ax, ay), (bx, by) = points[33, :2].tolist(), points[133, :2].tolist()
    assert 64 * math.hypot(square.a, square.b) == pytest.approx(2.3 * math.hypot(bx - ax, by - ay))
    assert math.atan2(square.b, square.a) == pytest.approx(math.atan2(by - ay, bx - ax))
    middle = square.a * 32 - square.b * 32 + square.x0, square.b * 32 + square.a * 32 + square.y0
    assert middle == pytest.approx(((ax + bx) / 2, (ay + by) / 2))


# ---- What is refused


@pytest.mark.parametrize("shape", [(1, 3, 192, 192), (2, 3, 64, 64), (1, 64, 64, 3)])
def test_a_model_of_another_shape_is_refused_at_the_start(shape: tuple[int, ...]) -> None:
    """Before any eye is measured."""
    with pytest.raises(ModelError, match="no iris model"):
        EyeReader(ScriptedSession(shape, lambda _: eye(opening=6.0)))


@pytest.mark.parametrize(
    "answer",
    [
        (eye(opening=6.0)[0],),
        (np.zeros((1, 213), np.float32), np.zeros((1, 15), np.float32)),
        (np.full((1, 71, 3), np.nan, np.float32), np.zeros((1, 5, 3), np.float32)),
        (np.full((1, 71, 3), np.inf, np.float32), np.zeros((1, 5, 3), np.float32)),
        (np.zeros((1, 71, 3), np.float32), np.zeros((1, 5, 3), np.float32)),
    ],
)
def test_an_answer_that_is_no_eye_is_an_error(answer: tuple[Tensor, ...]) -> None:
    """Another shape, no numbers, no width: never an opening."""
    with pytest.raises(ModelError, match="model scripted"), np.errstate(invalid="ignore"):
        EyeReader(ScriptedSession(SHAPE, lambda _: answer)).openness(PICTURE, face_points())


@pytest.mark.parametrize("place", [math.nan, math.inf, 1e6])
def test_eyes_that_are_no_place_in_a_picture_are_an_error(place: float) -> None:
    """The network is not asked."""
    points = face_points()
    points[362] = place
    points[33] = place
    session = ScriptedSession(SHAPE, lambda _: eye(opening=6.0))
    with pytest.raises(ModelError, match="no eye"):
        EyeReader(session).openness(PICTURE, points)
    assert session.calls == 0
    with pytest.raises(ModelError, match="no eyes"):
        EyeReader(session).openness(PICTURE, points[:100])
    with pytest.raises(ModelError, match="no eye"):
        EyeReader(session).openness(PICTURE, np.zeros((468, 3), np.float32))


# ---- The real model


@pytest.fixture(scope="module")
def reader(door_pack: Path) -> Iterator[EyeReader]:
    """The iris model of the pack ``door``."""
    session = OnnxSession((door_pack / "iris.onnx").read_bytes(), model="iris", threads=1)
    yield EyeReader(session)
    session.close()


def landmarks_of(models: Models, image: Image) -> Points:
    """Of the largest face."""
    gates = Gates.for_door(VisionConfig())
    (face, *_) = find_faces(image, detector=models.detector, mesh=models.mesh, min_presence=0.5, gates=gates)
    return face.landmarks


@pytest.mark.parametrize("name", ["obama", "obama2", "obama3", "biden"])
def test_open_eyes_are_open_and_a_mirrored_face_alike(
    models: Models, photos: dict[str, Image], reader: EyeReader, name: str
) -> None:
    """Photographs of people who look into the camera."""
    points = landmarks_of(models, photos[name])
    openness = reader.openness(photos[name], points)
    assert 0.18 < openness < 0.35
    mirrored = np.ascontiguousarray(photos[name][:, ::-1])
    turned = points.copy()
    turned[:, 0] = mirrored.shape[1] - 1 - points[:, 0]
    for right, left in ((33, 263), (133, 362)):
        turned[[right, left]] = turned[[left, right]]
    assert reader.openness(mirrored, turned) == pytest.approx(openness, abs=0.005)


def test_a_recorded_blink_closes_the_eyes(shared: Path, models: Models, reader: EyeReader) -> None:
    """The man of the last frames of a recording: open, then shut."""
    from tests.liveness.test_clips import clip_frames

    frames = clip_frames(shared / "clips" / "intel_head-pose-face-detection-male.gif")
    opened, shut = (
        reader.openness(frames[number].image, landmarks_of(models, frames[number].image)) for number in (57, 60)
    )
    assert shut < 0.65 * opened
    again = cv2.GaussianBlur(frames[57].image, (0, 0), 1.0)
    assert reader.openness(np.asarray(again, np.uint8), landmarks_of(models, frames[57].image)) > 0.85 * opened
