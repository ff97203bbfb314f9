"""The regression of motion on depth, on corners that were never in a picture."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.config import LivenessConfig
from device.sim.visitor import rotation
from device.types import Points
from device.vision.liveness.parallax import Parallax, depths_at, parallax, plane
from device.vision.liveness.planarity import MIN_RELIEF

CONFIG = LivenessConfig()
#: In face widths: from one outer corner of the eye to the other.
EYES = 0.62
#: The door's lens on a picture 640 pixels wide.
FOCAL_PX = 493.0

Floats = NDArray[np.float64]
#: Depth over (x, y), all in face widths, smaller is nearer.
Surface = Callable[[Floats, Floats], Floats]


def nose(x: Floats, y: Floats) -> Floats:
    """A fifth of the face's width high."""
    return np.asarray(-0.2 * np.exp(-((x / 0.09) ** 2) - ((y - 0.05) / 0.16) ** 2))


def head(x: Floats, y: Floats) -> Floats:
    """An egg half as deep as wide, with a nose: also what the mesh believes of any face."""
    egg = 0.5 * (1 - np.sqrt(np.maximum(1 - (x / 0.62) ** 2 - (y / 0.85) ** 2, 0.0)))
    return np.asarray(egg + nose(x, y))


def cylinder(radius: float, axis_deg: float) -> Surface:
    """A sheet rolled about an axis in its own plane, upright at 0 degrees."""
    across, along = math.cos(math.radians(axis_deg)), math.sin(math.radians(axis_deg))

    def surface(x: Floats, y: Floats) -> Floats:
        way = across * x + along * y
        return np.asarray(radius - np.sqrt(np.maximum(radius**2 - way**2, 0.05 * radius**2)))

    return surface


def looked_at(
    surface: Surface,
    yaw_deg: float,
    pitch_deg: float,
    *,
    believed: Surface = head,
    seed: int = 0,
    away: tuple[float, float] = (4.0, 4.0),
    noise_px: float = 0.0,
    count: int = 80,
) -> Parallax:
    """Corners on a surface before and after a turn, ``away`` face widths from the lens, and what the mesh thinks."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.45, 0.45, count), rng.uniform(-0.55, 0.55, count)
    solid = np.stack([x, y, surface(x, y)], axis=1)
    views = []
    for turn, far in ((rotation(0.0, 0.0, 0.0), away[0]), (rotation(yaw_deg, pitch_deg, 0.0), away[1])):
        seen = solid @ turn.T.astype(np.float64) + np.array([0.0, 0.0, far])
        views.append(FOCAL_PX * seen[:, :2] / seen[:, 2:] + rng.normal(0, 1, (count, 2)) * noise_px)
    first, last = (view.astype(np.float32) for view in views)
    found = plane(first, last)
    assert found is not None
    unit_px = FOCAL_PX * EYES / min(away)
    judged = parallax(first, last, believed(x, y) / EYES, matrix=found[0], unit_px=unit_px, turned=(yaw_deg, pitch_deg))
    assert judged is not None
    return judged


@pytest.mark.parametrize("turn", [(25.0, 0.0), (-25.0, 0.0), (0.0, 25.0), (0.0, -25.0), (18.0, -15.0)])
def test_a_head_confirms_the_sine_of_its_turn(turn: tuple[float, float]) -> None:
    """Whichever way it goes; what turns away is foreshortened, so a little less."""
    found = looked_at(head, *turn)
    expected = math.sin(math.radians(math.hypot(*turn)))
    assert 0.75 * expected < found.sine < 1.1 * expected
    assert found.error < 0.1 * found.sine


@given(
    st.floats(0.5, 50.0),
    st.floats(0.0, 180.0),
    st.floats(-50.0, 50.0),
    st.floats(-50.0, 50.0),
    st.floats(1.6, 4.0),
    st.integers(0, 2**32 - 1),
)
@example(radius=0.5, axis_deg=85.0, yaw_deg=15.0, pitch_deg=0.0, near=4.0, seed=0)  # hardly a corner on the nose
def test_no_cylinder_has_parallax(
    radius: float, axis_deg: float, yaw_deg: float, pitch_deg: float, near: float, seed: int
) -> None:
    """Rolled about any axis, turned about any axis, brought as close as a hand can, with relief enough to tell."""
    assume(math.hypot(yaw_deg, pitch_deg) > 5.0)
    found = looked_at(
        cylinder(radius, axis_deg), yaw_deg, pitch_deg, seed=seed, away=(max(3.3, near), near), noise_px=0.1
    )
    assert found.relief < MIN_RELIEF or found.sine - found.error < CONFIG.min_parallax


@given(st.floats(18.0, 40.0), st.floats(0.0, 360.0), st.integers(0, 2**32 - 1))
def test_a_nose_on_a_plane_has(degrees: float, towards_deg: float, seed: int) -> None:
    """The control: the same corners, one thing that is not smooth."""
    towards = math.radians(towards_deg)
    turn = (degrees * math.cos(towards), degrees * math.sin(towards))
    found = looked_at(nose, *turn, believed=nose, seed=seed, noise_px=0.1)
    assert found.sine - found.error >= CONFIG.min_parallax


def test_a_turn_against_the_mesh_counts_against_life() -> None:
    """A relief that is inside out moves the other way."""
    assert looked_at(lambda x, y: -head(x, y), 25.0, 0.0).sine < -0.2


@given(
    st.integers(15, 120),
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.floats(-0.3, 0.3)] * 4),
    st.tuples(*[st.floats(-1e-3, 1e-3)] * 2),
)
def test_any_homography_is_found(
    count: int, seed: int, linear: tuple[float, ...], perspective: tuple[float, ...]
) -> None:
    """A fifth of the corners may be anywhere."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(0, 200, (count, 2)).astype(np.float32)
    matrix = np.array([[1 + linear[0], linear[1], 5], [linear[2], 1 + linear[3], -7], [*perspective, 1]])
    there = np.column_stack([first.astype(np.float64), np.ones(count)]) @ matrix.T
    last = (there[:, :2] / there[:, 2:]).astype(np.float32)
    astray = count // 5
    last[:astray] += rng.uniform(-40, 40, (astray, 2)).astype(np.float32)
    found = plane(first, last)
    assert found is not None
    assert found[1] < 0.05


