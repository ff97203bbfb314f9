"""Still pictures: found at any size, tight crops too, and people told apart at the distances they were measured at."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from device.config import EnrolmentConfig, VisionConfig
from device.types import Face, Image, QualityReason
from device.vision.photo import find_faces
from device.vision.quality import Gates

GATES = Gates.for_enrolment(VisionConfig(), EnrolmentConfig())


def _find(models: Any, image: Image) -> tuple[Face, ...]:
    return find_faces(image, detector=models.detector, mesh=models.mesh, min_presence=0.5, gates=GATES)


def _template(*vectors: np.ndarray) -> np.ndarray:
    mean = np.mean(vectors, axis=0)
    normal: np.ndarray = mean / np.linalg.norm(mean)
    return normal


def test_photographs_of_people_are_told_apart(models: Any, photos: dict[str, Image]) -> None:
    """Distances of unit vectors: each photograph to the mean of the person's others, and to somebody else."""
    vectors = {}
    for name in ("obama", "obama2", "obama3", "biden"):
        (face,) = _find(models, photos[name])
        assert face.quality.usable
        vectors[name] = models.embedder.embed(photos[name], face.landmarks).vector
    one, two, three, other = (vectors[name] for name in ("obama", "obama2", "obama3", "biden"))
    assert np.linalg.norm(three - _template(one, two)) == pytest.approx(0.217, abs=0.01)
    assert np.linalg.norm(two - _template(one, three)) == pytest.approx(0.257, abs=0.01)
    assert np.linalg.norm(two - three) == pytest.approx(0.293, abs=0.01)
    assert min(np.linalg.norm(other - vector) for vector in (one, two, three)) > 0.58


@pytest.mark.parametrize("width", [100, 300, 910, 4000])
def test_the_size_of_the_picture_does_not_matter(models: Any, photos: dict[str, Image], width: int) -> None:
    """The face is found where it is, in pixels of that picture, and small ones are called small."""
    image = photos["obama"]
    (truth,) = _find(models, image)
    scale = width / image.shape[1]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=method).astype(np.uint8, copy=False)
    (face,) = _find(models, resized)
    expected = [scale * value for value in (*truth.box.centre, truth.box.width)]
    assert [*face.box.centre, face.box.width] == pytest.approx(expected, abs=0.04 * expected[2])
    assert (QualityReason.TOO_SMALL in face.quality.reasons) == (face.box.width < 80)


@pytest.mark.parametrize("name", ["obama", "obama3", "biden"])
def test_a_tight_crop_is_found_with_room_around_it(models: Any, photos: dict[str, Image], name: str) -> None:
    """The detector knows whole heads; the second look gives it black to stand on."""
    image = photos[name]
    (truth,) = _find(models, image)
    whole = models.embedder.embed(image, truth.landmarks).vector
    (detection,) = models.detector.detect(image)
    box, looked_twice = detection.box, 0
    for share in (0.0, 0.04, 0.06, 0.08, 0.1):
        left, top = int(box.x + share * box.width), int(box.y + share * box.height)
        side = int((1 - 2 * share) * box.width)
        crop = image[top : top + side, left : left + side].copy()
        looked_twice += not models.detector.detect(crop)
        (face,) = _find(models, crop)
        assert np.linalg.norm(models.embedder.embed(crop, face.landmarks).vector - whole) < 0.25
    assert looked_twice


def test_a_face_at_the_edge_is_called_cut_off(models: Any, photos: dict[str, Image]) -> None:
    """Found, measured, refused."""
    (face,) = _find(models, photos["obama_partial_face"])
    assert QualityReason.CUT_OFF in face.quality.reasons


def test_two_people_are_two_faces_the_larger_first(models: Any, photos: dict[str, Image]) -> None:
    """Numbered from 0."""
    small = cv2.resize(photos["biden"], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    image = np.full((1137, 1400, 3), 90, np.uint8)
    image[:, :910] = photos["obama"]
    image[: small.shape[0], 910 : 910 + small.shape[1]] = small[:1137]
    faces = _find(models, image)
    assert [face.track for face in faces] == [0, 1]
    assert faces[0].box.width > 1.5 * faces[1].box.width


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (3000, 2, 3), (480, 640, 3)])
def test_a_picture_without_a_face_has_none(models: Any, shape: tuple[int, int, int]) -> None:
    """Whatever its shape."""
    assert _find(models, np.random.default_rng(1).integers(0, 256, shape, np.uint8)) == ()
