"""What counts as a blink, sample by sample; then real lids, real irises and a print that nods."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from device.sim.camera import door_lens
from device.sim.motion import Reach
from device.sim.paper import PrintedPhoto
from device.sim.portrait import Portrait
from device.sim.visitor import Walk
from device.types import Image, Points, Pose, Signal
from device.vision.backends.onnx import OnnxSession
from device.vision.iris import EyeReader
from device.vision.landmarks import MeshFace, head_pose, locate_detected, roi_of_landmarks
from device.vision.liveness import blink
from device.vision.liveness.blink import CLOSED_RATIO, LEARN_S, MAX_BLINK_S, MAX_GAP_S, OPEN_RATIO, BlinkCounter
from tests.liveness.conftest import Stage
from tests.liveness.test_clips import clip_frames
from tests.vision.conftest import Models

STRAIGHT = Pose(0.0, 0.0, 0.0)
FPS = 30
OPEN = 0.25


def feed(
    counter: BlinkCounter,
    values: list[float],
    *,
    begin_s: float = 0.0,
    pose: Callable[[int], Pose] = lambda _: STRAIGHT,
    face_px: float = 150.0,
    fps: float = FPS,
) -> float:
    """Feed openings one frame apart; the time of the next one."""
    for number, value in enumerate(values):
        counter.add(begin_s + number / fps, value, pose=pose(number), face_px=face_px)
    return begin_s + len(values) / fps


def looking(seconds: float = 1.0) -> list[float]:
    """Open eyes."""
    return [OPEN] * round(seconds * FPS)


def closing(*, closed: int = 4, depth: float = 0.3, lids: int = 2) -> list[float]:
    """Lids that go down in ``lids`` frames, stay for ``closed`` frames and come up as fast; then open eyes."""
    down = np.linspace(1.0, depth, lids + 1)[1:-1].tolist()
    return [OPEN * share for share in [*down, *[depth] * closed, *down[::-1]]] + looking(0.2)


def count(values: list[float], **how: object) -> int:
    """The blinks of one run of openings."""
    counter = BlinkCounter()
    feed(counter, values, **how)  # type: ignore[arg-type]
    return counter.blinks


# ---- What counts


@given(
    closed=st.integers(2, 8), depth=st.floats(0.0, 0.6), lids=st.integers(1, 4), fps=st.sampled_from([25, 30, 50, 60])
)
def test_a_closing_and_reopening_counts_once(closed: int, depth: float, lids: int, fps: int) -> None:
    """At any speed of camera and lids within a blink's time."""
    assume((closed + 2 * lids) / fps < MAX_BLINK_S)
    values = [*looking(2.0), *closing(closed=closed, depth=depth, lids=lids)]
    assert count(values, fps=fps) == 1


@given(eye=st.floats(0.05, 0.6), blinks=st.integers(0, 5))
def test_each_blink_counts_whatever_the_eye(eye: float, blinks: int) -> None:
    """Narrow and wide eyes alike: only the share of the own open eye matters."""
    values = [*looking(), *itertools.chain.from_iterable([*closing(), *looking()] for _ in range(blinks))]
    assert count([value * eye / OPEN for value in values]) == blinks


def test_a_blink_before_the_open_eye_is_known_does_not_count() -> None:
    """Half a second of open eyes first."""
    early = round((LEARN_S - 0.1) * FPS)
    assert count([*[OPEN] * early, *closing()]) == 0
    assert count([*[OPEN] * (early + 6), *closing()]) == 1


# ---- What never counts


@given(st.lists(st.floats(-0.02, 0.02), min_size=60, max_size=200), st.floats(0.12, 0.4))
def test_a_photograph_measured_with_noise_never_counts(noise: list[float], eye: float) -> None:
    """Up to a sixth of the opening, either way."""
    assert count([eye * (1 + value / 0.12) for value in noise]) == 0


