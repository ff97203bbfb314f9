"""The camera's faults, one by one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ConfigError
from device.sim.backdrop import hallway
from device.sim.camera import SceneCamera, door_lens
from device.sim.clock import ManualClock
from device.sim.optics import Optics, OpticsRenderer
from device.sim.portrait import Portrait
from device.sim.signals import PromptBoard
from device.sim.visitor import RenderedVisitor
from device.types import Image

SIZE = (160, 120)


def expose(canvas: Image, optics: Optics, *, seed: int = 0) -> Image:
    """One frame."""
    return OpticsRenderer(optics, width=canvas.shape[1], height=canvas.shape[0], seed=seed).expose(canvas)


def level(value: int) -> Image:
    """A picture of one grey level."""
    return np.full((SIZE[1], SIZE[0], 3), value, np.uint8)


def dot() -> Image:
    """One bright spot of 3 by 3 pixels in the middle of black."""
    canvas = level(0)
    canvas[59:62, 79:82] = 250
    return canvas


def spread(image: Image) -> tuple[float, float]:
    """Standard deviation of the light along columns and rows, pixels."""
    light = image[..., 0].astype(float)
    rows, columns = np.mgrid[0 : light.shape[0], 0 : light.shape[1]]
    return tuple(  # type: ignore[return-value]  # two of them
        math.sqrt((light * (at - (light * at).sum() / light.sum()) ** 2).sum() / light.sum()) for at in (columns, rows)
    )


def test_a_camera_without_faults_changes_nothing() -> None:
    """It does not even copy."""
    canvas = hallway(*SIZE, seed=1)
    assert expose(canvas, Optics()) is canvas
    renderer = OpticsRenderer(Optics(), width=SIZE[0], height=SIZE[1], seed=0)
    assert renderer.background(canvas) is canvas


@pytest.mark.parametrize(
    "optics",
    [
        Optics(gain=0.7),
        Optics(gamma=1.4),
        Optics(defocus_px=1.0),
        Optics(motion_px=4.0),
        Optics(noise=2.0),
        Optics(shot_noise=4.0),
        Optics(jpeg_quality=50),
        Optics(grey=True),
        Optics(veil=0.1),
    ],
)
def test_each_fault_changes_the_picture_and_leaves_the_canvas_alone(optics: Optics) -> None:
    """Same shape and type; the same seed gives the same picture."""
    canvas = hallway(*SIZE, seed=1)
    kept = canvas.copy()
    one, two = (expose(canvas, optics, seed=7) for _ in range(2))
    assert one.shape == canvas.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, two)
    assert not np.array_equal(one, canvas)
    assert np.array_equal(canvas, kept)


@given(gain=st.floats(0.1, 3.0), value=st.integers(0, 255))
def test_gain_multiplies_and_clips_at_white(gain: float, value: int) -> None:
    """To the rounding."""
    assert expose(level(value), Optics(gain=gain))[0, 0, 0] == pytest.approx(min(255.0, gain * value), abs=0.51)


@given(gamma=st.floats(0.4, 2.5), value=st.integers(0, 255))
def test_gamma_keeps_black_and_white_and_bends_between(gamma: float, value: int) -> None:
    """A power of the brightness."""
    found = expose(level(value), Optics(gamma=gamma))[0, 0, 0]
    assert found == pytest.approx(255 * (value / 255) ** gamma, abs=0.51)


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_defocus_spreads_light_by_its_deviation(sigma: float) -> None:
    """Variances add; both directions alike."""
    before = spread(dot())[0]
    for after in spread(expose(dot(), Optics(defocus_px=sigma))):
        assert after == pytest.approx(math.hypot(before, sigma), rel=0.1)


@pytest.mark.parametrize(("angle", "along"), [(0.0, 0), (90.0, 1)])
def test_motion_spreads_light_in_its_own_direction(angle: float, along: int) -> None:
    """A line of length l has the deviation l / sqrt(12)."""
    before, after = spread(dot())[0], spread(expose(dot(), Optics(motion_px=8.0, motion_deg=angle)))
    assert after[along] == pytest.approx(math.hypot(before, 8 / math.sqrt(12)), rel=0.1)
    assert after[1 - along] == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize("grey", [False, True])
def test_noise_has_the_deviation_that_was_asked_for(grey: bool) -> None:
    """Read-out noise the same everywhere; light's own grows with its root."""
    read = Optics(noise=3.0, grey=grey)
    assert expose(level(60), read).std() == pytest.approx(3.0, rel=0.1)
    assert expose(level(180), read).std() == pytest.approx(3.0, rel=0.1)
    light = replace(read, noise=0.0, shot_noise=8.0)
    assert expose(level(50), light).std() == pytest.approx(8 * math.sqrt(50 / 255), rel=0.1)
    assert expose(level(200), light).std() == pytest.approx(8 * math.sqrt(200 / 255), rel=0.1)
    both = replace(light, noise=3.0)
    assert expose(level(200), both).std() == pytest.approx(math.hypot(3, 8 * math.sqrt(200 / 255)), rel=0.1)


