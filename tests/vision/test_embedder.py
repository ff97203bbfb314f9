"""Embeddings: of length one, of a face and its mirror image, never of nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device.errors import ModelError
from device.vision.embedder import FaceEmbedder

CHIP = np.random.default_rng(1).integers(0, 256, (150, 150, 3), np.uint8)


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
    embedder = FaceEmbedder(_Session(answer))  # type: ignore[arg-type]
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
        FaceEmbedder(_Session(np.full((2, 128), value, np.float32))).embed_chip(CHIP)  # type: ignore[arg-type]


def test_chip_and_mirror_image_go_in_together_as_rgb(scripted: Any) -> None:
    """One run of two; mirrored twice is the chip again; values are grey levels."""
    session = scripted((-1, 3, 150, 150), lambda _: (np.ones((2, 128), np.float32),))
    FaceEmbedder(session).embed_chip(CHIP)
    assert session.calls == 1
    upright, mirrored = session.seen
    np.testing.assert_array_equal(upright, CHIP[:, :, ::-1].transpose(2, 0, 1).astype(np.float32))
    np.testing.assert_array_equal(mirrored[:, :, ::-1], upright)


def test_an_embedding_outlives_the_next_one(scripted: Any) -> None:
    """The session's arrays are overwritten, embeddings are not, by anybody."""
    answer = np.ones((2, 4), np.float32)
    embedder = FaceEmbedder(scripted((-1, 3, 150, 150), lambda _: (answer,)))
    first = embedder.embed_chip(CHIP)
    answer[:] = (1, -1, 0, 0)
    embedder.embed_chip(CHIP)
    np.testing.assert_allclose(first.vector, 0.5)
    with pytest.raises(ValueError, match="read-only"):
        first.vector[0] = 2


def test_a_foreign_model_is_refused(scripted: Any) -> None:
    """By its input at once, by its output when it runs."""
    with pytest.raises(ModelError):
        FaceEmbedder(scripted((-1, 3, 112, 112), tuple))
    with pytest.raises(ModelError):
        FaceEmbedder(scripted((-1, 3, 150, 150), lambda _: (np.ones((1, 128), np.float32),))).embed_chip(CHIP)


def test_a_face_and_its_mirror_image_are_the_same_to_the_network(models: Any) -> None:
    """The average over both makes the embedding blind to mirroring."""
    one = models.embedder.embed_chip(CHIP).vector
    other = models.embedder.embed_chip(np.ascontiguousarray(CHIP[:, ::-1])).vector
    np.testing.assert_allclose(one, other, atol=1e-5)