@given(at=st.lists(st.integers(20, 200), min_size=1, max_size=20), value=st.floats(0.0, 0.6))
def test_single_noisy_samples_never_count(at: list[int], value: float) -> None:
    """However low, as long as an open eye lies between."""
    values = looking(8.0)
    for place in at:
        if OPEN == values[place - 1] == values[place + 1]:
            values[place] = value * OPEN
    assert count(values) == 0


@given(down_s=st.floats(0.7, 10.0), depth=st.floats(0.0, 0.6), up_s=st.floats(0.03, 5.0))
def test_a_slow_drift_never_counts(down_s: float, depth: float, up_s: float) -> None:
    """Somebody looks down, a print is lowered, light changes: down slowly, up at any speed."""
    down = np.linspace(1.0, depth, round(down_s * FPS)).tolist()
    up = np.linspace(depth, 1.0, max(round(up_s * FPS), 2)).tolist()
    assert count([*looking(), *[OPEN * share for share in [*down, *up]], *looking(0.3)]) == 0


@given(st.integers(math.ceil(MAX_BLINK_S * FPS) + 1, 200))
def test_eyes_that_stay_closed_never_count(closed: int) -> None:
    """A hand before the eyes, a nap, a look at the floor."""
    assert count([*looking(), *closing(closed=closed)]) == 0


def test_eyes_that_never_reopen_do_not_count() -> None:
    """From an open photograph to a closed one."""
    assert count([*looking(), *[0.1 * OPEN] * 90]) == 0


def test_a_half_closed_eye_does_not_count() -> None:
    """Between the two ratios there is no evidence; a little lower there is."""
    assert count([*looking(), *closing(depth=(CLOSED_RATIO + OPEN_RATIO) / 2, lids=1)]) == 0
    assert count([*looking(), *closing(depth=CLOSED_RATIO - 0.01, lids=1)]) == 1


@given(place=st.integers(0, 6), gap=st.floats(MAX_GAP_S * 1.01, 5.0))
def test_a_gap_in_time_inside_a_blink_never_counts(place: int, gap: float) -> None:
    """Nobody knows what was seen meanwhile: an exchange of two photographs is no blink."""
    counter = BlinkCounter()
    values = closing()
    now_s = feed(counter, [*looking(), *values[:place]])
    feed(counter, values[place:], begin_s=now_s - 1 / FPS + gap)
    assert counter.blinks == 0


@given(fps=st.floats(5.0, 16.0))
def test_a_slow_camera_counts_nothing(fps: float) -> None:
    """A blink falls between its frames."""
    assert count([*looking(3.0), *closing()], fps=fps) == 0


@pytest.mark.parametrize("step_s", [0.0, -1 / 30, math.nan, math.inf])
def test_time_that_does_not_advance_counts_nothing(step_s: float) -> None:
    """Stopped, backward, no number."""
    counter = BlinkCounter()
    now_s = 0.0
    for value in [*looking(), *closing(), *looking()]:
        counter.add(now_s, value, pose=STRAIGHT, face_px=150.0)
        now_s += step_s
    assert counter.blinks == 0


@given(place=st.integers(0, 6), bad=st.sampled_from([math.nan, math.inf, -math.inf, -0.1]))
def test_what_is_no_opening_ends_the_evidence(place: int, bad: float) -> None:
    """Inside a blink; afterwards the open eye is learned anew, and the next blink counts."""
    values = closing()
    broken = [*values[:place], bad, *values[place:]]
    assert count([*looking(), *broken]) == 0
    assert count([*looking(), *broken, *looking(), *closing()]) == 1


@pytest.mark.parametrize(
    "pose", [Pose(30.0, 0, 0), Pose(-45.0, 0, 0), Pose(math.nan, 0, 0), Pose(0, math.nan, 0), Pose(0, math.inf, 0)]
)
def test_a_turned_head_counts_nothing(pose: Pose) -> None:
    """One eye is hidden then; nor does a pose that is no number."""
    assert count([*looking(), *closing()], pose=lambda _: pose) == 0


@pytest.mark.parametrize("face_px", [119.9, 0.0, -200.0, math.nan])
def test_a_small_face_counts_nothing(face_px: float) -> None:
    """Its lids are a pixel apart."""
    assert count([*looking(), *closing()], face_px=face_px) == 0


