"""Corners on textured sheets and on a textured head, drawn without any photograph."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device.config import LivenessConfig
from device.errors import ModelError
from device.types import Face, Frame, Image, Points
from device.vision.landmarks import box_of
from device.vision.liveness import corners, planarity
from device.vision.liveness.corners import PARTS, crop, evened, find, normalised
from device.vision.liveness.planarity import PLANAR, SPATIAL, TOO_FEW_CORNERS, Planarity, PlanarityGate
from tests.liveness.conftest import sample

CONFIG = LivenessConfig()
FACE_PX = 120.0
#: How deep a surface lies at each place, all in widths of a face; smaller is nearer.
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


def rolled(x: Points, y: Points) -> Points:
    """A sheet round a tube of 6.5 cm radius."""
    radius = 0.065 / 0.1
    return np.asarray(radius - np.sqrt(np.maximum(radius**2 - x**2, 0.01)), dtype=np.float32)


def head(x: Points, y: Points) -> Points:
    """An egg half as deep as wide, with a nose a quarter of its width high."""
    egg = 0.5 * (1 - np.sqrt(np.maximum(1 - (x / 0.62) ** 2 - (y / 0.85) ** 2, 0.0)))
    return np.asarray(egg - 0.25 * np.exp(-((x / 0.13) ** 2) - ((y - 0.05) / 0.2) ** 2), dtype=np.float32)


def mesh_places() -> Points:
    """Where the landmarks lie, (468, 2) in face widths: a grid, and the parts of a face where they are on one."""
    x, y = np.meshgrid(np.linspace(-0.41, 0.41, 18), np.linspace(-0.53, 0.53, 26))
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    for part, (middle_x, middle_y) in zip(PARTS, ((-0.2, -0.17), (0.2, -0.17), (0.0, 0.03), (0.0, 0.27)), strict=True):
        angles = np.linspace(0, 2 * math.pi, len(part), endpoint=False)
        places[list(part), 0] = middle_x + 0.12 * np.cos(angles)
        places[list(part), 1] = middle_y + 0.08 * np.sin(angles)
    places[[33, 263]] = ((-0.3, -0.15), (0.3, -0.15))
    return places.astype(np.float32)


PLACES = mesh_places()


def look(surface: Surface, degrees: float, now_s: float, *, picture: Image, shift: float = 0.0) -> tuple[Frame, Face]:
    """A frame in which the surface is turned about its vertical axis, seen from four face widths, and the face there.

    Whatever the surface is, its landmarks are as deep as a head: the mesh knows nothing but faces.
    """
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
        outline = there[[row, row, row + 1, row + 1], [column, column + 1, column + 1, column]]
        shade = int(picture[int((row + 0.5) * 2.5), int((column + 0.5) * 2.5)])
        cv2.fillConvexPoly(canvas, np.rint(outline * 16).astype(np.int32), shade, shift=4)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.8)
    frame, face = sample(now_s, degrees, 0.0, frame=round(now_s * 1000))
    columns, rows = np.rint((PLACES.T + 0.6) / 1.2 * 160).astype(int)
    mesh = np.column_stack([there[rows, columns], head(*PLACES.T) * FACE_PX]).astype(np.float32)
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


@pytest.mark.parametrize("degrees", [25.0, -25.0])
def test_a_head_that_turns_is_spatial(degrees: float) -> None:
    """With room to both limits."""
    found = turn(head, degrees=degrees)
    assert found.verdict == SPATIAL
    assert found.residual is not None
    assert found.residual > 1.3 * CONFIG.min_residual
    assert found.parallax is not None
    assert found.error is not None
    assert found.parallax - found.error > 1.3 * CONFIG.min_parallax


@pytest.mark.parametrize("degrees", [15.0, 25.0, 50.0])
def test_a_flat_sheet_that_turns_is_planar(degrees: float) -> None:
    """By the homography alone."""
    found = turn(flat, degrees=degrees)
    assert found.verdict == PLANAR
    assert found.residual is not None
    assert found.residual < CONFIG.min_residual
    assert found.corners >= CONFIG.min_corners


@pytest.mark.parametrize("degrees", [25.0, -25.0, 50.0])
@pytest.mark.parametrize("surface", [bent, rolled])
def test_a_sheet_that_is_not_flat_is_planar_too(surface: Surface, degrees: float) -> None:
    """By the parallax, whatever the homography thinks of it."""
    found = turn(surface, degrees=degrees)
    assert found.verdict == PLANAR
    assert found.parallax is not None
    assert found.parallax < 0.6 * CONFIG.min_parallax


def test_the_homography_alone_takes_a_rolled_sheet_for_a_head() -> None:
    """The control: without the parallax it would be let in."""
    found = turn(rolled, degrees=25.0)
    assert found.residual is not None
    assert found.residual >= CONFIG.min_residual


def lit_plane(slopes: tuple[float, ...], *, gain: float, degrees: float) -> Planarity:
    """A flat sheet that turns in 0.4 s while the slopes of brightness along x and y go from two values to two."""
    gate = PlanarityGate(CONFIG)
    picture = texture()
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 320), np.linspace(-0.5, 0.5, 320))
    square = np.array([[-0.6, -0.6], [0.6, -0.6], [0.6, 0.6], [-0.6, 0.6]])
    for number in range(11):
        share = number / 10
        angle = math.radians(degrees * share)

        def seen(points: Points, angle: float = angle) -> Points:
            far = 1 + math.sin(angle) * points[:, 0] / 4
            placed = np.stack([math.cos(angle) * points[:, 0], points[:, 1]], axis=1) / far[:, None]
            return (placed * FACE_PX + 160).astype(np.float32)

        matrix = cv2.getPerspectiveTransform(((square + 0.6) / 1.2 * 400).astype(np.float32), seen(square))
        sheet = cv2.warpPerspective(picture, matrix, (320, 320), borderValue=90)
        along_x = slopes[0] + (slopes[2] - slopes[0]) * share
        along_y = slopes[1] + (slopes[3] - slopes[1]) * share
        light = np.maximum(0.05, (1 + (gain - 1) * share) * (1 + along_x * x + along_y * y))
        grey = np.clip(sheet * light, 0, 255).astype(np.uint8)
        frame, face = sample(1 + number * 0.04, degrees * share, 0.0, frame=number)
        mesh = np.column_stack([seen(PLACES), head(*PLACES.T) * FACE_PX]).astype(np.float32)
        image = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
        gate.add(Frame(image=image, captured_s=frame.captured_s, number=number), with_landmarks(face, mesh))
    return gate.judge(vouched_s=1.4, until_s=1.4)


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
    st.tuples(*[st.floats(-0.8, 0.8)] * 4),
    st.floats(0.5, 1.2),
    st.floats(-45.0, 45.0).filter(lambda degrees: abs(degrees) > 10),
)
@example(slopes=(-0.8, -0.8, 0.8, 0.8), gain=0.5, degrees=35.0)
@settings(deadline=None, max_examples=30)
def test_light_that_changes_leaves_a_flat_sheet_flat(slopes: tuple[float, ...], gain: float, degrees: float) -> None:
    """A lamp that glides over it while it turns leaves less than a quarter of what a face must have."""
    found = lit_plane(slopes, gain=gain, degrees=degrees)
    assert found.verdict == PLANAR
    assert found.residual is not None
    assert found.residual < 0.25 * CONFIG.min_residual


def test_a_shade_that_glides_over_a_flat_sheet_bends_what_is_not_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: as it is, the picture of the same sheet leaves several times the residual."""
    slopes = (-0.9, 0.0, 0.9, 0.3)
    with_it = lit_plane(slopes, gain=0.6, degrees=35.0)
    monkeypatch.setattr(corners, "normalised", lambda grey, **_: grey)
    without = lit_plane(slopes, gain=0.6, degrees=35.0)
    assert with_it.residual is not None
    assert without.residual is not None
    assert with_it.residual < CONFIG.min_residual
    assert without.residual > 1.5 * with_it.residual