def test_noise_differs_from_frame_to_frame_and_from_seed_to_seed() -> None:
    """And repeats with its seed."""
    optics = Optics(noise=3.0)

    def frames(seed: int) -> list[Image]:
        renderer = OpticsRenderer(optics, width=SIZE[0], height=SIZE[1], seed=seed)
        return [renderer.expose(level(100)) for _ in range(3)]

    first, second, other = frames(1), frames(1), frames(2)
    assert all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_a_worse_encoder_loses_more() -> None:
    """Mean error over quality."""
    canvas = expose(hallway(*SIZE, seed=1), Optics(noise=6.0))
    errors = [cv2.absdiff(expose(canvas, Optics(jpeg_quality=quality)), canvas).mean() for quality in (95, 60, 20)]
    assert errors == sorted(errors)
    assert errors[0] < 0.9 * errors[2]


def test_by_night_there_are_no_colours() -> None:
    """Noise included."""
    night = expose(hallway(*SIZE, seed=1), Optics(grey=True, noise=5.0, jpeg_quality=50))
    assert (night[..., 0] == night[..., 1]).all()
    assert (night[..., 1] == night[..., 2]).all()


def test_against_the_light_the_background_is_white_at_any_exposure_and_the_person_is_not(portrait: Portrait) -> None:
    """Where nobody stands 255; the figure gets darker with the gain. Without backlight the corner is not white."""
    for backlight in (True, False):
        clock = ManualClock()
        optics = Optics(backlight=backlight, gain=0.5)
        visitor = RenderedVisitor(portrait, lens=door_lens())
        camera = SceneCamera([visitor], clock=clock, prompts=PromptBoard(clock=clock), gap_s=0.2, fps=10, optics=optics)
        camera.open()
        frames = [camera.read() for _ in range(40)]
        last = frames[-1]
        assert last is not None
        assert (last.image[:40, :40] == 255).all() == backlight
        assert last.image[230:260, 300:340].mean() < 130


def test_a_scene_without_optics_is_as_it_was_and_with_perfect_ones_has_no_noise() -> None:
    """None is the scene's own little noise."""

    def first(**more: Any) -> Image:
        clock = ManualClock()
        camera = SceneCamera([], clock=clock, prompts=PromptBoard(clock=clock), seed=3, **more)
        camera.open()
        frame = camera.read()
        assert frame is not None
        return frame.image

    assert np.array_equal(first(), first(optics=None))
    assert np.array_equal(first(optics=Optics()), hallway(640, 480, seed=3))
    assert not np.array_equal(first(), hallway(640, 480, seed=3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"gain": 0.0},
        {"gamma": math.nan},
        {"noise": -1.0},
        {"defocus_px": math.inf},
        {"jpeg_quality": 101},
        {"veil": 1.5},
    ],
)
def test_what_no_camera_does_is_refused(wrong: dict[str, Any]) -> None:
    """By name and with the range."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Optics(**wrong)
