"""Corners on textured sheets and on a textured head, drawn without any photograph."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import LivenessConfig
from device.errors import ModelError
from device.types import Face, Frame, Image, Points
from device.vision.landmarks import box_of
from device.vision.liveness.planarity import (
    PARTS,
    PLANAR,
    SPATIAL,
    TOO_FEW_CORNERS,
    Planarity,
    PlanarityGate,
    homography_residual,
)
from tests.liveness.conftest import sample

CONFIG = LivenessConfig()
FACE_PX = 120.0
#: Turned about the vertical axis and seen from 0.6 m by a lens of 66 degrees.
Surface = Callable[[Points, Points], Points]


def texture(*, blank: bool = False) -> Image:
    """Blotches of many sizes, 400 x 400 grey levels."""
    if blank:
        return np.full((400, 400), 128, np.uint8)
    rng = np.random.default_rng(3)
    layers = [
        cv2.resize(rng.normal(0, 26, (cells, cells)).astype(np.float32), (400, 400), interpolation=cv2.INTER_CUBIC)
        for cells in (14, 30, 60)
    ]
    return np.asarray(np.clip(128 + np.sum(layers, axis=0), 0, 255), dtype=np.uint8)


def flat(x: Points, y: Points) -> Points:
    """A sheet."""
    return np.zeros_like(x)


def bent(x: Points, y: Points) -> Points:
    """A sheet round a cylinder of 11 cm radius; the face is 15 cm wide."""
    radius = 0.11 / 0.15
    return np.asarray(radius - np.sqrt(np.maximum(radius**2 - x**2, 0.01)), dtype=np.float32)


def head(x: Points, y: Points) -> Points:
    """An egg half as deep as wide, with a nose a fifth of its width."""
    egg = 0.5 * (1 - np.sqrt(np.maximum(1 - (x / 0.62) ** 2 - (y / 0.85) ** 2, 0.0)))
    return np.asarray(egg - 0.2 * np.exp(-((x / 0.09) ** 2) - ((y - 0.05) / 0.16) ** 2), dtype=np.float32)


def look(surface: Surface, degrees: float, now_s: float, *, picture: Image, shift: float = 0.0) -> tuple[Frame, Face]:
    """A frame in which the surface is turned by so many degrees, and the face with its landmarks there."""
    side = np.linspace(-0.6, 0.6, 161, dtype=np.float32)
    x, y = np.meshgrid(side, side)
    z = surface(x, y)
    angle = math.radians(degrees)
    turned = np.stack(
        [math.cos(angle) * x - math.sin(angle) * (z - 0.4), y, math.sin(angle) * x + math.cos(angle) * (z - 0.4)],
        axis=2,
    )
    scale = FACE_PX / (1 + turned[..., 2:] / 4.0)
    there = (turned[..., :2] * scale + np.array([160 + shift, 160], np.float32)).astype(np.float32)
    canvas = np.full((320, 320), 90, np.uint8)
    order = np.argsort(-turned[:-1, :-1, 2].ravel(), kind="stable")
    for cell in order.tolist():
        row, column = divmod(cell, 160)
        corners = there[[row, row, row + 1, row + 1], [column, column + 1, column + 1, column]]
        shade = int(picture[int((row + 0.5) * 2.5), int((column + 0.5) * 2.5)])
        cv2.fillConvexPoly(canvas, np.rint(corners * 16).astype(np.int32), shade, shift=4)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.8)
    frame, face = sample(now_s, degrees, 0.0, frame=round(now_s * 1000))
    rows = np.linspace(10, 150, 26).astype(int)
    columns = np.linspace(25, 135, 18).astype(int)
    mesh = np.concatenate([there[rows[:, None], columns].reshape(-1, 2), np.zeros((468, 1), np.float32)], axis=1)
    mesh[33, :2], mesh[263, :2] = there[60, 40], there[60, 120]
    picture_bgr = cv2.cvtColor(soft, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
    whole = Frame(image=picture_bgr, captured_s=frame.captured_s, number=frame.number)
    return whole, with_landmarks(face, mesh)


def with_landmarks(face: Face, landmarks: Points) -> Face:
    """The face with other landmarks, and the box that belongs to them."""
    return replace(face, landmarks=landmarks, box=box_of(landmarks))


def turn(surface: Surface, *, degrees: float = 25.0, blank: bool = False, shift: float = 0.0) -> Planarity:
    """Let the surface turn in 0.4 s and rest for 0.1 s, at 25 frames per second."""
    gate = PlanarityGate(CONFIG)
    picture = texture(blank=blank)
    for number in range(13):
        share = min(1.0, number / 10)
        gate.add(*look(surface, degrees * share, 1 + number * 0.04, picture=picture, shift=shift * share))
    return gate.judge(vouched_s=1.48, until_s=1.48)


def test_a_head_that_turns_is_spatial() -> None:
    """With room to the threshold."""
    found = turn(head)
    assert found.verdict == SPATIAL
    assert found.residual is not None
    assert found.residual > 1.3 * CONFIG.min_residual


@pytest.mark.parametrize("degrees", [15.0, 25.0, 50.0])
@pytest.mark.parametrize("surface", [flat, bent])
def test_a_sheet_that_turns_is_planar(surface: Surface, degrees: float) -> None:
    """Tilted as it is or bent."""
    found = turn(surface, degrees=degrees)
    assert found.verdict == PLANAR
    assert found.residual is not None
    assert found.residual < CONFIG.min_residual
    assert found.corners >= CONFIG.min_corners


def test_a_head_that_only_moves_sideways_proves_nothing() -> None:
    """Without a turn there is no depth to be seen."""
    assert turn(head, degrees=0.0, shift=25.0).verdict == PLANAR


def test_a_blank_face_has_too_few_corners() -> None:
    """What cannot be measured does not speak for life."""
    found = turn(head, blank=True)
    assert found.verdict == TOO_FEW_CORNERS
    assert found.residual is None


def test_without_pictures_there_is_nothing_to_judge() -> None:
    """None, one, or only old ones."""
    gate = PlanarityGate(CONFIG)
    assert gate.judge(vouched_s=1.0, until_s=1.0).verdict == TOO_FEW_CORNERS
    picture = texture()
    gate.add(*look(head, 0, 1.0, picture=picture))
    assert gate.judge(vouched_s=1.0, until_s=1.0).verdict == TOO_FEW_CORNERS
    gate.add(*look(head, 20, 1.2, picture=picture))
    assert gate.judge(vouched_s=1.2, until_s=1.2).corners > 0
    assert gate.judge(vouched_s=3.0, until_s=3.0).verdict == TOO_FEW_CORNERS
    gate.clear()
    assert gate.judge(vouched_s=1.2, until_s=1.2).corners == 0


def test_a_face_outside_the_picture_is_not_looked_at() -> None:
    """Nor one whose landmarks are no numbers."""
    gate = PlanarityGate(CONFIG)
    frame, face = look(head, 0, 1.0, picture=texture())
    for number, place in enumerate((np.float32(900), np.float32(-900), np.float32(math.nan))):
        moved = with_landmarks(face, (face.landmarks + place).astype(np.float32))
        gate.add(Frame(image=frame.image, captured_s=1.0 + number, number=number), moved)
    assert gate.judge(vouched_s=3.0, until_s=3.0) == Planarity(verdict=TOO_FEW_CORNERS, residual=None, corners=0)


def test_what_opencv_cannot_compute_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The challenge turns it into a denial."""

    def fail(*_: object, **__: object) -> None:
        raise cv2.error("broken")

    monkeypatch.setattr(cv2, "calcOpticalFlowPyrLK", fail)
    with pytest.raises(ModelError):
        turn(flat)


