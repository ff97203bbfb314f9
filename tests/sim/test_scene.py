"""The scene camera and its visitors, without any model and without a picture of anybody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from device.errors import CameraError, PhotoError
from device.sim.backdrop import hallway
from device.sim.camera import SceneCamera, Visitor, door_lens
from device.sim.clock import ManualClock
from device.sim.paper import PrintedPhoto
from device.sim.portrait import LANDMARKS, Portrait, build_portrait
from device.sim.signals import PromptBoard
from device.sim.visitor import RenderedVisitor, Walk, rotation
from device.types import Frame, Signal
from tests.sim.conftest import painted_landmarks, painted_photo

LENS = door_lens()


def scene(
    *visitors: Visitor, seed: int = 0, gap_s: float = 0.2, fps: int = 10
) -> tuple[SceneCamera, ManualClock, PromptBoard]:
    """An open scene."""
    clock = ManualClock()
    board = PromptBoard(clock=clock)
    camera = SceneCamera(visitors, clock=clock, prompts=board, gap_s=gap_s, seed=seed, fps=fps)
    camera.open()
    return camera, clock, board


def watch(camera: SceneCamera, board: PromptBoard, prompts: dict[float, Signal]) -> list[Frame]:
    """All frames, while the door shows a signal from each of the given times on."""
    frames = []
    due = sorted(prompts.items())
    while (frame := camera.read()) is not None:
        frames.append(frame)
        while due and frame.captured_s >= due[0][0]:
            board.show(due.pop(0)[1])
    return frames


@pytest.mark.parametrize("kind", [RenderedVisitor, PrintedPhoto])
def test_the_same_seed_and_prompts_give_the_same_frames(portrait: Portrait, kind: type[RenderedVisitor]) -> None:
    """To the last bit of noise; another seed gives others."""
    prompts = {2.0: Signal.TURN_LEFT, 3.5: Signal.DENIED}

    def play(seed: int) -> list[Frame]:
        camera, _, board = scene(kind(portrait, lens=LENS, seed=seed), seed=seed)
        return watch(camera, board, prompts)

    first, second, other = play(4), play(4), play(5)
    assert len(first) == len(second) > 40
    assert all(np.array_equal(one.image, two.image) for one, two in zip(first, second, strict=True))
    assert not np.array_equal(first[30].image, other[30].image)


def test_a_portrait_is_built_the_same_twice() -> None:
    """Though GrabCut starts at random."""
    one, two = (build_portrait(painted_photo(), painted_landmarks()) for _ in range(2))
    assert np.array_equal(one.textures[0].cutout, two.textures[0].cutout)
    assert np.array_equal(one.triangles, two.triangles)


def test_the_figure_is_cut_out_of_its_background(portrait: Portrait) -> None:
    """Face, hair and body stay; the wall goes."""
    alpha = portrait.textures[0].cutout[..., 3]
    for x, y in ((250, 260), (250, 120), (250, 400), (200, 600), (300, 600)):
        assert alpha[y, x] == 255, (x, y)
    for x, y in ((40, 40), (460, 40), (60, 260), (440, 260), (250, 30)):
        assert alpha[y, x] == 0, (x, y)


@pytest.mark.parametrize(
    ("landmarks", "reason"),
    [
        (np.zeros((468, 3), np.float32), "too_small"),
        (np.zeros((100, 3), np.float32), "no_mesh"),
        (np.full((468, 3), np.nan, np.float32), "no_mesh"),
    ],
)
def test_a_portrait_needs_a_face(landmarks: np.ndarray, reason: str) -> None:
    """Small ones, and what is none, are refused with a word."""
    with pytest.raises(PhotoError) as caught:
        build_portrait(painted_photo(), landmarks)
    assert caught.value.reason == reason


def test_each_read_moves_the_clock_to_its_frame(portrait: Portrait) -> None:
    """The scene has its own time; numbers count up by one."""
    camera, clock, _ = scene(RenderedVisitor(portrait, lens=LENS, walk=Walk(patience_s=1.0)), fps=25)
    number = 0
    while (frame := camera.read()) is not None:
        number += 1
        assert frame.number == number
        assert frame.captured_s == clock.monotonic() == pytest.approx(number / 25)
        assert frame.image.shape == (480, 640, 3)
        assert frame.image.dtype == np.uint8
    assert camera.read() is None


def test_a_frame_is_nobody_elses(portrait: Portrait) -> None:
    """What was read stays as it was."""
    camera, _, _ = scene(RenderedVisitor(portrait, lens=LENS))
    first = camera.read()
    assert first is not None
    kept = first.image.copy()
    for _ in range(20):
        camera.read()
    assert np.array_equal(first.image, kept)


def test_a_scene_that_is_not_open_cannot_be_read(portrait: Portrait) -> None:
    """Nor after it was closed; closing twice is harmless."""
    clock = ManualClock()
    camera = SceneCamera([], clock=clock, prompts=PromptBoard(clock=clock))
    with pytest.raises(CameraError):
        camera.read()
    camera.open()
    assert camera.read() is not None
    camera.close()
    camera.close()
    with pytest.raises(CameraError):
        camera.read()


def test_a_live_scene_waits_for_the_world() -> None:
    """Each read is told to sleep for what is left of the frame's period; one that is not live never sleeps."""
    for live in (False, True):
        slept: list[float] = []
        clock = ManualClock()
        camera = SceneCamera(
            [], clock=clock, prompts=PromptBoard(clock=clock), fps=10, gap_s=1.0, live=live, wait=slept.append
        )
        assert camera.live is live
        camera.open()
        for _ in range(5):
            camera.read()
        assert (len(slept) == 5) is live
        assert all(0 <= pause <= 0.6 for pause in slept)
        assert not live or max(slept) > 0.05


