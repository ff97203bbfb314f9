"""A camera that hands out its last picture once more."""

from __future__ import annotations

import numpy as np

from device.types import Box
from device.vision.repeats import FaceRepeats, Repeats


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


FACE = Box(20, 10, 20, 25)


def test_a_face_that_stands_still_to_the_bit_is_a_repetition_although_the_picture_is_not() -> None:
    """A stream with a clock in its corner, hanging."""
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    repeats = FaceRepeats()
    assert not repeats(image, FACE)
    for second in range(5):
        image[:8, :8] = second
        assert repeats(image, FACE)


def test_a_face_with_a_sensors_noise_is_not_a_repetition() -> None:
    """The control; nor is one that comes back after a repetition."""
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    repeats = FaceRepeats()
    assert not repeats(image, FACE)
    image[20, 30] ^= 1
    assert not repeats(image, FACE)
    assert repeats(image, FACE)


def test_a_face_outside_of_the_picture_is_not_a_repetition() -> None:
    repeats = FaceRepeats()
    for _ in range(2):
        assert not repeats(np.zeros((48, 64, 3), np.uint8), Box(100, 100, 20, 20))