@given(
    st.integers(15, 120),
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.floats(-0.3, 0.3)] * 4),
    st.tuples(*[st.floats(-1e-3, 1e-3)] * 2),
)
def test_any_homography_leaves_no_residual(
    count: int, seed: int, linear: tuple[float, ...], perspective: tuple[float, ...]
) -> None:
    """A fifth of the corners may be anywhere."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(0, 200, (count, 2)).astype(np.float32)
    matrix = np.array([[1 + linear[0], linear[1], 5], [linear[2], 1 + linear[3], -7], [*perspective, 1]])
    last = cv2.perspectiveTransform(first[None].astype(np.float64), matrix)[0].astype(np.float32)
    astray = count // 5
    last[:astray] += rng.uniform(-40, 40, (astray, 2)).astype(np.float32)
    assert homography_residual(first, last) < 0.05


def test_corners_on_one_line_are_no_evidence_of_life() -> None:
    """Either no homography or a perfect one."""
    line = np.stack([np.arange(30), np.arange(30)], axis=1).astype(np.float32)
    residual = homography_residual(line, line + 3)
    assert not residual >= CONFIG.min_residual


def test_paper_that_comes_closer_does_not_enlarge_its_residual() -> None:
    """The unit is the larger of both inter-ocular distances."""
    gate = PlanarityGate(CONFIG)
    picture = texture()
    for number in range(13):
        frame, face = look(bent, 25.0 * min(1.0, number / 10), 1 + number * 0.04, picture=picture)
        zoom = 1 + 0.8 * number / 12
        matrix = np.array([[zoom, 0, 160 * (1 - zoom)], [0, zoom, 160 * (1 - zoom)]], np.float64)
        image = cv2.warpAffine(frame.image, matrix, (320, 320)).astype(np.uint8, copy=False)
        mesh = face.landmarks.copy()
        mesh[:, :2] = mesh[:, :2] * np.float32(zoom) + matrix[:, 2].astype(np.float32)
        whole = Frame(image=image, captured_s=frame.captured_s, number=frame.number)
        gate.add(whole, with_landmarks(face, mesh))
    assert gate.judge(vouched_s=1.48, until_s=1.48).verdict == PLANAR


def test_a_turn_that_does_not_hang_together_with_the_vouched_frame_is_not_spatial() -> None:
    """Another picture at rest, a head in the turn: the corners of the compared face are gone."""
    gate = PlanarityGate(CONFIG)
    pictures = texture(), np.ascontiguousarray(texture()[::-1, ::-1])
    for number in range(25):
        turning = number >= 10
        degrees = 25.0 * min(1.0, max(0, number - 10) / 10)
        gate.add(*look(head, degrees, 1 + number * 0.04, picture=pictures[turning]))
    assert gate.judge(vouched_s=1.9, until_s=1.96).verdict == SPATIAL
    assert gate.judge(vouched_s=1.2, until_s=1.96).verdict == TOO_FEW_CORNERS


def parts_in_place(mesh: Points) -> Points:
    """The mesh with eyes, nose and mouth where they are on a face; elsewhere in this file it is a plain grid."""
    placed: Points = mesh.copy()
    for part, (x, y) in zip(PARTS, ((136, 140), (184, 140), (160, 163), (160, 192)), strict=True):
        angles = np.linspace(0, 2 * math.pi, len(part), endpoint=False)
        placed[list(part), 0] = x + 15 * np.cos(angles)
        placed[list(part), 1] = y + 10 * np.sin(angles)
    return placed


def test_a_patterned_rim_that_stays_does_not_link_a_head_to_the_print_it_replaced() -> None:
    """The strongest corners lie on the rim and stay where they are; the parts of the face do not."""
    pictures = texture(), np.ascontiguousarray(texture()[::-1, ::-1])
    rim = np.kron(np.random.default_rng(1).integers(0, 2, (64, 64)), np.ones((5, 5))).astype(np.uint8) * 255
    ring = np.zeros((320, 320), np.uint8)
    cv2.ellipse(ring, (160, 160), (58, 74), 0, 0, 360, 255, 14)

    def judged(*, exchanged: bool) -> Planarity:
        gate = PlanarityGate(CONFIG)
        for number in range(25):
            degrees = 25.0 * min(1.0, max(0, number - 10) / 10)
            frame, face = look(head, degrees, 1 + number * 0.04, picture=pictures[exchanged and number >= 10])
            face = with_landmarks(face, parts_in_place(face.landmarks))
            image = frame.image.copy()
            image[ring > 0] = rim[ring > 0][:, None]
            gate.add(Frame(image=image, captured_s=frame.captured_s, number=frame.number), face)
        return gate.judge(vouched_s=1.2, until_s=1.96)

    assert judged(exchanged=True).verdict == TOO_FEW_CORNERS
    assert judged(exchanged=False).verdict != TOO_FEW_CORNERS
