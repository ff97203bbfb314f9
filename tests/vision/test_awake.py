"""A model that does not look any more is an error, not an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from device.errors import ModelError
from device.vision.backends.awake import AwakeSession

Tensor = NDArray[np.float32]
SHAPE = (1, 3, 80, 80)


def picture(seed: int) -> Tensor:
    return np.random.default_rng(seed).random(SHAPE, np.float32)


@dataclass
class Scripted:
    """Answers what it is told, out of one buffer, as sessions may."""

    answer: Tensor | Exception | None = None
    model: str = "scripted"
    input_shape: tuple[int, ...] = SHAPE
    closed: int = 0
    _buffer: Tensor = field(default_factory=lambda: np.zeros((1, 4), np.float32))

    def run(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """The answer; without one, something that depends on the input."""
        if isinstance(self.answer, Exception):
            raise self.answer
        self._buffer[:] = tensor.reshape(-1)[:4] if self.answer is None else self.answer
        return (self._buffer,)

    def close(self) -> None:
        """Counted."""
        self.closed += 1


def test_a_model_that_looks_is_passed_on_as_it_is() -> None:
    inner = Scripted()
    session = AwakeSession(inner)
    assert (session.model, session.input_shape) == ("scripted", SHAPE)
    for seed in range(5):
        assert np.array_equal(session.run(picture(seed))[0][0], picture(seed).reshape(-1)[:4])
    session.close()
    assert inner.closed == 1


def test_different_pictures_with_the_same_answer_are_an_error() -> None:
    session = AwakeSession(Scripted(np.ones((1, 4), np.float32)))
    session.run(picture(1))
    with pytest.raises(ModelError, match="scripted gave different pictures the same answer"):
        session.run(picture(2))


def test_the_same_picture_again_may_have_the_same_answer() -> None:
    """A recording that repeats a frame is not a broken network."""
    session = AwakeSession(Scripted(np.ones((1, 4), np.float32)))
    for _ in range(3):
        session.run(picture(1))


def test_a_stuck_model_stays_an_error_until_it_answers_otherwise() -> None:
    """Neither an old picture nor the same one again makes it trusted."""
    inner = Scripted(np.ones((1, 4), np.float32))
    session = AwakeSession(inner)
    session.run(picture(1))
    for seed in (2, 2, 1):
        with pytest.raises(ModelError):
            session.run(picture(seed))
    inner.answer = None
    session.run(picture(3))


def test_a_failed_run_does_not_make_a_stuck_model_trusted() -> None:
    """What it answered before the failure still counts."""
    inner = Scripted(np.ones((1, 4), np.float32))
    session = AwakeSession(inner)
    session.run(picture(1))
    inner.answer = ModelError("broken")
    with pytest.raises(ModelError, match="broken"):
        session.run(picture(2))
    inner.answer = np.ones((1, 4), np.float32)
    with pytest.raises(ModelError, match="the same answer"):
        session.run(picture(2))
