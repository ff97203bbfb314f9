"""The passive score: which part of the picture each network sees, what counts as an answer, and the known scores."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ModelError
from device.types import Box, Image
from device.vision.backends.onnx import OnnxSession
from device.vision.liveness.passive import LIVE_CLASS, PassiveScorer, crop_of
from export_tools.convert.minifasnet_to_onnx import convert_minifasnet

Tensor = np.ndarray[Any, np.dtype[np.float32]]
SHAPE: Final = (1, 3, 80, 80)
LIVE: Final = np.array([[0.1, 0.7, 0.2]], np.float32)
SPOOF: Final = np.array([[0.05, 0.25, 0.7]], np.float32)
PICTURE: Final[Image] = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
FACE: Final = Box(280, 200, 80, 100)


@dataclass
class _Scripted:
    """A network whose answer is told; remembers what it saw, reuses its output as the real one does."""

    answer: Tensor
    input_shape: tuple[int, ...] = SHAPE
    model: str = "scripted"
    seen: list[Tensor] = field(default_factory=list)

    def run(self, tensor: Tensor) -> tuple[Tensor, ...]:
        self.seen.append(tensor.copy())
        return (self.answer,)

    def close(self) -> None:
        """Nothing to free."""


# ---- Crops


@pytest.mark.parametrize(
    ("box", "scale", "expected"),
    [
        (Box(280, 200, 80, 100), 2.7, (212, 115, 429, 386)),  # fits
        (Box(280.9, 200.9, 80.9, 100.9), 2.7, (212, 115, 429, 386)),  # whole pixels, rounded down
        (Box(280, 200, 80, 100), 4.0, (160, 50, 481, 451)),
        (Box(10, 20, 80, 100), 2.7, (0, 0, 217, 271)),  # shifted right and down
        (Box(550, 370, 80, 100), 2.7, (423, 209, 640, 480)),  # shifted left and up
        (Box(-30, -20, 80, 100), 4.0, (0, 0, 321, 401)),  # partly outside
        (Box(200, 100, 200, 250), 4.0, (108, 0, 492, 480)),  # lowered to the height of the picture
        (Box(0, 0, 640, 480), 4.0, (0, 0, 640, 480)),  # lowered below 1
    ],
)
def test_the_crop_is_the_one_the_networks_were_trained_on(
    box: Box, scale: float, expected: tuple[int, int, int, int]
) -> None:
    """Worked out by hand from upstream's rule: lower the scale, shift inside, cut to whole pixels."""
    crop = crop_of(box, scale=scale, width=640, height=480)
    assert (crop.left, crop.top, crop.right, crop.bottom) == expected


@given(
    st.floats(-2000, 2000),
    st.floats(-2000, 2000),
    st.floats(0, 3000),
    st.floats(0, 3000),
    st.sampled_from([2.7, 4.0]),
    st.integers(2, 1000),
    st.integers(2, 1000),
)
def test_every_crop_lies_inside_the_picture_or_the_box_is_refused(
    x: float, y: float, face_width: float, face_height: float, scale: float, width: int, height: int
) -> None:
    """Never an empty crop, never a pixel outside."""
    try:
        crop = crop_of(Box(x, y, face_width, face_height), scale=scale, width=width, height=height)
    except ModelError:
        return
    assert 0 <= crop.left < crop.right <= width
    assert 0 <= crop.top < crop.bottom <= height


@pytest.mark.parametrize(
    "box",
    [
        Box(280, 200, 0, 100),
        Box(280, 200, 80, 0.9),
        Box(280, 200, -80, 100),
        Box(math.nan, 200, 80, 100),
        Box(280, math.inf, 80, 100),
        Box(280, 200, math.nan, 100),
        Box(280, 200, math.inf, 100),
        Box(640, 200, 80, 100),
        Box(280, 480, 80, 100),
        Box(-80, 200, 80, 100),
        Box(280, -100, 80, 100),
    ],
)
def test_a_box_without_a_face_in_the_picture_is_refused(box: Box) -> None:
    """Broken, not spoofed: there is no number to build a policy on, and no network runs."""
    close, wide = _Scripted(LIVE), _Scripted(LIVE)
    with pytest.raises(ModelError, match="face box"):
        PassiveScorer(close, wide).score(PICTURE, box)
    assert not close.seen
    assert not wide.seen


# ---- What the networks are given


def test_each_network_sees_its_crop_in_blue_green_red_from_0_to_255() -> None:
    """Bilinear, channels first, no mean, no scale."""
    close, wide = _Scripted(LIVE), _Scripted(LIVE)
    PassiveScorer(close, wide).score(PICTURE, FACE)
    for session, scale in ((close, 2.7), (wide, 4.0)):
        crop = crop_of(FACE, scale=scale, width=640, height=480)
        part = np.ascontiguousarray(PICTURE[crop.top : crop.bottom, crop.left : crop.right])
        expected = cv2.resize(part, (80, 80), interpolation=cv2.INTER_LINEAR)
        assert session.seen[0].shape == SHAPE
        assert np.array_equal(session.seen[0][0], expected.transpose(2, 0, 1))


