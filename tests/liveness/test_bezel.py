"""The bezel cue: frames around a face score high, rooms behind it low; broken input is an error, never a number."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.errors import ModelError
from device.sim.backdrop import hallway
from device.sim.camera import SceneCamera, Visitor
from device.sim.clock import ManualClock
from device.sim.signals import PromptBoard
from device.types import Box, Image
from device.vision.liveness.bezel import BEZEL_LIMIT, BezelFinder
from tests.liveness.conftest import Stage
from tests.liveness.test_clips import ASL, clip, tracks
from tests.vision.conftest import Models

WIDTH, HEIGHT = 640, 480
#: A face of 70 x 86 pixels in the middle: its side is 78.
FACE: Final = Box(285, 197, 70, 86)
SIDE: Final = 78.0
DARK, BRIGHT = (14, 14, 16), (240, 242, 244)


def wall(seed: int = 0) -> Image:
    """Light that falls off to the side and below, and the sensor's noise; to be painted on."""
    return np.array(_wall(seed))


@functools.cache
def _wall(seed: int) -> Image:
    across = np.linspace(190, 130, WIDTH)[None, :, None]
    down = np.linspace(1.0, 0.8, HEIGHT)[:, None, None]
    noise = np.random.default_rng(seed).normal(0, 3, (HEIGHT, WIDTH, 3))
    return np.asarray(np.clip(across * down * np.array([0.95, 1.0, 1.03]) + noise, 0, 255), np.uint8)


def person(picture: Image) -> Image:
    """A head and shoulders before whatever is there, as the box ``FACE`` frames it."""
    half = ((20, 270), (22, 312), (95, 345), (115, 375), (125, HEIGHT + 5))
    body = [*((320 + x, y) for x, y in half), *((320 - x, y) for x, y in reversed(half))]
    cv2.fillPoly(picture, [np.array(body, np.int32)], (70, 60, 50), cv2.LINE_AA)
    cv2.ellipse(picture, (320, 235), (39, 54), 0, 0, 360, (120, 150, 200), -1, cv2.LINE_AA)
    return picture


def corners(
    *, half_width: float = 1.2, half_height: float = 1.6, lean_deg: float = 0.0, keystone: float = 0.0
) -> NDArray[np.float32]:
    """A sheet about the face, (4, 2) pixels; the keystone makes its upper edge shorter by that share."""
    shape = np.array([(-1 + keystone, -1), (1 - keystone, -1), (1, 1), (-1, 1)]) * (half_width, half_height)
    turn = math.radians(lean_deg)
    turned = shape @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return np.asarray(turned * SIDE + FACE.centre, np.float32)


def held_up(back: Image, content: Image, at: NDArray[np.float32], *, frame: tuple[int, int, int] = DARK) -> Image:
    """A screen or a print before the camera: the content with a frame, its outer corners at ``at``, softened."""
    framed = cv2.copyMakeBorder(content, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=frame)
    height, width = framed.shape[:2]
    sheet = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(sheet, at)
    shown = cv2.warpPerspective(framed, matrix, (WIDTH, HEIGHT))
    cover = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, (WIDTH, HEIGHT)) > 127
    mixed = np.where(cover[..., None], shown, back)
    return np.asarray(cv2.GaussianBlur(mixed, (0, 0), 0.8), np.uint8)


def replay(at: NDArray[np.float32], *, frame: tuple[int, int, int] = DARK) -> Image:
    """A person on a drawn screen or print."""
    low, high = at.min(axis=0), at.max(axis=0)
    content = person(wall(1))[int(max(low[1], 0)) : int(high[1]), int(max(low[0], 0)) : int(high[0])]
    return held_up(wall(), content, at, frame=frame)