def test_visitors_come_one_after_the_other_with_nobody_between(portrait: Portrait) -> None:
    """A gap before, between and after; each leaves on a verdict of the own visit."""
    walk = Walk(approach_s=0.5, leave_s=0.5)
    visitors = [RenderedVisitor(portrait, lens=LENS, walk=walk, seed=seed) for seed in range(2)]
    camera, _, board = scene(*visitors, gap_s=0.5, fps=20)
    frames = watch(camera, board, {2.0: Signal.DENIED, 3.9: Signal.IDLE, 5.0: Signal.GRANTED})
    empty = hallway(640, 480, seed=0).astype(int)
    busy = [float(np.abs(frame.image - empty).mean()) > 3 for frame in frames]
    changes = [
        round(frame.captured_s, 1)
        for frame, before, now in zip(frames[1:], busy, busy[1:], strict=False)
        if before != now
    ]
    assert len(changes) == 4, changes
    assert not busy[0]
    assert not busy[-1]
    assert changes[2] - changes[1] >= 0.4


def test_a_verdict_of_the_visit_before_sends_nobody_away(portrait: Portrait) -> None:
    """The door may show the last one's denial when the next one comes."""
    camera, _, board = scene(RenderedVisitor(portrait, lens=LENS, walk=Walk(patience_s=3.0)), gap_s=0.5)
    board.show(Signal.DENIED)
    frames = watch(camera, board, {})
    assert frames[-1].captured_s > 4.0


def test_a_visitor_without_a_verdict_loses_patience(portrait: Portrait) -> None:
    """A scene always ends."""
    camera, _, board = scene(PrintedPhoto(portrait, lens=LENS, walk=replace(Walk(), patience_s=1.0)))
    assert watch(camera, board, {})[-1].captured_s < 4.0


def column_of_eyes(frame: Frame) -> float:
    """Column in which the painted irises, the only bright blue things, lie on average."""
    blue = frame.image[..., 0].astype(int) - frame.image[..., 2] > 60
    return float(np.nonzero(blue)[1].mean())


@pytest.mark.parametrize(("signal", "sign"), [(Signal.TURN_LEFT, 1), (Signal.TURN_RIGHT, -1)])
def test_a_turn_goes_where_the_prompt_says(portrait: Portrait, signal: Signal, sign: int) -> None:
    """The person's left is the picture's right; the eyes move there."""
    camera, _, board = scene(RenderedVisitor(portrait, lens=LENS, seed=1), fps=20)
    frames = watch(camera, board, {3.0: signal, 5.0: Signal.DENIED})
    before, after = (next(frame for frame in frames if frame.captured_s >= at_s) for at_s in (3.0, 4.9))
    assert sign * (column_of_eyes(after) - column_of_eyes(before)) > 5


def test_rotation_has_the_signs_of_a_pose() -> None:
    """Own left: the nose goes right. Up: it goes up. Clockwise: the crown goes right."""
    nose, crown = np.array([0, 0, -1.0]), np.array([0, -1.0, 0])
    assert (rotation(20, 0, 0) @ nose)[0] > 0
    assert (rotation(0, 20, 0) @ nose)[1] < 0
    assert (rotation(0, 0, 20) @ crown)[0] > 0
    assert np.allclose(rotation(30, 20, 10) @ rotation(30, 20, 10).T, np.eye(3), atol=1e-6)


def test_landmarks_stay_the_first_vertices_and_triangles_are_sound(portrait: Portrait) -> None:
    """The lids are moved by their index."""
    assert np.allclose(portrait.vertices[10, 0] - portrait.vertices[152, 0], 0, atol=1e-3)
    assert (portrait.follow[:LANDMARKS] == 1).all()
    assert portrait.triangles.min() >= 0
    assert portrait.triangles.max() < len(portrait.vertices)
    assert len(portrait.triangles) > 1000
