"""BlazeFace: decoding, joining, and where a picture's face ends up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ModelError
from device.types import Box
from device.vision.detector import BlazeFaceDetector, weighted_nms
from device.vision.tracker import overlap

ROWS = st.lists(
    st.tuples(
        st.floats(0, 500, width=32),
        st.floats(0, 500, width=32),
        st.floats(10, 200, width=32),
        st.floats(0.5, 1, width=32),
    ),
    min_size=1,
    max_size=40,
)


def _arrays(rows: list[tuple[float, float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    boxes = np.zeros((len(rows), 16), np.float32)
    for index, (x, y, side, _) in enumerate(rows):
        boxes[index] = (x, y, x + side, y + side, *[x, y] * 6)
    return boxes, np.array([score for *_, score in rows], np.float32)


@given(ROWS)
def test_joining_invents_nothing_and_loses_nobody(rows: list[tuple[float, float, float, float]]) -> None:
    """The best answer survives with its score, every box lies within the answers, and every answer has a face near."""
    boxes, scores = _arrays(rows)
    found = weighted_nms(boxes, scores)
    assert 1 <= len(found) <= len(rows)
    assert found[0].score == pytest.approx(float(scores.max()))
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    for face in found:
        assert face.box.x >= boxes[:, 0].min() - 1e-2
        assert face.box.x + face.box.width <= boxes[:, 2].max() + 1e-2
        assert face.keypoints.shape == (6, 2)
    for left, top, right, bottom in boxes[:, :4].tolist():
        assert any(overlap(face.box, Box(left, top, right - left, bottom - top)) > 0 for face in found)


@given(ROWS, st.randoms())
def test_the_order_of_answers_does_not_matter(rows: list[tuple[float, float, float, float]], random: Any) -> None:
    """Anchors are visited by score; equal scores aside, no other order shows."""
    rows = [(x, y, side, 0.5 + index / 100) for index, (x, y, side, _) in enumerate(rows)]
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = weighted_nms(*_arrays(rows)), weighted_nms(*_arrays(shuffled))
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        assert first.box.x == pytest.approx(second.box.x, abs=1e-2)


@given(ROWS)
def test_faces_apart_are_not_joined(rows: list[tuple[float, float, float, float]]) -> None:
    """Answers that touch nobody come back as they are."""
    boxes, scores = _arrays([(1000 * index + x, y, side, score) for index, (x, y, side, score) in enumerate(rows)])
    assert len(weighted_nms(boxes, scores)) == len(rows)


def test_the_joined_place_is_the_mean_by_score() -> None:
    """Not the best one's place, as elsewhere."""
    boxes, scores = _arrays([(0, 0, 100, 0.9), (10, 0, 100, 0.6)])
    (face,) = weighted_nms(boxes, scores)
    assert face.box.x == pytest.approx(10 * 0.6 / 1.5)
    assert face.score == pytest.approx(0.9)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (1920, 1080), (100, 90), (192, 192)])
@pytest.mark.parametrize("padding", [0.0, 0.5])
def test_a_face_is_placed_in_pixels_of_the_picture(scripted: Any, width: int, height: int, padding: float) -> None:
    """Letterbox and padding are undone exactly: the network's centre is the picture's."""
    boxes = np.zeros((1, 2304, 16), np.float32)
    scores = np.full((1, 2304, 1), -9, np.float32)
    cell = 24 * 48 + 24
    boxes[0, cell, 0:2] = -2  # from the cell's middle (98, 98) to the input's (96, 96)
    boxes[0, cell, 2:4] = 96
    scores[0, cell] = 2
    session = scripted((1, 3, 192, 192), lambda _: (boxes, scores))
    (face,) = BlazeFaceDetector(session, min_score=0.5, max_faces=1).detect(
        np.zeros((height, width, 3), np.uint8), padding=padding
    )
    assert face.box.centre == pytest.approx((width / 2, height / 2), abs=1e-3)
    assert face.box.width == pytest.approx(max(width, height) * (1 + 2 * padding) / 2, rel=1e-5)
    assert face.score == pytest.approx(1 / (1 + np.exp(-2)))


def test_the_network_sees_rgb_between_minus_one_and_one_on_black(scripted: Any) -> None:
    """Blue, green, red of the picture arrive as red, green, blue; the letterbox is black."""
    session = scripted(
        (1, 3, 192, 192), lambda _: (np.zeros((1, 2304, 16), np.float32), np.full((1, 2304, 1), -9, np.float32))
    )
    image = np.zeros((96, 192, 3), np.uint8)
    image[:] = (0, 127, 255)
    assert BlazeFaceDetector(session, min_score=0.5, max_faces=1).detect(image) == ()
    np.testing.assert_allclose(session.seen[0, :, 96, 96], (1, 127 / 127.5 - 1, -1), atol=1e-6)
    assert session.seen[0, :, :47].max() == -1


def test_the_largest_faces_are_kept(scripted: Any) -> None:
    """Of three faces two are wanted: the two nearest, nearest first."""
    boxes = np.zeros((1, 2304, 16), np.float32)
    scores = np.full((1, 2304, 1), -9, np.float32)
    for cell, side, score in ((10 * 48 + 5, 20, 9), (10 * 48 + 25, 30, 1), (40 * 48 + 25, 40, 2)):
        boxes[0, cell, 2:4] = side
        scores[0, cell] = score
    session = scripted((1, 3, 192, 192), lambda _: (boxes, scores))
    found = BlazeFaceDetector(session, min_score=0.5, max_faces=2).detect(np.zeros((192, 192, 3), np.uint8))
    assert [round(face.box.width) for face in found] == [40, 30]


def test_a_foreign_model_is_refused(scripted: Any) -> None:
    """By its input at once, by its outputs when it runs."""
    with pytest.raises(ModelError):
        BlazeFaceDetector(scripted((1, 3, 128, 128), tuple), min_score=0.5, max_faces=1)
    session = scripted((1, 3, 192, 192), lambda _: (np.zeros((1, 896, 16), np.float32),))
    with pytest.raises(ModelError):
        BlazeFaceDetector(session, min_score=0.5, max_faces=1).detect(np.zeros((50, 50, 3), np.uint8))


def test_nobody_is_found_where_nobody_is(models: Any) -> None:
    """Black, white, grey and noise hold no face."""
    noise = np.random.default_rng(5).integers(0, 256, (480, 640, 3), np.uint8)
    for image in (np.zeros_like(noise), np.full_like(noise, 255), np.full_like(noise, 128), noise):
        assert models.detector.detect(image) == ()