def rooms() -> dict[str, Image]:
    """What hangs or stands behind a living person, who hides the part that lies behind head and shoulders."""
    made = {name: wall() for name in ("nothing", "door post", "shelf", "door", "picture", "monitor aside")}
    cv2.rectangle(made["door post"], (410, -5), (428, HEIGHT + 5), (90, 110, 130), -1, cv2.LINE_AA)
    cv2.rectangle(made["shelf"], (-5, 150), (WIDTH + 5, 162), (60, 70, 90), -1, cv2.LINE_AA)
    cv2.rectangle(made["door"], (222, 70), (418, HEIGHT + 5), (70, 90, 110), 7, cv2.LINE_AA)
    cv2.rectangle(made["picture"], (250, 60), (390, 205), DARK, 7, cv2.LINE_AA)
    cv2.rectangle(made["monitor aside"], (430, 190), (600, 300), DARK, -1, cv2.LINE_AA)
    return {
        "hallway": person(hallway(WIDTH, HEIGHT, seed=3)),
        "noise": np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
        **{name: person(picture) for name, picture in made.items()},
    }


# ---- Frames around a face


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.9, 2.0),
    st.floats(1.1, 2.0),
    st.floats(-18, 18),
    st.floats(0, 0.12),
    st.sampled_from([DARK, BRIGHT]),
)
def test_a_frame_around_the_face_is_found_at_any_tilt_and_size(
    half_width: float, half_height: float, lean_deg: float, keystone: float, frame: tuple[int, int, int]
) -> None:
    """Dark as a bezel or white as a margin, leaning, tilted backward."""
    at = corners(half_width=half_width, half_height=half_height, lean_deg=lean_deg, keystone=keystone)
    assert BEZEL_LIMIT <= BezelFinder().score(replay(at, frame=frame), FACE) <= 4.0


def test_without_the_frame_the_same_picture_is_not() -> None:
    """The control: what the screen shows, the wall around it, the face."""
    assert BezelFinder().score(replay(corners()), FACE) >= 3.5
    assert BezelFinder().score(person(wall()), FACE) < BEZEL_LIMIT


@pytest.mark.parametrize("missing", ["left", "right", "upper", "lower"])
def test_an_edge_may_be_out_of_view(missing: str) -> None:
    """The picture is cut so that one edge of the screen lies outside of it; the other three reach its border."""
    picture, box = replay(corners(half_width=1.4, half_height=1.7)), FACE
    if missing == "left":
        picture, box = picture[:, 225:], Box(box.x - 225, box.y, box.width, box.height)
    elif missing == "right":
        picture = picture[:, :415]
    elif missing == "upper":
        picture, box = picture[120:], Box(box.x, box.y - 120, box.width, box.height)
    else:
        picture = picture[:360]
    assert BezelFinder().score(picture, box) >= BEZEL_LIMIT


def test_the_frame_counts_whatever_way_the_picture_lies() -> None:
    """Turned by a right angle and mirrored: rows are judged as columns are."""
    finder = BezelFinder()
    picture = replay(corners(half_width=1.0, half_height=1.7, lean_deg=7))
    score = finder.score(picture, FACE)
    turned = np.ascontiguousarray(np.rot90(picture))
    assert finder.score(turned, Box(FACE.y, WIDTH - FACE.x - FACE.width, FACE.height, FACE.width)) == pytest.approx(
        score, abs=0.25
    )
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    assert finder.score(mirrored, Box(WIDTH - FACE.x - FACE.width, *_rest(FACE))) == pytest.approx(score, abs=0.25)


def _rest(box: Box) -> tuple[float, float, float]:
    return box.y, box.width, box.height


# ---- Rooms behind a face


@settings(max_examples=40, deadline=None)
@given(st.integers(-40, 150), st.integers(50, 180), st.integers(180, 270))
def test_what_hangs_or_stands_behind_a_person_is_no_frame(upper: int, half_width: int, lower: int) -> None:
    """Pictures and windows that end behind the head, doors that end behind the body or out of view, of any size."""
    picture = wall()
    cv2.rectangle(picture, (320 - half_width, upper), (320 + half_width, lower), DARK, 7, cv2.LINE_AA)
    assert BezelFinder().score(person(picture), FACE) < BEZEL_LIMIT
    door = wall()
    cv2.rectangle(door, (320 - half_width, upper), (320 + half_width, HEIGHT + 20), DARK, 7, cv2.LINE_AA)
    assert BezelFinder().score(person(door), FACE) < BEZEL_LIMIT


