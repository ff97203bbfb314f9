"""Embeddings: of length one, of a face and its mirror image, never of nothing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device.config import VisionConfig
from device.errors import ModelError
from device.gallery.exact import ExactIndex
from device.types import Embedding, Frame, Image
from device.vision.align import DLIB_150, INSIGHTFACE_112, Alignment
from device.vision.backends.onnx import OnnxSession
from device.vision.embedder import CHUNK, FaceEmbedder
from device.vision.manifest import Preprocessing
from device.vision.photo import find_faces
from device.vision.pipeline import VisionPipeline
from device.vision.quality import Gates

CHIP = np.random.default_rng(1).integers(0, 256, (150, 150, 3), np.uint8)
SMALL_CHIP = np.random.default_rng(2).integers(0, 256, (112, 112, 3), np.uint8)


def _how(colour: str = "rgb", mean: float = 0.0, divisor: float = 1.0) -> Preprocessing:
    return Preprocessing(colour=colour, mean=mean, divisor=divisor, geometry="face_chip")  # type: ignore[arg-type]


def _embedder(session: Any, *, alignment: Alignment = DLIB_150, how: Preprocessing | None = None) -> FaceEmbedder:
    return FaceEmbedder(session, alignment=alignment, preprocessing=how or _how())


class _Session:
    model = "scripted"
    input_shape = (-1, 3, 150, 150)

    def __init__(self, answer: np.ndarray) -> None:
        self.answer = answer

    def run(self, _: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self.answer,)


@given(arrays(np.float32, (2, 128), elements=st.floats(-100, 100, width=32)))
def test_an_embedding_has_length_one_or_is_an_error(answer: np.ndarray) -> None:
    """Whatever the network says."""
    embedder = _embedder(_Session(answer))
    if np.linalg.norm(answer.sum(0)) > 1e-5:
        vector = embedder.embed_chip(CHIP).vector
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert vector.dtype == np.float32
    elif np.linalg.norm(answer.sum(0)) < 1e-7:
        with pytest.raises(ModelError, match="no direction"):
            embedder.embed_chip(CHIP)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_an_embedding_without_direction_is_an_error(value: float) -> None:
    """Zero and what is no number match nobody."""
    with pytest.raises(ModelError, match="no direction"):
        _embedder(_Session(np.full((2, 128), value, np.float32))).embed_chip(CHIP)


def test_chip_and_mirror_image_go_in_together_as_rgb(scripted: Any) -> None:
    """One run of two; mirrored twice is the chip again; values are grey levels."""
    session = scripted((-1, 3, 150, 150), lambda _: (np.ones((2, 128), np.float32),))
    _embedder(session).embed_chip(CHIP)
    assert session.calls == 1
    upright, mirrored = session.seen
    np.testing.assert_array_equal(upright, CHIP[:, :, ::-1].transpose(2, 0, 1).astype(np.float32))
    np.testing.assert_array_equal(mirrored[:, :, ::-1], upright)


def test_an_embedding_outlives_the_next_one(scripted: Any) -> None:
    """The session's arrays are overwritten, embeddings are not, by anybody."""
    answer = np.ones((2, 128), np.float32)
    embedder = _embedder(scripted((-1, 3, 150, 150), lambda _: (answer,)))
    first = embedder.embed_chip(CHIP)
    answer[:] = np.tile((1, -1), 64)
    embedder.embed_chip(CHIP)
    np.testing.assert_allclose(first.vector, 128**-0.5)
    with pytest.raises(ValueError, match="read-only"):
        first.vector[0] = 2


def test_a_foreign_model_is_refused(scripted: Any) -> None:
    """By its input at once, by its output when it runs."""
    for shape in ((-1, 3, 112, 112), (-1, 1, 150, 150), (4, 3, 150, 150), (3, 150, 150)):
        with pytest.raises(ModelError, match="dlib-150"):
            _embedder(scripted(shape, tuple))
    for output in ((1, 128), (2, 64), (2, 1024), (2, 128, 1)):
        session = scripted((-1, 3, 150, 150), lambda _, output=output: (np.ones(output, np.float32),))
        with pytest.raises(ModelError, match="no face embedder") as error:
            _embedder(session).embed_chip(CHIP)
        assert "128 to 512" in str(error.value.hint)


