"""Recorded people who were never asked anything: nobody is proven, and no real turn looks flat."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from device.config import LivenessConfig
from device.types import Face, Frame, LivenessState, Reason, Signal
from device.vision.liveness.challenge import HeadTurnChallenge
from device.vision.liveness.planarity import PLANAR, SPATIAL, PlanarityGate
from device.vision.liveness.prompts import PromptCourses
from tests.vision.conftest import Models

CONFIG = LivenessConfig()
ASL = ("again", "bird", "book", "help", "learn", "no", "thanks", "yes")
HEADS = ("female", "male", "female-and-male")
#: A baseline, and three times a prompt, a turn and the way back.
THREE_TURNS_S = 6.0
#: A track of fewer frames is a glimpse, and stays one.
MIN_FRAMES = 10


def course(seed: int) -> tuple[Signal, ...]:
    """Three prompts."""
    return PromptCourses(random.Random(seed)).draw(3)  # noqa: S311  # repeatable


def clip_frames(path: Path) -> list[Frame]:
    """All frames, at the recording's own times."""
    frames = []
    if path.suffix == ".gif":
        now_s = 0.0
        with Pillow.open(path) as gif:
            for number in range(getattr(gif, "n_frames", 1)):
                gif.seek(number)
                frames.append(Frame(np.ascontiguousarray(np.array(gif.convert("RGB"))[..., ::-1]), now_s, number))
                now_s += gif.info.get("duration", 40) / 1000
        return frames
    video = cv2.VideoCapture(str(path))
    while (read := video.read())[0]:
        frames.append(Frame(read[1].astype(np.uint8, copy=False), len(frames) / 30, len(frames)))
    video.release()
    return frames


def tracks(models: Models, path: Path) -> dict[int, list[tuple[Frame, Face]]]:
    """Each track of the clip, frame by frame."""
    vision = models.pipeline()
    found: dict[int, list[tuple[Frame, Face]]] = {}
    for frame in clip_frames(path):
        for face in vision.observe(frame).faces:
            found.setdefault(face.track, []).append((frame, face))
    return found


def there_and_back(seen: list[tuple[Frame, Face]], *, seconds: float) -> list[tuple[Frame, Face]]:
    """A track forward and backward, at its own mean rate, until it has lasted so long."""
    if len(seen) < MIN_FRAMES:
        return seen
    gap_s = (seen[-1][0].captured_s - seen[0][0].captured_s) / (len(seen) - 1)
    course = [*seen, *seen[-2:0:-1]]
    played = []
    for number in range(math.ceil(seconds / gap_s)):
        frame, face = course[number % len(course)]
        now_s = number * gap_s
        played.append(
            (Frame(frame.image, now_s, number), replace(face, frame_number=number, captured_s=now_s, track=1))
        )
    return played


def clip(shared: Path, name: str) -> Path:
    """A sign language clip or a head-pose GIF by its short name."""
    if name in ASL:
        return shared / "clips" / f"intel_asl_{name}.mkv"
    return shared / "clips" / f"intel_head-pose-face-detection-{name}.gif"


@pytest.mark.parametrize("name", [*ASL, *HEADS])
def test_nobody_who_was_not_asked_is_proven(shared: Path, models: Models, name: str) -> None:
    """Ten challenges per track, each shown as much as three turns take.

    That is 5 s, and only ``male`` is so long (5.1 s); the others, of 1.7 to 4.6 s, go on forward and backward.
    """
    for seen in tracks(models, clip(shared, name)).values():
        for seed in range(10):
            challenge = HeadTurnChallenge(CONFIG, gate=PlanarityGate(CONFIG), prompts=course(seed))
            for frame, face in there_and_back(seen, seconds=THREE_TURNS_S):
                status = challenge.observe(frame, face, vouched_s=face.captured_s)
                assert status.state is not LivenessState.PROVEN
                if status.state is LivenessState.FAILED:
                    break


@pytest.mark.parametrize("name", ["again", "book", "thanks"])
def test_a_clip_that_is_long_enough_ends_with_no_response(shared: Path, models: Models, name: str) -> None:
    """Played forward and backward, so that the prompt's time runs out before the recording."""
    seen = max(tracks(models, clip(shared, name)).values(), key=len)
    challenge = HeadTurnChallenge(CONFIG, gate=PlanarityGate(CONFIG), prompts=course(1))
    status = None
    for frame, face in there_and_back(seen, seconds=THREE_TURNS_S):
        status = challenge.observe(frame, face, vouched_s=face.captured_s)
        if status.state is not LivenessState.PENDING:
            break
    assert status is not None
    assert (status.state, status.reason) == (LivenessState.FAILED, Reason.NO_RESPONSE)


def test_real_head_turns_are_never_planar(shared: Path, models: Models) -> None:
    """The woman turns her head; at 12 frames per second and 58 pixels some turns have too few corners."""
    (seen,) = (track for track in tracks(models, clip(shared, "female")).values() if len(track) > 15)
    turns = 0
    for end in range(6, len(seen), 6):
        until_s = seen[end][0].captured_s
        window = [pair for pair in seen[: end + 1] if pair[0].captured_s >= until_s - CONFIG.planarity_window_s]
        if abs(window[-1][1].pose.yaw_deg - window[0][1].pose.yaw_deg) < CONFIG.turn_deg:
            continue
        gate = PlanarityGate(CONFIG)
        for frame, face in window:
            gate.add(frame, face)
        found = gate.judge(vouched_s=until_s, until_s=until_s)
        assert found.verdict != PLANAR, found
        turns += found.verdict == SPATIAL
    assert turns >= 1
