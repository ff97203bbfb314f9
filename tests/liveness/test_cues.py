"""What one frame says about life: each cue is what its own part measures, and moves with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from device.access.doubts import doubts_about
from device.errors import ModelError
from device.types import Box, Cues, Doubt, Face, Image, Scene
from device.vision.landmarks import box_of
from device.vision.liveness.bezel import BezelFinder
from device.vision.liveness.cues import FrameCues
from device.vision.liveness.face_box import face_box
from device.vision.liveness.light import measure_light
from device.wiring.liveness import LIMITS
from tests.liveness.conftest import sample
from tests.vision.conftest import face_points

#: Of the networks, of every frame.
LIVE = 0.75


@dataclass
class Scorer:
    """Networks that remember what they were shown."""

    shown: list[tuple[Image, Box]] = field(default_factory=list)
    broken: bool = False

    def score(self, image: Image, box: Box) -> Any:
        """One and the same, or an error."""
        if self.broken:
            raise ModelError("broken")
        self.shown.append((image, box))
        return SimpleNamespace(live=LIVE)


def standing(image: Image, *, size: float = 1.0, faces: int = 1) -> tuple[Scene, Face]:
    """A face in the middle of a picture of 640 x 480, 128 pixels wide times ``size``, and others without a place."""
    frame, face = sample(1.0, 0.0, 0.0)
    landmarks = face_points()
    landmarks[:, :2] = (landmarks[:, :2] - 96) * np.float32(size) + np.array([320, 240], np.float32)
    face = replace(face, landmarks=landmarks, box=box_of(landmarks))
    return Scene(replace(frame, image=image), (face,) * faces), face


def room() -> Image:
    """A wall with a gentle slope of light, and a face of one colour before it."""
    picture: Image = np.full((480, 640, 3), (150, 120, 90), np.uint8)
    cv2.ellipse(picture, (320, 240), (70, 80), 0, 0, 360, (120, 140, 190), -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 8), np.uint8)


def darkened(image: Image) -> Image:
    return np.asarray(image * 0.3, np.uint8)


def faded(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def burnt(image: Image) -> Image:
    bright: Image = image.copy()
    bright[:, :150] = 255
    return bright


def grainy(image: Image) -> Image:
    # The same in all three channels: grain, and no colour of its own.
    grain = np.random.default_rng(0).normal(0, 8, image.shape[:2])[..., np.newaxis]
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def framed(image: Image) -> Image:
    screen: Image = image.copy()
    cv2.rectangle(screen, (200, 100), (440, 400), (20, 20, 20), 6)
    return screen


def read(image: Image, **parts: Any) -> Cues:
    """What the door measures of such a picture."""
    return FrameCues(cast("Any", Scorer())).read(*standing(image, **parts))


def test_each_number_is_that_of_its_own_part() -> None:
    """The networks and the light look at the box that YuNet would draw, the bezel at the mesh's own."""
    picture, scorer = framed(grainy(room())), Scorer()
    scene, face = standing(picture, faces=3)
    theirs = face_box(face.landmarks)
    assert theirs != face.box, "the control: it matters which"
    light = measure_light(picture, theirs)
    assert FrameCues(cast("Any", scorer)).read(scene, face) == Cues(
        live=LIVE,
        faces=3,
        bezel=BezelFinder().score(picture, face.box),
        burnt=light.burnt,
        chroma=light.chroma,
        brightness=light.brightness,
        noise=light.noise,
        context=light.context,
        sharpness=face.quality.sharpness,
    )
    assert [(image is picture, box) for image, box in scorer.shown] == [(True, theirs)]


def test_an_ordinary_picture_is_in_doubt_about_nothing() -> None:
    """The control of what follows."""
    assert doubts_about(read(room()), LIMITS) == frozenset()


@pytest.mark.parametrize(
    ("damage", "cue", "doubt"),
    [
        (darkened, "brightness", Doubt.LOW_LIGHT),
        (faded, "chroma", Doubt.GREY),
        (burnt, "burnt", Doubt.BURNT_BACKGROUND),
        (grainy, "noise", Doubt.NOISE),
        (framed, "bezel", Doubt.BEZEL),
    ],
)
def test_what_is_done_to_a_picture_moves_its_cue_beyond_the_doors_limit(
    damage: Callable[[Image], Image], cue: str, doubt: Doubt
) -> None:
    """And raises its own doubt alone: a cue that told one and the same number would raise none."""
    before, after = read(room()), read(damage(room()))
    assert getattr(before, cue) != getattr(after, cue)
    assert doubts_about(after, LIMITS) == {doubt}


def test_a_face_that_fills_the_picture_and_one_among_others_raise_their_doubts() -> None:
    assert doubts_about(read(room(), size=2.4), LIMITS) == {Doubt.LITTLE_CONTEXT}
    assert doubts_about(read(room(), faces=2), LIMITS) == {Doubt.SEVERAL_FACES}


def test_the_sharpness_is_the_one_that_the_pipeline_measured() -> None:
    scene, face = standing(room())
    blurred = replace(face, quality=replace(face.quality, sharpness=3.0))
    found = FrameCues(cast("Any", Scorer())).read(scene, blurred)
    assert found.sharpness == 3.0
    assert doubts_about(found, LIMITS) == {Doubt.BLUR}


def test_without_networks_everything_else_is_measured_all_the_same() -> None:
    alone = FrameCues(None)
    assert not alone.passive
    assert FrameCues(cast("Any", Scorer())).passive
    found = alone.read(*standing(room()))
    assert found.live is None
    assert replace(found, live=LIVE) == read(room())


def test_what_cannot_be_measured_is_an_error_and_no_number() -> None:
    """A network that fails, and a face outside of the picture."""
    with pytest.raises(ModelError):
        FrameCues(cast("Any", Scorer(broken=True))).read(*standing(room()))
    scene, face = standing(room())
    away = face.landmarks + np.array([900, 0, 0], np.float32)
    with pytest.raises(ModelError):
        FrameCues(None).read(scene, replace(face, landmarks=away, box=box_of(away)))


def test_no_cue_is_left_out() -> None:
    """Should another be added, the first test above says so by name."""
    assert {each.name for each in fields(Cues)} == {
        "live", "faces", "bezel", "burnt", "chroma", "brightness", "noise", "context", "sharpness",
    }  # fmt: skip
