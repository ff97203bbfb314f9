"""YuNet: decoding, the best of overlapping answers, where a picture's face ends up, and upstream's own results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import VisionConfig
from device.errors import ModelError
from device.types import Box, Image
from device.vision.backends.onnx import OnnxSession
from device.vision.landmarks import FaceMesh, locate_detected
from device.vision.pipeline import VisionPipeline
from device.vision.tracker import overlap
from device.vision.yunet import NMS_IOU, STRIDES, YuNetDetector, best_of_each
from tests.vision.test_clips import _frames

UPSTREAM = "models/face_detection_yunet_2026may.onnx"
OFFICE = ("again", "help", "no", "yes", "bird", "thanks", "book", "learn")
HEIGHT, WIDTH = 384, 480


def _empty(height: int = HEIGHT, width: int = WIDTH) -> list[np.ndarray]:
    """Outputs in which nobody is found."""
    counts = [(height // stride) * (width // stride) for stride in STRIDES]
    return [np.zeros((1, count, values), np.float32) for values in (1, 1, 4, 10) for count in counts]


def _put(outputs: list[np.ndarray], box: Box, *, level: int, score: float = 0.9, width: int = WIDTH) -> None:
    """Let the cell under the centre of a box, in input pixels, answer with it; all key points are the centre."""
    stride = STRIDES[level]
    x, y = (each / stride for each in box.centre)
    column, row = int(x), int(y)
    cell = row * (width // stride) + column
    outputs[level][0, cell] = outputs[3 + level][0, cell] = score
    outputs[6 + level][0, cell] = (x - column, y - row, np.log(box.width / stride), np.log(box.height / stride))
    outputs[9 + level][0, cell] = (x - column, y - row) * 5


def _detector(session: Any, *, min_score: float = 0.5, max_faces: int = 4) -> YuNetDetector:
    return YuNetDetector(session, min_score=min_score, max_faces=max_faces)


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (1920, 1080), (100, 90), (480, 384)])
@pytest.mark.parametrize("padding", [0.0, 0.5])
def test_a_face_is_placed_in_pixels_of_the_picture(
    scripted: Any, level: int, width: int, height: int, padding: float
) -> None:
    """Scale, corner and padding are undone: the network answers where it sees a white square, at each stride."""
    side = max(width, height) // 5
    left, top = width // 3, height // 2
    image = np.zeros((height, width, 3), np.uint8)
    image[top : top + side, left : left + side] = 255

    def answer(tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        weights = tensor[0, 0] / tensor[0, 0].sum()
        # Edges of pixels, as the network counts: the first pixel's centre is at one half.
        x = float(weights.sum(axis=0) @ (np.arange(WIDTH) + 0.5))
        y = float(weights.sum(axis=1) @ (np.arange(HEIGHT) + 0.5))
        seen = np.sqrt(tensor[0, 0].sum() / 255)
        outputs = _empty()
        _put(outputs, Box(x - seen / 2, y - seen / 2, seen, seen), level=level)
        return tuple(outputs)

    (face,) = _detector(scripted((1, 3, HEIGHT, WIDTH), answer)).detect(image, padding=padding)
    expected = (left + (side - 1) / 2, top + (side - 1) / 2)
    assert face.box.centre == pytest.approx(expected, abs=0.03 * side)
    assert face.box.width == pytest.approx(side, rel=0.05)
    assert face.score == pytest.approx(0.9)
    assert face.keypoints.shape == (5, 2)
    np.testing.assert_allclose(face.keypoints, np.tile(face.box.centre, (5, 1)), atol=1e-2)


def test_the_network_sees_raw_bgr_in_the_upper_left_corner_on_black(scripted: Any) -> None:
    """Nothing is left of a larger picture before."""
    session = scripted((1, 3, 96, 96), lambda _: tuple(_empty(96, 96)))
    detector = _detector(session)
    assert detector.detect(np.full((96, 96, 3), 255, np.uint8)) == ()
    image = np.zeros((50, 100, 3), np.uint8)
    image[:] = (7, 127, 255)
    for _ in range(2):
        assert detector.detect(image) == ()
        for channel, value in enumerate((7, 127, 255)):
            assert (session.seen[0, channel, :48, :96] == value).all()
        assert not session.seen[:, :, 48:].any()


@given(
    st.lists(
        st.tuples(st.floats(0, 300), st.floats(0, 300), st.floats(0, 200), st.floats(0, 200), st.floats(0, 1)),
        max_size=40,
    )
)
def test_the_best_of_overlapping_answers_stays(answers: list[tuple[float, float, float, float, float]]) -> None:
    """No two that stay overlap, whoever went overlaps a better one that stayed, and the best one stays."""
    rows = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in answers], np.float32).reshape(-1, 4)
    scores = np.array([score for *_, score in answers], np.float32)
    boxes = [Box(left, top, right - left, bottom - top) for left, top, right, bottom in rows.tolist()]
    kept = best_of_each(rows, scores)
    assert [scores[each] for each in kept] == sorted((scores[each] for each in kept), reverse=True)
    for number, index in enumerate(kept):
        assert all(overlap(boxes[index], boxes[other]) <= NMS_IOU + 1e-4 for other in kept[:number])
    for index in set(range(len(answers))) - set(kept):
        assert any(
            overlap(boxes[index], boxes[other]) >= NMS_IOU - 1e-4 and scores[other] >= scores[index] for other in kept
        )
    assert not answers or scores[kept[0]] == scores.max()


def test_the_score_is_the_root_of_class_and_objectness(scripted: Any) -> None:
    """Clamped to 0..1 each; what is below the limit is no face, nor is what is no number."""
    outputs = _empty()
    for x, (classes, objectness) in enumerate([(0.5, 0.5), (0.49, 0.5), (9.0, 0.25), (-2.0, -2.0), (np.nan, 1.0)]):
        _put(outputs, Box(80 * x + 20, 100, 40, 40), level=0)
        cell = 15 * 60 + 10 * x + 5
        outputs[0][0, cell], outputs[3][0, cell] = classes, objectness
    session = scripted((1, 3, HEIGHT, WIDTH), lambda _: tuple(outputs))
    found = _detector(session).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert sorted(face.box.x for face in found) == pytest.approx([20, 180], abs=1e-3)
    assert [face.score for face in found] == pytest.approx([0.5, 0.5])


def test_the_largest_faces_are_kept(scripted: Any) -> None:
    """Of three faces two are wanted: the two nearest, nearest first."""
    outputs = _empty()
    for x, side, score in ((30, 20, 0.99), (150, 60, 0.6), (300, 90, 0.7)):
        _put(outputs, Box(x, 100, side, side), level=1, score=score)
    session = scripted((1, 3, HEIGHT, WIDTH), lambda _: tuple(outputs))
    found = _detector(session, max_faces=2).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert [round(face.box.width) for face in found] == [90, 60]


@pytest.mark.parametrize("part", [6, 9])
@pytest.mark.parametrize("value", [3e38, -3e38, 2e37])
def test_an_answer_beyond_all_numbers_hides_no_face(scripted: Any, part: int, value: float) -> None:
    """Finite where the network gave it, not where it is multiplied: without it the others stay what they are."""

    def answer(_: np.ndarray) -> tuple[np.ndarray, ...]:
        outputs = _empty()
        _put(outputs, Box(100, 100, 80, 80), level=1, score=0.8)
        outputs[2][0, 0] = outputs[5][0, 0] = 1
        outputs[part + 2][0, 0, :2] = value
        return tuple(outputs)

    found = _detector(scripted((1, 3, HEIGHT, WIDTH), answer)).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    real = [face for face in found if face.score < 0.9]
    assert [face.box.centre for face in real] == [pytest.approx((140, 140))]
    assert all(np.isfinite(face.keypoints).all() for face in found)


@pytest.mark.filterwarnings("error")
def test_a_side_beyond_all_numbers_is_no_overflow(scripted: Any) -> None:
    """The network tells sides as logarithms."""
    outputs = _empty()
    _put(outputs, Box(100, 100, 50, 50), level=2)
    outputs[8][outputs[8] != 0] = 500
    session = scripted((1, 3, HEIGHT, WIDTH), lambda _: tuple(outputs))
    for face in _detector(session).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8)):
        assert np.isfinite((face.box.x, face.box.y, face.box.width, face.box.height)).all()


@pytest.mark.parametrize(
    "shape", [(1, 3, 100, 96), (1, 3, 96, 100), (-1, 3, 96, 96), (2, 3, 96, 96), (1, 1, 96, 96), (1, 3, 0, 0), (3, 96)]
)
def test_an_input_of_another_kind_is_refused(scripted: Any, shape: tuple[int, ...]) -> None:
    """One picture of three colours, both sides known multiples of 32."""
    with pytest.raises(ModelError, match="no YuNet") as error:
        _detector(scripted(shape, tuple))
    assert "multiples of 32" in str(error.value.hint)


def test_outputs_in_another_order_are_refused(scripted: Any) -> None:
    """Not the sorted ones, not those of another size, not one short."""
    wrong = ([*_empty()[3:], *_empty()[:3]][::-1], _empty(96, 96), _empty()[:-1])
    for outputs in wrong:
        session = scripted((1, 3, HEIGHT, WIDTH), lambda _, outputs=outputs: tuple(outputs))
        with pytest.raises(ModelError, match="no YuNet"):
            _detector(session).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8))


# ---- The real network


@pytest.fixture(scope="module")
def make_yunet(shared: Path) -> Iterator[Callable[[int, int], YuNetDetector]]:
    """Upstream's network with a fixed input of this height and width, minimum score 0.7."""
    sessions = []

    def make(height: int, width: int) -> YuNetDetector:
        model = onnx.load(shared / UPSTREAM)
        for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], (height, width), strict=True):
            dimension.dim_value = size
        for output in model.graph.output:
            stride = int(output.name.rpartition("_")[2])
            output.type.tensor_type.shape.dim[1].dim_value = (height // stride) * (width // stride)
        session = OnnxSession(model.SerializeToString(), model="yunet", threads=1)
        sessions.append(session)
        return YuNetDetector(session, min_score=0.7, max_faces=16)

    yield make
    for session in sessions:
        session.close()


def _office(shared: Path, *, step: int) -> Iterator[tuple[str, Image]]:
    for name in OFFICE:
        for frame in _frames(shared / f"clips/intel_asl_{name}.mkv", step=step):
            yield name, frame.image


def test_boxes_points_and_scores_are_those_of_opencv(make_yunet: Any, shared: Path) -> None:
    """OpenCV's own detector over the same network, frame by frame, to rounding."""
    ours = make_yunet(480, 640)
    theirs = cv2.FaceDetectorYN.create(str(shared / UPSTREAM), "", (640, 480), 0.7, NMS_IOU, 5000)
    compared = 0
    for _, image in _office(shared, step=15):
        found = ours.detect(image)
        _, rows = theirs.detect(image)
        expected = sorted([] if rows is None else rows.tolist(), key=lambda row: -row[2] * row[3])
        assert len(found) == len(expected)
        for face, row in zip(found, expected, strict=True):
            box = face.box
            assert (box.x, box.y, box.width, box.height) == pytest.approx(row[:4], abs=1e-3)
            np.testing.assert_allclose(face.keypoints.ravel(), row[4:14], atol=1e-3)
            assert face.score == pytest.approx(row[14], abs=1e-5)
            compared += 1
    assert compared > 30


def test_everybody_in_the_office_is_found_in_every_frame(make_yunet: Any, models: Any, shared: Path) -> None:
    """A detection that the mesh agrees with, at the size of the packs."""
    detector = make_yunet(HEIGHT, WIDTH)
    for name, image in _office(shared, step=10):
        (face,) = models.detector.detect(image)
        assert max(overlap(face.box, other.box) for other in detector.detect(image)) > 0.4, name


def test_what_is_found_on_heads_seen_from_above_the_mesh_refuses(make_yunet: Any, models: Any, shared: Path) -> None:
    """The detector calls some of them faces; the second gate does not (but in one of all the 1,394 frames)."""
    detector = make_yunet(HEIGHT, WIDTH)
    pipeline = VisionPipeline(detector, models.mesh, models.embedder, VisionConfig())
    found = seen = 0
    for frame in _frames(shared / "clips/intel_one-by-one-person-detection.mp4", step=9):
        found += len(detector.detect(frame.image))
        seen += len(pipeline.observe(frame).faces)
    assert found > 0, "the control: there is something to refuse"
    assert seen == 0


def test_nobody_is_found_where_nobody_is(make_yunet: Any) -> None:
    """Black, white, grey and noise hold no face."""
    detector = make_yunet(HEIGHT, WIDTH)
    noise = np.random.default_rng(5).integers(0, 256, (480, 640, 3), np.uint8)
    for image in (np.zeros_like(noise), np.full_like(noise, 255), np.full_like(noise, 128), noise):
        assert detector.detect(image) == ()


@pytest.mark.parametrize("degrees", [-30, -20, 0, 20, 30])
def test_a_leaning_head_has_the_landmarks_of_the_upright_one(
    make_yunet: Any, models: Any, photos: dict[str, Image], degrees: int
) -> None:
    """The detector's eyes tell half of a lean; the landmarks are where they are all the same."""
    mesh: FaceMesh = models.mesh
    image = cv2.resize(photos["obama"], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    detector = make_yunet(HEIGHT, WIDTH)
    upright = locate_detected(mesh, image, detector.detect(image)[0]).landmarks[:, :2]
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    leaning = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    found = locate_detected(mesh, leaning, detector.detect(leaning)[0]).landmarks[:, :2]
    expected = upright @ turn[:, :2].T + turn[:, 2]
    error = np.sqrt(((found - expected) ** 2).sum(axis=1).mean()) / np.linalg.norm(upright[33] - upright[263])
    assert error < 0.05