def test_corners_on_one_line_are_no_evidence_of_life() -> None:
    """Either no homography or a perfect one."""
    line = np.stack([np.arange(30), np.arange(30)], axis=1).astype(np.float32)
    found = plane(line, line + 3)
    assert found is None or not found[1] >= CONFIG.min_residual


@pytest.mark.parametrize(
    ("depths", "turned"),
    [
        (np.full(40, math.nan), (25.0, 0.0)),
        (np.zeros(40), (25.0, 0.0)),
        (np.arange(40.0), (0.0, 0.0)),
        (np.arange(40.0), (math.nan, 0.0)),
    ],
)
def test_without_depth_or_without_a_turn_there_is_no_parallax(depths: Floats, turned: tuple[float, float]) -> None:
    """Nor where either is no number."""
    first = np.random.default_rng(1).uniform(0, 200, (40, 2)).astype(np.float32)
    assert parallax(first, first, depths, matrix=np.eye(3), unit_px=70.0, turned=turned) is None


def test_too_few_corners_have_no_parallax() -> None:
    """Seven numbers for each axis are fitted."""
    first = np.random.default_rng(1).uniform(0, 200, (10, 2)).astype(np.float32)
    found = parallax(first, first, np.arange(10.0) ** 3, matrix=np.eye(3), unit_px=70.0, turned=(25.0, 0.0))
    assert found is None


def test_the_depth_between_landmarks_lies_between_theirs() -> None:
    """And is theirs on them."""
    points: Points = np.array([[0, 0], [10, 0], [0, 10], [10, 10], [500, 500]], np.float32)
    depths: Points = np.array([1, 2, 3, 4, 99], np.float32)
    found = depths_at(np.array([[5, 5], [10, 0]], np.float32), points, depths)
    assert found == pytest.approx([2.5, 2.0], abs=0.01)
