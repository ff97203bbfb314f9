"""Boxes and words on a copy; the original is never touched."""

from __future__ import annotations

import numpy as np
import pytest

from device.types import Box
from device.vision.annotate import KNOWN, UNKNOWN, Label, annotate

_GREY = np.full((240, 320, 3), 128, np.uint8)


@pytest.mark.parametrize(("known", "colour"), [(True, KNOWN), (False, UNKNOWN)])
def test_the_box_is_drawn_on_a_copy(known: bool, colour: tuple[int, int, int]) -> None:
    """In the colour that tells known from unknown."""
    original = _GREY.copy()
    copy = annotate(original, [Label(Box(100, 100, 80, 90), "Ada 0.98", known)])
    assert np.array_equal(original, _GREY)
    assert tuple(copy[190, 140]) == colour
    assert tuple(copy[150, 140]) == (128, 128, 128)
    assert (copy[:100] == 255).any()


@pytest.mark.parametrize(
    "box", [Box(-50, -60, 100, 100), Box(300, 230, 200, 200), Box(5000, 5000, 10, 10), Box(0, 0, 0, 0)]
)
def test_a_box_beyond_the_picture_is_cut_off(box: Box) -> None:
    """A face at the border has one."""
    assert annotate(_GREY, [Label(box, "x", known=True)]).shape == _GREY.shape


@pytest.mark.parametrize("text", ["", "Zoë 王\u202e", "a" * 500])
def test_any_name_can_be_written(text: str) -> None:
    """Letters that the font lacks become question marks."""
    assert annotate(_GREY, [Label(Box(10, 50, 50, 50), text, known=False)]).shape == _GREY.shape


def test_nothing_to_say_changes_nothing() -> None:
    """A copy all the same."""
    copy = annotate(_GREY, [])
    assert np.array_equal(copy, _GREY)
    assert copy is not _GREY
