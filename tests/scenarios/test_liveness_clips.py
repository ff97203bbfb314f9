"""Recorded people and recaptured pictures before the door with the passive networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.config import Config
from device.keys import StateKeys
from device.types import Frame, Image, PassiveEvidence, PassiveVerdict, Reason
from device.wiring.models import Vision, load_vision, open_pack
from tests.liveness.test_clips import ASL, clip_frames
from tests.scenarios.conftest import SCENE_PLUS
from tests.scenarios.onlookers import Onlooker, look, still_scene

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def vision(door_plus_state: Path, door_plus_keys: StateKeys) -> Vision:
    return load_vision(open_pack(door_plus_state, SCENE_PLUS, door_plus_keys), SCENE_PLUS)


def sample(shared: Path, name: str) -> Image:
    picture = cv2.imread(str(shared / "clips" / f"minifasnet_sample_{name}.jpg"))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def looped(frames: list[Frame], seconds: float) -> list[Frame]:
    """A short clip forward and backward, so that the door has its time."""
    gap_s = (frames[-1].captured_s - frames[0].captured_s) / max(1, len(frames) - 1)
    course = frames + frames[-2:0:-1]
    count = int(seconds / gap_s)
    return [Frame(course[n % len(course)].image, n * gap_s, n) for n in range(count)]


def not_vetoed(found: list[Onlooker]) -> bool:
    return all(each.settled is None or each.settled.reason is not Reason.VETOED for each in found)


@pytest.mark.parametrize("name", ASL)
def test_recorded_people_at_a_desk_are_accepted_or_asked_and_never_vetoed(
    shared: Path, vision: Vision, name: str
) -> None:
    found = look(looped(clip_frames(shared / "clips" / f"intel_asl_{name}.mkv"), 6.0), vision, SCENE_PLUS)
    assert found
    assert not_vetoed(found)
    assert any(each.accepted or each.challenged for each in found)


@pytest.mark.parametrize("name", ["female", "male"])
def test_recorded_people_who_turn_their_heads_are_accepted_or_asked_and_never_vetoed(
    shared: Path, vision: Vision, name: str
) -> None:
    found = look(
        looped(clip_frames(shared / "clips" / f"intel_head-pose-face-detection-{name}.gif"), 6.0), vision, SCENE_PLUS
    )
    assert found
    assert not_vetoed(found)
    assert any(each.accepted or each.challenged for each in found)


def test_a_couple_that_never_looks_at_the_door_is_neither_accepted_nor_vetoed(shared: Path, vision: Vision) -> None:
    """The nearer of them looks down by 30 degrees all the time, the other one leans: nobody is even compared."""
    clip = shared / "clips" / "intel_head-pose-face-detection-female-and-male.gif"
    found = look(looped(clip_frames(clip), 6.0), vision, SCENE_PLUS)
    assert not_vetoed(found)
    assert not any(each.proven for each in found)


@pytest.mark.parametrize("jitter_px", [0.0, 3.0])
@pytest.mark.parametrize("name", ["F1", "F2"])
def test_recaptured_pictures_are_never_accepted(shared: Path, vision: Vision, name: str, jitter_px: float) -> None:
    """Nor proven in any other way, ten seconds each. F1 looks 33 degrees aside: here it is not even compared."""
    found = look(still_scene(sample(shared, name), seconds=10, jitter_px=jitter_px), vision, SCENE_PLUS)
    assert bool(found) == (name == "F2")
    assert not any(each.proven for each in found)


@pytest.mark.parametrize("jitter_px", [0.0, 3.0])
def test_a_recaptured_picture_that_the_networks_recognise_is_vetoed_within_a_second(
    shared: Path, vision: Vision, jitter_px: float
) -> None:
    (only,) = look(still_scene(sample(shared, "F2"), seconds=4, jitter_px=jitter_px), vision, SCENE_PLUS)
    assert only.settled is not None
    assert only.settled.reason is Reason.VETOED
    assert only.settled_s is not None
    assert only.first_compared_s is not None
    assert only.settled_s - only.first_compared_s <= 1.0


def without(*sides: str, compared: bool = False) -> Config:
    """The door without sides of the near-frontal gate; ``compared``: who looks far aside is compared as well."""
    liveness = SCENE_PLUS.liveness.model_copy(update={f"passive_max_{side}_deg": 60.0 for side in sides})
    vision = SCENE_PLUS.vision.model_copy(update={"max_yaw_deg": 60.0, "max_roll_deg": 60.0} if compared else {})
    return SCENE_PLUS.model_copy(update={"liveness": liveness, "vision": vision})


def leaning(picture: Image, degrees: float) -> Image:
    """A picture that is held so."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turned = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def answers(judged: Onlooker) -> PassiveEvidence:
    """What the networks had said in the end."""
    passive = judged.statuses[-1].evidence.passive
    assert passive is not None
    return passive


def test_a_picture_that_looks_aside_is_never_judged_and_refused(shared: Path, vision: Vision) -> None:
    """T1, 18 degrees aside: near enough to be compared, too far for the networks to be asked, alive as it looks."""
    (gated,) = look(still_scene(sample(shared, "T1"), seconds=6), vision, SCENE_PLUS)
    assert answers(gated).samples == 0
    assert not gated.proven
    assert gated.settled is not None
    assert gated.settled.reason is Reason.POOR_QUALITY


def test_without_the_yaw_gate_the_picture_that_looks_aside_is_accepted(shared: Path, vision: Vision) -> None:
    """The control: one side of the gate taken away and nothing else, and a still picture is in."""
    (judged,) = look(still_scene(sample(shared, "T1"), seconds=3), vision, without("yaw"))
    assert judged.accepted


def test_a_face_that_leans_is_never_judged_and_refused(shared: Path, vision: Vision) -> None:
    """A recorded person by 23 degrees; the control: without the roll gate the same face is accepted."""
    upright = looped(clip_frames(shared / "clips" / "intel_asl_bird.mkv"), 4.0)
    frames = [replace(frame, image=leaning(frame.image, 23.0)) for frame in upright]
    (gated,) = look(frames, vision, SCENE_PLUS)
    assert answers(gated).samples == 0
    assert not gated.proven
    assert gated.settled is not None
    assert gated.settled.reason is Reason.POOR_QUALITY
    (judged,) = look(frames, vision, without("roll"))
    assert judged.accepted


def test_a_recaptured_picture_far_aside_is_not_accepted_without_the_gate_either(shared: Path, vision: Vision) -> None:
    """F1, by 33 degrees, is judged then, every time, and found no better than undecided: not the gate's merit."""
    gone = without("yaw", "roll", compared=True)
    (judged,) = look(still_scene(sample(shared, "F1"), seconds=6, jitter_px=3.0), vision, gone)
    assert answers(judged).samples > 0
    assert answers(judged).verdict in (PassiveVerdict.UNDECIDED, PassiveVerdict.SPOOF)
    assert not judged.proven