@pytest.mark.parametrize("axis", ["yaw", "pitch"])
@pytest.mark.parametrize(("moved_deg", "blinks"), [(3.9, 1), (4.2, 0), (-4.2, 0), (-15.0, 0)])
def test_eyes_that_close_while_the_head_moves_do_not_count(axis: str, moved_deg: float, blinks: int) -> None:
    """A nod narrows the eyes of a print; a blink at rest counts wherever the head points."""

    def pose(number: int) -> Pose:
        away = 10.0 + (moved_deg if number >= 32 else 0.0)
        return Pose(away, 0, 0) if axis == "yaw" else Pose(0, away, 0)

    assert count([*looking(), *closing()], pose=pose) == blinks


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
        ),
        max_size=60,
    )
)
def test_no_numbers_break_the_counter(samples: list[tuple[float, float, float, float]]) -> None:
    """Whatever comes: no exception, and too few samples for a blink."""
    counter = BlinkCounter()
    for captured_s, openness, angle, face_px in samples:
        counter.add(captured_s, openness, pose=Pose(angle, angle, angle), face_px=face_px)
    assert counter.blinks == 0


# ---- Real models


@pytest.fixture(scope="module")
def eyes(door_pack: Path) -> EyeReader:
    """The iris model of the pack ``door``."""
    return EyeReader(OnnxSession((door_pack / "iris.onnx").read_bytes(), model="iris", threads=1))


class Watcher:
    """Follows the only face of a scene with the mesh and counts its blinks."""

    def __init__(self, models: Models, eyes: EyeReader, *, face_px: float | None = None) -> None:
        self._models = models
        self._eyes = eyes
        self._face_px = face_px
        self._face: MeshFace | None = None
        self.counter = BlinkCounter()

    def see(self, image: Image, now_s: float) -> None:
        """One frame."""
        mesh, face = self._models.mesh, self._face
        if face is None or face.presence < 0.5:
            found = self._models.detector.detect(image)
            if not found:
                return
            nearest = max(found, key=lambda one: one.box.area)
            face = locate_detected(mesh, image, nearest)
        else:
            face = mesh.locate(image, roi_of_landmarks(face.landmarks, face.box))
        self._face = face
        openness = self._eyes.openness(image, face.landmarks)
        width = face.box.width if self._face_px is None else self._face_px
        self.counter.add(now_s, openness, pose=head_pose(face.landmarks), face_px=width)