@pytest.mark.parametrize("shape", [(112, 112, 3), (150, 150, 4), (150, 150), (150, 151, 3)])
def test_a_chip_of_another_size_is_refused(scripted: Any, shape: tuple[int, ...]) -> None:
    """What is left of the chip before must not be compared in its place."""
    session = scripted((-1, 3, 150, 150), lambda _: (np.ones((2, 128), np.float32),))
    with pytest.raises(ModelError, match="takes chips"):
        _embedder(session).embed_chip(np.zeros(shape, np.uint8))
    assert session.calls == 0


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@pytest.mark.parametrize(("mean", "divisor"), [(0.0, 1.0), (127.5, 127.5), (127.5, 128.0)])
def test_the_network_sees_what_its_description_says(scripted: Any, colour: str, mean: float, divisor: float) -> None:
    """Colour order, mean and divisor, of the chip and of its mirror image."""
    session = scripted((2, 3, 112, 112), lambda _: (np.ones((2, 512), np.float32),))
    embedder = _embedder(session, alignment=INSIGHTFACE_112, how=_how(colour, mean, divisor))
    embedder.embed_chip(SMALL_CHIP)
    chip = SMALL_CHIP[:, :, ::-1] if colour == "rgb" else SMALL_CHIP
    expected = (chip.transpose(2, 0, 1).astype(np.float64) - mean) / divisor
    np.testing.assert_allclose(session.seen[0], expected, atol=1e-6)
    np.testing.assert_array_equal(session.seen[1], session.seen[0][:, :, ::-1])


def _network() -> Any:
    """Answers numbers that depend on every pixel's place, in one array per batch size, as backends do."""
    outputs: dict[int, np.ndarray] = {}

    def answer(tensor: np.ndarray) -> tuple[np.ndarray, ...]:
        flat = tensor.reshape(len(tensor), -1)
        weights = np.cos(np.arange(flat.shape[1], dtype=np.float32)[:, np.newaxis] * np.arange(1, 5, dtype=np.float32))
        output = outputs.setdefault(len(tensor), np.zeros((len(tensor), 128), np.float32))
        output[:] = np.tile(flat @ weights, 32)
        return (output,)

    return answer


def test_a_network_of_any_batch_gives_the_same_embedding(scripted: Any) -> None:
    """Free, two, or one that runs twice."""
    free, two, one = (
        _embedder(scripted((batch, 3, 112, 112), _network()), alignment=INSIGHTFACE_112).embed_chip(SMALL_CHIP)
        for batch in (-1, 2, 1)
    )
    np.testing.assert_allclose(free.vector, two.vector, atol=1e-6)
    np.testing.assert_allclose(free.vector, one.vector, atol=1e-6)


@pytest.mark.parametrize("batch", [-1, 2, 1])
def test_many_chips_give_the_embeddings_of_each(scripted: Any, batch: int) -> None:
    """In order, to rounding, in more than one run."""
    chips = list(np.random.default_rng(3).integers(0, 256, (CHUNK + 3, 112, 112, 3), np.uint8))
    session = scripted((batch, 3, 112, 112), _network())
    embedder = _embedder(session, alignment=INSIGHTFACE_112)
    many = embedder.embed_chips(chips)
    assert session.calls == {-1: 2, 2: len(chips), 1: 2 * len(chips)}[batch]
    for chip, embedding in zip(chips, many, strict=True):
        np.testing.assert_allclose(embedding.vector, embedder.embed_chip(chip).vector, atol=1e-5)
    assert embedder.embed_chips([]) == []


@pytest.mark.parametrize("batch", [-1, 2, 1])
def test_an_embedding_is_the_mean_of_what_is_said_about_chip_and_mirror_image(scripted: Any, batch: int) -> None:
    """What an evaluation takes apart is what the door puts together."""
    embedder = _embedder(scripted((batch, 3, 112, 112), _network()), alignment=INSIGHTFACE_112)
    upright, mirrored = embedder.plain_and_mirrored(SMALL_CHIP)
    assert not np.allclose(upright, mirrored)
    total = upright + mirrored
    vector = embedder.embed_chip(SMALL_CHIP).vector
    np.testing.assert_allclose(vector, total / np.linalg.norm(total), atol=1e-6)
    other, _ = embedder.plain_and_mirrored(SMALL_CHIP[:, ::-1])
    np.testing.assert_allclose(other, mirrored, rtol=1e-4)


