"""What is measured around a face, on drawings."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ModelError
from device.types import Box, Image
from device.vision.liveness.light import (
    BURNT_LIMIT,
    CONTEXT_LIMIT,
    GREY_LIMIT,
    LOW_LIGHT_LIMIT,
    NOISE_LIMIT,
    Light,
    measure_light,
)

FACE = Box(280, 200, 80, 100)


def scene(*, wall: tuple[int, int, int] = (150, 120, 90), skin: tuple[int, int, int] = (120, 140, 190)) -> Image:
    """A face of one colour before a wall of another, 640 x 480."""
    picture: Image = np.full((480, 640, 3), wall, np.uint8)
    picture[200:300, 280:360] = skin
    return picture


def doubts(light: Light) -> set[str]:
    """The limits that a picture is not within; what is no number is within none."""
    within = {
        "burnt": light.burnt < BURNT_LIMIT,
        "grey": light.chroma >= GREY_LIMIT,
        "dark": light.brightness >= LOW_LIGHT_LIMIT,
        "noise": light.noise < NOISE_LIMIT,
        "context": light.context >= CONTEXT_LIMIT,
    }
    return {name for name, good in within.items() if not good}


# ---- The numbers


def test_an_ordinary_scene_is_within_every_limit() -> None:
    """The control of all that follows."""
    light = measure_light(scene(), FACE)
    assert not doubts(light)
    assert light.burnt == 0
    assert light.noise < 0.01
    assert light.brightness == pytest.approx(0.114 * 120 + 0.587 * 140 + 0.299 * 190, abs=1)
    assert light.context == pytest.approx(4, abs=0.05)


def test_a_white_wall_is_burnt_and_a_white_face_is_not() -> None:
    """Only the surroundings count; quality has its own gate for the face."""
    assert measure_light(scene(wall=(255, 255, 255)), FACE).burnt == pytest.approx(1, abs=0.01)
    assert measure_light(scene(skin=(255, 255, 255)), FACE).burnt < BURNT_LIMIT
    assert measure_light(scene(wall=(248, 248, 248)), FACE).burnt == 0


@given(st.floats(0, 1))
def test_the_burnt_share_is_that_of_the_surroundings(share: float) -> None:
    """A white strip from the left of the wide crop, of any width."""
    picture = scene()
    left, width = 320 - 160, 320
    picture[:, left : left + round(share * width)] = 255
    picture[200:300, 280:360] = (120, 140, 190)
    wide = measure_light(picture, FACE).burnt
    assert wide >= share - 0.08
    assert (wide > 0) == (round(share * width) > 2) or share < 0.02


def test_the_network_that_sees_less_counts_on_its_own() -> None:
    """White as far as the closer crop reaches: the larger share of both crops."""
    picture = scene()
    picture[115:386, 212:429] = 255
    picture[200:300, 280:360] = (120, 140, 190)
    assert measure_light(picture, FACE).burnt > 0.99


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (0.7, 0.9, 1.0), (1.0, 0.75, 1.0), (1.0, 0.9, 0.7)])
def test_a_grey_picture_is_grey_under_any_tint(tint: tuple[float, float, float]) -> None:
    """Infrared, sepia, a print in one ink; the same picture in colour is not."""
    grey = cv2.cvtColor(cv2.cvtColor(scene(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert doubts(measure_light((grey * np.array(tint)).astype(np.uint8), FACE)) == {"grey"}
    assert not doubts(measure_light((scene() * np.array(tint)).astype(np.uint8), FACE))


@given(st.floats(0.3, 1.0))
def test_chroma_does_not_depend_on_the_exposure(gain: float) -> None:
    """Half the light is no half-grey picture."""
    whole, darker = (measure_light((scene() * share).astype(np.uint8), FACE).chroma for share in (1.0, gain))
    assert darker == pytest.approx(whole, rel=0.05)


def test_noise_does_not_make_a_grey_picture_colourful() -> None:
    """Noise of 6 levels in each channel."""
    grey = cv2.cvtColor(cv2.cvtColor(scene(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    noisy = np.clip(grey + np.random.default_rng(0).normal(0, 6, grey.shape), 0, 255).astype(np.uint8)
    assert {"grey", "noise"} <= doubts(measure_light(noisy, FACE))


@pytest.mark.parametrize("deviation", [2.0, 5.0, 10.0])
@pytest.mark.parametrize("width", [80.0, 320.0])
def test_noise_is_measured_as_it_is(deviation: float, width: float) -> None:
    """Its deviation over the brightness, in small and in large faces."""
    picture: Image = np.full((960, 1280, 3), (120, 140, 190), np.uint8)
    noisy = np.clip(picture + np.random.default_rng(1).normal(0, deviation, picture.shape), 0, 255).astype(np.uint8)
    light = measure_light(noisy, Box(400, 300, width, 1.25 * width))
    assert light.noise * light.brightness == pytest.approx(deviation, rel=0.1)


def test_a_face_that_fills_the_picture_has_no_context() -> None:
    """The crops cannot be larger than the picture."""
    assert measure_light(scene(), Box(120, 20, 400, 440)).context == pytest.approx(479 / 440, abs=0.01)
    assert "context" in doubts(measure_light(scene(), Box(120, 20, 400, 440)))


def test_what_cannot_be_measured_is_no_number_and_within_no_limit() -> None:
    """A black picture has no hue and no signal; beside a face that is all of the crop nothing is left."""
    black = measure_light(np.zeros((480, 640, 3), np.uint8), FACE)
    assert math.isnan(black.chroma)
    assert math.isnan(black.noise)
    assert {"grey", "noise", "dark"} <= doubts(black)
    full = measure_light(scene(), Box(-100, -100, 840, 680))
    assert math.isnan(full.burnt)
    assert "burnt" in doubts(full)


def test_the_picture_is_not_changed_and_the_answer_cannot_be() -> None:
    """Others look at it after."""
    picture = scene()
    light = measure_light(picture, FACE)
    assert np.array_equal(picture, scene())
    with pytest.raises(FrozenInstanceError):
        light.burnt = 0.0  # type: ignore[misc]


@given(
    st.floats(-300, 900),
    st.floats(-300, 900),
    st.floats(0, 1500),
    st.floats(0, 1500),
    st.integers(2, 200),
    st.integers(2, 200),
)
def test_every_box_is_measured_or_refused(
    x: float, y: float, face_width: float, face_height: float, width: int, height: int
) -> None:
    """Shares are shares, levels are levels, or they are no numbers."""
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    try:
        light = measure_light(picture, Box(x, y, face_width, face_height))
    except ModelError:
        return
    assert math.isnan(light.burnt) or 0 <= light.burnt <= 1
    assert math.isnan(light.chroma) or light.chroma >= 0
    assert math.isnan(light.noise) or light.noise >= 0
    assert 0 <= light.brightness <= 255
    assert light.context > 0


@pytest.mark.parametrize(
    "picture", [np.zeros((480, 640), np.uint8), np.zeros((480, 640, 3), np.float32), np.zeros((0, 0, 3), np.uint8)]
)
def test_what_is_no_colour_picture_is_refused(picture: Any) -> None:
    """Grey, floats, nothing."""
    with pytest.raises(ModelError, match="cannot be measured"):
        measure_light(picture, FACE)


@pytest.mark.parametrize("box", [Box(280, 200, 0, 100), Box(math.nan, 200, 80, 100), Box(640, 200, 80, 100)])
def test_a_box_without_a_face_in_the_picture_is_refused(box: Box) -> None:
    """Broken, not doubtful."""
    with pytest.raises(ModelError, match="face box"):
        measure_light(scene(), box)