@pytest.mark.parametrize("room", rooms())
def test_a_room_behind_a_person_is_no_frame(room: str) -> None:
    """Lines on one or two sides, or a rectangle whose lower edge the person hides."""
    assert BezelFinder().score(rooms()[room], FACE) < BEZEL_LIMIT


def test_lines_that_end_in_mid_air_are_no_sides() -> None:
    """Three sides of a rectangle in full view score less than the same three cut by the picture's border."""
    finder = BezelFinder()
    open_below = wall()
    for start, end in (((230, 110), (230, 320)), ((410, 110), (410, 320)), ((230, 110), (410, 110))):
        cv2.line(open_below, start, end, DARK, 6, cv2.LINE_AA)
    assert finder.score(open_below, FACE) < BEZEL_LIMIT
    assert finder.score(open_below[:318], FACE) >= BEZEL_LIMIT


@pytest.mark.parametrize("name", ["help", "bird", "book", "female", "female-and-male"])
def test_recorded_people_are_below_the_limit_until_they_are_shown_on_a_phone(
    shared: Path, models: Models, name: str
) -> None:
    """Nine samples of ten at least; the control shows the very same frames on a phone in an empty hallway."""
    finder = BezelFinder()
    back = hallway(WIDTH, HEIGHT, seed=1)
    at = corners(half_width=1.05, half_height=1.75, lean_deg=5, keystone=0.04)
    judged = 0
    for seen in tracks(models, clip(shared, name)).values():
        samples = seen[:: 6 if name in ASL else 2]
        if len(samples) < 4:
            continue
        live = [finder.score(frame.image, face.box) for frame, face in samples]
        assert np.mean(np.array(live) < BEZEL_LIMIT) >= 0.9
        phone = []
        for frame, face in samples:
            side, (x, y) = (face.box.width + face.box.height) / 2, face.box.centre
            size = round(2.1 * SIDE) - 24, round(3.5 * SIDE) - 24  # without the bezel
            scale = SIDE / side
            cut = np.array([[scale, 0, size[0] / 2 - scale * x], [0, scale, size[1] / 2 - scale * y]])
            content = cv2.warpAffine(frame.image, cut, size, borderMode=cv2.BORDER_REFLECT)
            phone.append(finder.score(held_up(back, np.asarray(content, np.uint8), at), FACE))
        assert np.median(phone) >= BEZEL_LIMIT
        judged += 1
    assert judged >= 1


def test_a_rendered_print_is_above_the_limit_and_a_rendered_visitor_below(stage: Stage) -> None:
    """Both in the same hallway, with a door behind them."""

    def median(visitor: Visitor) -> float:
        clock = ManualClock()
        camera = SceneCamera([visitor], clock=clock, prompts=PromptBoard(clock=clock), gap_s=0.2, fps=10)
        camera.open()
        vision, finder = stage.models.pipeline(), BezelFinder()
        scores: list[float] = []
        while (frame := camera.read()) is not None and len(scores) < 8:
            faces = vision.observe(frame).faces
            if faces and frame.number > 25:
                scores.append(finder.score(frame.image, faces[0].box))
        assert len(scores) == 8
        return float(np.median(scores))

    assert median(stage.print_of("obama")) >= BEZEL_LIMIT
    assert median(stage.visitor("obama")) < BEZEL_LIMIT


# ---- What may come from a camera