def test_the_local_mean_is_taken_out() -> None:
    """Half the light gives nearly the same picture; black stays finite."""
    grey = texture()
    whole, half = (normalised(picture, radius=20.0).astype(int) for picture in (grey, grey // 2))
    assert np.abs(whole - half).mean() < 4
    assert abs(float(whole.mean()) - 110) < 6
    assert np.ptp(normalised(np.zeros((40, 30), np.uint8), radius=20.0)) == 0


def test_no_corner_lies_in_an_eye() -> None:
    """What looks out of the holes of a mask is no evidence about the mask."""
    view = crop(*look(head, 0.0, 1.0, picture=texture()), step=None)
    assert view is not None
    places = find(evened(view))
    assert len(places) > 30
    for eye in (PARTS[0][:16], PARTS[1][:16]):
        outline = cv2.convexHull(np.ascontiguousarray(view.points[list(eye)]))
        middle = outline.mean(axis=0)
        wide = ((outline - middle) * 1.6 + middle).astype(np.float32)
        assert all(cv2.pointPolygonTest(wide, (float(x), float(y)), measureDist=False) < 0 for x, y in places)


def held_nearer(times: float) -> Planarity:
    """A bent sheet that is so many times as near in the end as when its turn begins."""
    gate = PlanarityGate(CONFIG)
    picture = texture()
    for number in range(13):
        frame, face = look(bent, 25.0 * min(1.0, number / 10), 1 + number * 0.04, picture=picture)
        zoom = 1 + (times - 1) * number / 12
        matrix = np.array([[zoom, 0, 160 * (1 - zoom)], [0, zoom, 160 * (1 - zoom)]], np.float64)
        image = cv2.warpAffine(frame.image, matrix, (320, 320)).astype(np.uint8, copy=False)
        mesh = face.landmarks.copy()
        mesh[:, :2] = mesh[:, :2] * np.float32(zoom) + matrix[:, 2].astype(np.float32)
        whole = Frame(image=image, captured_s=frame.captured_s, number=frame.number)
        gate.add(whole, with_landmarks(face, mesh))
    return gate.judge(vouched_s=1.48, until_s=1.48)


def test_paper_that_comes_closer_does_not_enlarge_its_residual() -> None:
    """The unit is the larger of both inter-ocular distances: in the smaller one it would be 1.8 times as much."""
    still, nearer = held_nearer(1.0), held_nearer(1.8)
    assert nearer.verdict == PLANAR
    assert still.residual is not None
    assert nearer.residual is not None
    assert nearer.residual < CONFIG.min_residual
    assert nearer.residual < 1.4 * still.residual


def test_a_turn_that_does_not_hang_together_with_the_vouched_frame_is_not_spatial() -> None:
    """Another picture at rest, a head in the turn: the corners of the compared face are gone."""
    gate = PlanarityGate(CONFIG)
    pictures = texture(), np.ascontiguousarray(texture()[::-1, ::-1])
    for number in range(33):
        degrees = 25.0 * min(1.0, max(0, number - 18) / 10)
        gate.add(*look(head, degrees, 1 + number * 0.04, picture=pictures[number >= 10]))
    assert gate.judge(vouched_s=1.9, until_s=2.28).verdict == SPATIAL
    assert gate.judge(vouched_s=1.2, until_s=2.28).verdict == TOO_FEW_CORNERS


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
            image = frame.image.copy()
            image[ring > 0] = rim[ring > 0][:, None]
            gate.add(Frame(image=image, captured_s=frame.captured_s, number=frame.number), face)
        return gate.judge(vouched_s=1.2, until_s=1.96)

    assert judged(exchanged=True).verdict == TOO_FEW_CORNERS
    assert judged(exchanged=False).verdict != TOO_FEW_CORNERS


def test_a_slow_turn_is_judged_from_where_it_began() -> None:
    """Its last 0.8 seconds show a twentieth of it."""
    gate = PlanarityGate(CONFIG)
    picture = texture()
    for number in range(13):
        gate.add(*look(head, 30.0 * min(1.0, number / 6), 1 + number * 0.15, picture=picture))
    assert gate.judge(vouched_s=1.0, until_s=2.8).verdict == SPATIAL


def test_of_a_fast_turn_only_the_last_part_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen from the other side has few corners left: as a whole the same turn would not be decided."""
    gate = PlanarityGate(CONFIG)
    picture = texture()
    for number in range(13):
        gate.add(*look(head, -30.0 + 90.0 * number / 12, 1 + number * 0.06, picture=picture))
    found = gate.judge(vouched_s=1.72, until_s=1.72)
    assert found.verdict == SPATIAL
    monkeypatch.setattr(planarity, "_FURTHEST_DEG", 1000.0)
    whole = gate.judge(vouched_s=1.72, until_s=1.72)
    assert whole.verdict == TOO_FEW_CORNERS, "the control"
    assert whole.corners < 0.8 * found.corners