def test_a_face_and_its_mirror_image_are_the_same_to_the_network(models: Any) -> None:
    """The average over both makes the embedding blind to mirroring."""
    one = models.embedder.embed_chip(CHIP).vector
    other = models.embedder.embed_chip(np.ascontiguousarray(CHIP[:, ::-1])).vector
    np.testing.assert_allclose(one, other, atol=1e-5)


# ---- Another embedder: the signature of OpenCV's SFace, weights of nobody


def _sface(*, side: int = 112, channels: int = 3, dimension: int = 128) -> bytes:
    """Input ``data`` (1, channels, side, side) raw RGB, output ``fc1`` (1, dimension); fixed random weights."""
    rng = np.random.default_rng(11)
    cells = 16 * (side // 16) ** 2
    weights = {
        "kernel": rng.normal(0, 0.01, (16, channels, 16, 16)),
        "matrix": rng.normal(0, 0.02, (cells, dimension)),
    }
    nodes = [
        onnx.helper.make_node("Conv", ["data", "kernel"], ["cells"], strides=[16, 16], kernel_shape=[16, 16]),
        onnx.helper.make_node("Relu", ["cells"], ["active"]),
        onnx.helper.make_node("Flatten", ["active"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "matrix"], ["fc1"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "sface",
        [onnx.helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, [1, channels, side, side])],
        [onnx.helper.make_tensor_value_info("fc1", onnx.TensorProto.FLOAT, [1, dimension])],
        [onnx.numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    return model.SerializeToString()


def _foreign(data: bytes) -> FaceEmbedder:
    return _embedder(OnnxSession(data, model="sface-like", threads=1), alignment=INSIGHTFACE_112)


def test_a_foreign_embedder_enrols_and_finds_people_again(models: Any, photos: dict[str, Image]) -> None:
    """Photographs go in, a gallery finds each of them again by another copy of it, and knows whose model it holds."""
    embedder = _foreign(_sface())
    vision = VisionConfig()

    def embed(image: Image) -> Embedding:
        faces = find_faces(
            image, detector=models.detector, mesh=models.mesh, min_presence=0.5, gates=Gates.for_door(vision)
        )
        return embedder.embed(image, faces[0].landmarks)

    names = ("obama", "obama2", "biden")
    enrolled = [embed(photos[name]) for name in names]
    gallery = ExactIndex(dimension=128, model="sface-like")
    gallery.build(np.stack([each.vector for each in enrolled]), names)
    for name in names:
        smaller = cv2.resize(photos[name], None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)
        best, second, _ = gallery.search(embed(smaller.astype(np.uint8, copy=False)), k=3)
        assert best.person == name
        assert best.similarity > 0.95
        assert best.similarity > second.similarity
    with pytest.raises(ModelError):
        gallery.search(models.embedder.embed_chip(CHIP), k=1)


def test_the_door_compares_the_chip_of_its_embedder_and_judges_its_own(models: Any, photos: dict[str, Image]) -> None:
    """Quality does not depend on the embedder; the embedding is of the 112-pixel chip."""
    embedder = _foreign(_sface())
    image = cv2.resize(photos["obama"], (640, 796), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    frame = Frame(image, 0.0, 0)
    pipeline = VisionPipeline(models.detector, models.mesh, embedder, VisionConfig())
    (face,) = pipeline.observe(frame).faces
    (usual,) = models.pipeline().observe(frame).faces
    assert face.quality == usual.quality
    vector = pipeline.embed(frame, face).vector
    np.testing.assert_array_equal(vector, embedder.embed(image, face.landmarks).vector)


@pytest.mark.parametrize("wrong", [{"side": 96}, {"side": 160}, {"channels": 1}])
def test_a_foreign_embedder_with_another_input_is_refused_at_once(wrong: dict[str, int]) -> None:
    """The message says which chip was meant, the hint which input."""
    with pytest.raises(ModelError, match="insightface-112") as error:
        _foreign(_sface(**wrong))
    assert "3, 112, 112" in str(error.value.hint)


@pytest.mark.parametrize("dimension", [64, 1024])
def test_a_foreign_embedder_of_another_dimension_is_refused_when_it_runs(dimension: int) -> None:
    """Embeddings have 128 to 512 numbers."""
    with pytest.raises(ModelError, match=f"1, {dimension}"):
        _foreign(_sface(dimension=dimension)).embed_chip(SMALL_CHIP)
