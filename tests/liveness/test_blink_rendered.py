"""Real irises: a recorded blink counts, lids drawn shut count, a photograph and a print that nods never do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.sim.camera import door_lens
from device.sim.motion import Reach
from device.sim.paper import PrintedPhoto
from device.sim.portrait import Portrait
from device.sim.visitor import Walk
from device.types import Image, Points, Signal
from device.vision.backends.onnx import OnnxSession
from device.vision.iris import EyeReader
from device.vision.landmarks import MeshFace, head_pose, locate_detected, roi_of_landmarks
from device.vision.liveness import blink
from device.vision.liveness.blink import BlinkCounter
from tests.liveness.conftest import Stage
from tests.liveness.test_clips import clip_frames
from tests.vision.conftest import Models

FPS = 30


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