def test_the_same_picture_scores_the_same_whatever_was_seen_before() -> None:
    """The buffers hold a larger picture of other lines before."""
    picture = replay(corners(lean_deg=3))
    fresh = BezelFinder().score(picture, FACE)
    used = BezelFinder()
    large = np.asarray(cv2.resize(rooms()["door"], (1920, 1440)), np.uint8)
    used.score(large, Box(800, 500, 260, 300))
    used.score(picture[:40, :40], Box(5, 5, 20, 20))
    assert used.score(picture, FACE) == fresh


def test_the_picture_is_left_as_it_was() -> None:
    """A frame is read by others too, and a part of it need not be contiguous."""
    picture = replay(corners())
    before = picture.copy()
    picture.flags.writeable = False
    BezelFinder().score(picture, FACE)
    assert np.array_equal(picture, before)


def test_the_distance_of_the_camera_does_not_matter() -> None:
    """The same scene at half and at three times the resolution."""
    finder = BezelFinder()
    picture = replay(corners())
    score = finder.score(picture, FACE)
    for scale in (0.5, 3.0):
        scaled = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        box = Box(FACE.x * scale, FACE.y * scale, FACE.width * scale, FACE.height * scale)
        assert finder.score(scaled, box) == pytest.approx(score, abs=0.3)


@given(
    st.floats(-900, 1500),
    st.floats(-900, 1500),
    st.floats(0, 4000),
    st.floats(0, 4000),
    st.integers(2, 200),
    st.integers(2, 200),
)
@settings(deadline=None)
def test_every_box_has_a_score_or_is_refused(
    x: float, y: float, face_width: float, face_height: float, width: int, height: int
) -> None:
    """At the border, larger than the picture, a thin strip: 0..4, never NaN."""
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    try:
        score = BezelFinder().score(picture, Box(x, y, face_width, face_height))
    except ModelError:
        assert face_width < 1 or face_height < 1 or not (-face_width < x < width and -face_height < y < height)
        return
    assert 0.0 <= score <= 4.0


@pytest.mark.parametrize("extreme", [1e300, 1.7e308])
def test_a_face_of_absurd_size_has_no_frame(extreme: float) -> None:
    """Finite and around the picture: nothing overflows, nothing is found."""
    assert BezelFinder().score(person(wall()), Box(-extreme / 2, -extreme / 2, extreme, extreme)) == 0.0


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_picture_without_anything_in_it_scores_zero(shade: int) -> None:
    """The lens covered, or the sun in it."""
    assert BezelFinder().score(np.full((HEIGHT, WIDTH, 3), shade, np.uint8), FACE) == 0.0


@pytest.mark.parametrize(
    "box",
    [
        Box(280, 200, 0, 100),
        Box(280, 200, 80, 0.9),
        Box(280, 200, -80, 100),
        Box(math.nan, 200, 80, 100),
        Box(280, math.inf, 80, 100),
        Box(280, 200, math.nan, 100),
        Box(280, 200, 80, math.inf),
        Box(640, 200, 80, 100),
        Box(280, 480, 80, 100),
        Box(-80, 200, 80, 100),
        Box(280, -100, 80, 100),
    ],
)
def test_a_box_without_a_face_in_the_picture_is_refused(box: Box) -> None:
    """Broken, not harmless: a zero would say that there is no frame."""
    with pytest.raises(ModelError, match="face box"):
        BezelFinder().score(wall(), box)


@pytest.mark.parametrize("shape", [(480, 640), (480, 640, 1), (480, 640, 4), (0, 640, 3), (1, 640, 3)])
def test_a_picture_that_is_not_bgr_is_refused(shape: tuple[int, ...]) -> None:
    """Grey, with alpha, empty."""
    with pytest.raises(ModelError, match="cannot be judged"):
        BezelFinder().score(np.zeros(shape, np.uint8), FACE)


def test_a_picture_of_floats_is_refused() -> None:
    """Its range is unknown."""
    with pytest.raises(ModelError, match="cannot be judged"):
        BezelFinder().score(np.zeros((480, 640, 3), np.float32), FACE)
