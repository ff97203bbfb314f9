"""A camera that hands out its last picture once more."""

from __future__ import annotations

import numpy as np

from device.vision.repeats import Repeats


def test_the_same_picture_again_is_a_repetition_and_a_new_one_is_not() -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(2))
    repeats = Repeats()
    assert [repeats(each) for each in (first, first.copy(), second, first)] == [False, True, False, False]


def test_a_buffer_that_is_written_anew_is_a_new_picture() -> None:
    """Drivers re-use their buffers."""
    buffer, repeats = np.zeros((48, 64, 3), np.uint8), Repeats()
    repeats(buffer)
    buffer[:] = 7
    assert not repeats(buffer)


def test_a_picture_of_another_size_is_a_new_one() -> None:
    repeats = Repeats()
    repeats(np.zeros((48, 64, 3), np.uint8))
    assert not repeats(np.zeros((64, 48, 3), np.uint8))