def test_a_recorded_blink_counts(
    shared: Path, models: Models, eyes: EyeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The larger face of a recording of two people; too small and too slow for the door, so both limits are lifted."""
    frames = clip_frames(shared / "clips" / "intel_head-pose-face-detection-female-and-male.gif")
    strict = Watcher(models, eyes)
    for frame in frames:
        strict.see(frame.image, frame.captured_s)
    assert strict.counter.blinks == 0
    monkeypatch.setattr(blink, "MAX_GAP_S", 0.1)
    watcher = Watcher(models, eyes, face_px=150.0)
    for frame in frames:
        watcher.see(frame.image, frame.captured_s)
    assert watcher.counter.blinks == 1


def nodding(portrait: Portrait, *, seconds: float = 2.5) -> Iterator[tuple[Image, float]]:
    """A print close to the camera whose upper edge goes to and fro, 2.5 times a second, after a second at rest."""
    reach = Reach(yaw_deg=52.0, up_deg=40.0, down_deg=40.0, turn_s=0.2, reaction_s=0.0, spread=0.0)
    still = Walk(far_m=0.33, near_m=0.33, side_m=0.0, approach_s=0.01)
    sheet = PrintedPhoto(portrait, lens=door_lens(), seed=1, walk=still, reach=reach)
    background: Image = np.full((480, 640, 3), 128, np.uint8)
    for number in range(round(seconds * FPS)):
        now_s = 1.0 + number / FPS
        nods = max(0, (number - FPS) // 6)
        prompt = (Signal.LOOK_STRAIGHT, Signal.LOOK_UP, Signal.LOOK_DOWN)[0 if nods == 0 else 1 + nods % 2]
        canvas = background.copy()
        sheet.draw(canvas, now_s=now_s, prompt=prompt, since_s=now_s)
        yield canvas, now_s


def test_a_nodding_print_never_counts(
    stage: Stage, models: Models, eyes: EyeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its eyes narrow as fast as lids close; without the rule on moving heads it does blink."""
    for limit, blinking in ((blink.MAX_MOVE_DEG, False), (90.0, True)):
        monkeypatch.setattr(blink, "MAX_MOVE_DEG", limit)
        watcher = Watcher(models, eyes)
        for image, now_s in nodding(stage.portraits["obama2"]):
            watcher.see(image, now_s)
        assert (watcher.counter.blinks > 0) is blinking


#: Mesh points of the lids of both eyes from the picture's left, and the corners.
UPPER = ((246, 161, 160, 159, 158, 157, 173), (398, 384, 385, 386, 387, 388, 466))
LOWER = ((7, 163, 144, 145, 153, 154, 155), (382, 381, 380, 374, 373, 390, 249))
CORNERS = ((33, 133), (362, 263))


def lids_shut(image: Image, landmarks: Points, share: float) -> Image:
    """Skin drawn over both eyes down to ``share`` of their height, with a dark line where the lids meet."""
    drawn = image.copy()
    for upper, lower, corners in zip(UPPER, LOWER, CORNERS, strict=True):
        left, right = landmarks[list(corners), :2]
        width = float(np.linalg.norm(right - left))
        above = np.vstack([left, landmarks[list(upper), :2], right]) - np.array((0, 0.05 * width))
        below = np.vstack([left, landmarks[list(lower), :2], right]) + np.array((0, 0.03 * width))
        edge = above + (below - above) * share
        x, y = (landmarks[upper[3], :2] - (0, 0.16 * width)).astype(int).tolist()
        reach = max(1, int(0.06 * width))
        skin = image[y - reach : y + reach + 1, x - reach : x + reach + 1].reshape(-1, 3).mean(axis=0)
        area = np.vstack([above - (0, 0.03 * width), edge[::-1]])
        cv2.fillPoly(drawn, [np.rint(area * 16).astype(np.int32)], skin.tolist(), cv2.LINE_AA, 4)
        line = [np.rint(edge * 16).astype(np.int32)]
        cv2.polylines(drawn, line, False, (skin * 0.45).tolist(), max(1, round(0.05 * width)), cv2.LINE_AA, 4)
    return np.asarray(drawn, np.uint8)


@pytest.mark.parametrize("name", ["obama3", "biden"])
def test_lids_drawn_shut_on_a_photograph_count_and_the_photograph_does_not(
    stage: Stage, models: Models, eyes: EyeReader, name: str
) -> None:
    """The same picture twice, with five frames of closing, closed and opening lids and without."""
    photo, points = stage.photos[name], stage.landmarks[name]
    scale = 160.0 / (points[:, 0].max() - points[:, 0].min())
    place = np.array([[scale, 0, 320 - scale * points[:, 0].mean()], [0, scale, 240 - scale * points[:, 1].mean()]])
    small = np.asarray(cv2.warpAffine(photo, place, (640, 480), flags=cv2.INTER_AREA), np.uint8)
    there = points.copy()
    there[:, :2] = points[:, :2] @ place[:, :2].T + place[:, 2]
    courses = {0: [0.0] * 6, 1: [0.5, 1.0, 1.0, 1.0, 0.5, 0.0]}
    for blinks, course in courses.items():
        watcher = Watcher(models, eyes)
        for number, share in enumerate([*[0.0] * 20, *course, *[0.0] * 6]):
            noise = np.random.default_rng(number).normal(0, 2, small.shape)
            frame = lids_shut(small, there, share) if share else small
            watcher.see(np.clip(frame + noise, 0, 255).astype(np.uint8), number / FPS)
        assert watcher.counter.blinks == blinks