def test_the_picture_is_not_changed() -> None:
    """Others look at it after."""
    before = PICTURE.copy()
    PassiveScorer(_Scripted(LIVE), _Scripted(LIVE)).score(PICTURE, FACE)
    assert np.array_equal(PICTURE, before)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((480, 640), np.uint8),
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((480, 640, 3), np.float32),
        np.zeros((1, 640, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_what_is_no_colour_picture_is_refused(picture: Any) -> None:
    """Grey, alpha, floats, nothing."""
    with pytest.raises(ModelError, match="a picture of"):
        PassiveScorer(_Scripted(LIVE), _Scripted(LIVE)).score(picture, FACE)


# ---- What the answers become


def test_the_score_is_the_mean_of_both_networks() -> None:
    """Live probability, winning class and its mean."""
    score = PassiveScorer(_Scripted(LIVE), _Scripted(SPOOF)).score(PICTURE, FACE)
    assert score.live == pytest.approx((0.7 + 0.25) / 2)
    assert score.winner == LIVE_CLASS
    assert score.confidence == pytest.approx(score.live)
    other = PassiveScorer(_Scripted(SPOOF), _Scripted(SPOOF)).score(PICTURE, FACE)
    assert other.winner == 2
    assert other.live == pytest.approx(0.25)
    assert other.confidence == pytest.approx(0.7)


def test_a_score_does_not_change_when_the_network_answers_again() -> None:
    """Sessions reuse their arrays; a score keeps its own, and is frozen."""
    session = _Scripted(LIVE.copy())
    score = PassiveScorer(session, session).score(PICTURE, FACE)
    session.answer[:] = SPOOF
    assert np.array_equal(score.close, LIVE[0])
    assert np.array_equal(score.wide, LIVE[0])
    with pytest.raises(FrozenInstanceError):
        score.live = 1.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        score.close[1] = 1


@pytest.mark.parametrize("role", ["close", "wide"])
@pytest.mark.parametrize(
    "answer",
    [
        np.array([[math.nan, 0.5, 0.5]], np.float32),
        np.array([[0.2, math.nan, math.nan]], np.float32),
        np.array([[math.inf, 0, 0]], np.float32),
        np.array([[-math.inf, 1, 0]], np.float32),
        np.array([[-0.5, 1.5, 0]], np.float32),
        np.array([[2.0, 5.0, -1.0]], np.float32),
        np.zeros((1, 3), np.float32),
        np.array([[0.5, 0.5, 0.5]], np.float32),
        np.array([[0.5, 0.5]], np.float32),
        np.array([0.1, 0.7, 0.2], np.float32),
        np.repeat(LIVE, 2, axis=0),
    ],
)
def test_an_answer_that_is_no_set_of_probabilities_is_an_error(role: str, answer: Tensor) -> None:
    """Never a score, not even when the other network is sure."""
    sessions = {"close": _Scripted(LIVE), "wide": _Scripted(LIVE), role: _Scripted(answer)}
    with pytest.raises(ModelError, match="scripted"):
        PassiveScorer(**sessions).score(PICTURE, FACE)


def test_a_model_of_another_shape_is_refused_at_the_start() -> None:
    """Before any face is judged."""
    for shape in ((1, 3, 80, 60), (2, 3, 80, 80), (1, 80, 80, 3)):
        with pytest.raises(ModelError, match="no MiniFASNet"):
            PassiveScorer(_Scripted(LIVE), _Scripted(LIVE, input_shape=shape))
        with pytest.raises(ModelError, match="no MiniFASNet"):
            PassiveScorer(_Scripted(LIVE, input_shape=shape), _Scripted(LIVE))
    PassiveScorer(_Scripted(LIVE, input_shape=(-1, 3, 80, 80)), _Scripted(LIVE))


# ---- The known scores of upstream's three samples


@pytest.fixture(scope="module", params=[None, 1], ids=["dynamic", "fixed"])
def scorer(shared: Path, request: pytest.FixtureRequest) -> PassiveScorer:
    """The published pair, converted here."""
    files = {"close": "2.7_80x80_MiniFASNetV2.pth", "wide": "4_0_0_80x80_MiniFASNetV1SE.pth"}
    close, wide = (
        OnnxSession(
            convert_minifasnet((shared / "models" / file).read_bytes(), batch=request.param), model=name, threads=1
        )
        for name, file in files.items()
    )
    return PassiveScorer(close, wide)


@pytest.fixture(scope="module")
def yunet_box(shared: Path) -> Callable[[Image], Box]:
    """The best box of YuNet, decoded here from its definition (grid offsets, log sizes, root of two scores)."""
    session = ort.InferenceSession(
        str(shared / "models" / "face_detection_yunet_2026may.onnx"), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]

    def find(image: Image) -> Box:
        height, width = image.shape[:2]
        tensor = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
        tensor[0, :, :height, :width] = image.transpose(2, 0, 1)
        outputs = dict(zip(names, session.run(None, {session.get_inputs()[0].name: tensor}), strict=True))
        found: list[tuple[float, Box]] = []
        for stride in (8, 16, 32):
            scores = np.sqrt(outputs[f"cls_{stride}"][0, :, 0] * outputs[f"obj_{stride}"][0, :, 0])
            best = int(scores.argmax())
            row, column = divmod(best, tensor.shape[3] // stride)
            dx, dy, log_width, log_height = map(float, outputs[f"bbox_{stride}"][0, best])
            box_width, box_height = math.exp(log_width) * stride, math.exp(log_height) * stride
            centre = (column + dx) * stride, (row + dy) * stride
            corner = centre[0] - box_width / 2, centre[1] - box_height / 2
            found.append((float(scores[best]), Box(*corner, box_width, box_height)))
        return max(found, key=lambda pair: pair[0])[1]

    return find


@dataclass(frozen=True)
class _Known:
    """What upstream's own code answers to one of its samples."""

    box: tuple[int, int, int, int]
    close: tuple[float, float, float]
    wide: tuple[float, float, float]
    confidence: float


UPSTREAM: Final = {
    "F1": _Known((178, 136, 223, 225), (0.083704, 0.001333, 0.914963), (0.308367, 0.143330, 0.548303), 0.731633),
    "F2": _Known((120, 252, 252, 256), (0.000162, 0.000639, 0.999200), (0.002955, 0.361932, 0.635112), 0.817156),
    "T1": _Known((106, 147, 207, 213), (0.000141, 0.990223, 0.009636), (0.000014, 0.996913, 0.003074), 0.993568),
}
"""Boxes of upstream's RetinaFace and the probabilities of upstream's networks, as a third party recorded them in public
with PyTorch 2.14.0 and OpenCV 4.10.0 from the same weights and pictures (by sha256). This project, which has not got
that detector, measured none of them; they agree with the published scores 0.732, 0.817 and 0.994."""


def _sample(shared: Path, name: str) -> Image:
    image = cv2.imread(str(shared / "clips" / f"minifasnet_sample_{name}.jpg"))
    assert image is not None
    return image.astype(np.uint8, copy=False)


@pytest.mark.parametrize("sample", UPSTREAM)
def test_in_upstreams_own_boxes_the_answers_are_upstreams(shared: Path, scorer: PassiveScorer, sample: str) -> None:
    """Crop, resize and networks together, both networks separately."""
    known = UPSTREAM[sample]
    score = scorer.score(_sample(shared, sample), Box(*known.box))
    assert score.close == pytest.approx(known.close, abs=0.001)
    assert score.wide == pytest.approx(known.wide, abs=0.001)
    assert score.confidence == pytest.approx(known.confidence, abs=0.001)
    assert (score.winner == LIVE_CLASS) == (sample == "T1")


@pytest.mark.parametrize(
    ("sample", "live", "confidence"), [("F1", 0.229, 0.724), ("F2", 0.003, 0.997), ("T1", 1.000, 1.000)]
)
def test_in_yunets_boxes_the_samples_score_as_measured(
    shared: Path,
    scorer: PassiveScorer,
    yunet_box: Callable[[Image], Box],
    sample: str,
    live: float,
    confidence: float,
) -> None:
    """Two recaptured faces and a live one (upstream's images/sample), framed by YuNet."""
    image = _sample(shared, sample)
    score = scorer.score(image, yunet_box(image))
    assert score.live == pytest.approx(live, abs=0.002)
    assert score.confidence == pytest.approx(confidence, abs=0.002)
    assert (score.winner == LIVE_CLASS) == (sample == "T1")


@pytest.mark.parametrize("sample", UPSTREAM)
def test_one_grey_level_more_in_a_part_of_the_face_changes_both_answers(
    shared: Path, scorer: PassiveScorer, sample: str
) -> None:
    """No sensor shows a face twice alike: a real network that looks is never taken for a stuck one."""
    image, box = _sample(shared, sample), Box(*UPSTREAM[sample].box)
    scores = [scorer.score(image, box)]
    x, y = map(int, box.centre)
    for step in range(-40, 41, 20):
        changed = image.copy()
        changed[y + step - 15 : y + step + 15, x - 15 : x + 15] ^= 1
        scores.append(scorer.score(changed, box))
    for close, wide in [(score.close.tobytes(), score.wide.tobytes()) for score in scores[1:]]:
        assert close != scores[0].close.tobytes()
        assert wide != scores[0].wide.tobytes()
