"""The passive networks in bad light: where they err, the light says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.types import Box, Image
from device.vision.backends.onnx import OnnxSession
from device.vision.liveness.light import BLUR_LIMIT, measure_light
from device.vision.liveness.passive import PassiveScorer
from device.vision.photo import find_faces
from device.vision.quality import Gates
from device.vision.yunet import YuNetDetector
from tests.liveness.test_clips import clip_frames
from tests.liveness.test_light import doubts
from tests.vision.conftest import Models


@dataclass(frozen=True)
class Plus:
    """Detector and passive networks of the pack ``door-plus``."""

    detector: YuNetDetector
    scorer: PassiveScorer

    def look(self, image: Image) -> Box:
        """The largest face."""
        return max((found.box for found in self.detector.detect(image)), key=lambda box: box.area)


@pytest.fixture(scope="module")
def plus(door_plus_pack: Path) -> Iterator[Plus]:
    """Loaded once."""
    names = ("detector", "pad_close", "pad_wide")
    one, two, three = (
        OnnxSession((door_plus_pack / f"{name}.onnx").read_bytes(), model=name, threads=1) for name in names
    )
    yield Plus(YuNetDetector(one, min_score=0.7, max_faces=4), PassiveScorer(two, three))
    for session in (one, two, three):
        session.close()


def sample(shared: Path, name: str) -> Image:
    """One of upstream's pictures: F1 and F2 are recaptured, T1 is alive."""
    image = cv2.imread(str(shared / "clips" / f"minifasnet_sample_{name}.jpg"))
    assert image is not None
    return np.asarray(image, np.uint8)


def living(shared: Path, name: str, number: int = 0) -> Image:
    """A frame of a recording."""
    image: Image = clip_frames(shared / "clips" / name)[number].image
    return image


def burn(image: Image, box: Box) -> Image:
    """Everything but head and shoulders 1.6 times as bright."""
    keep = np.zeros(image.shape[:2], np.uint8)
    x, y = box.centre
    cv2.ellipse(keep, ((x, y - 0.05 * box.height), (1.25 * box.width, 1.3 * box.height), 0), 255, -1)
    soft = cv2.GaussianBlur(keep, (0, 0), 0.04 * box.width)[..., np.newaxis] / 255
    bright = np.minimum(image * 1.6 + 24, 255)
    return np.asarray(image * soft + bright * (1 - soft), np.uint8)


def tint(image: Image, share: float = 0.0, *, by: tuple[float, float, float] = (0.7, 0.9, 1.0)) -> Image:
    """Colours faded to ``share`` of themselves, then multiplied."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., np.newaxis].astype(np.float32)
    return np.asarray(np.clip((grey + (image - grey) * share) * np.array(by), 0, 255), np.uint8)


def dim(image: Image, share: float = 0.3) -> Image:
    """Less light, noise of 4 levels."""
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    return np.clip(image * share + noise, 0, 255).astype(np.uint8)


LIVING = ("intel_asl_again.mkv", "intel_asl_bird.mkv", "intel_asl_book.mkv", "intel_head-pose-face-detection-male.gif")


@pytest.mark.parametrize("name", [*LIVING, "F1", "F2", "T1"])
def test_undamaged_pictures_are_within_every_limit(shared: Path, plus: Plus, name: str) -> None:
    """Living people in an office, and upstream's samples."""
    image = living(shared, name) if name in LIVING else sample(shared, name)
    assert not doubts(measure_light(image, plus.look(image)))


def test_where_a_burnt_background_lets_a_replay_pass_the_light_says_so(shared: Path, plus: Plus) -> None:
    """F1 passes the pair then; as it is, it does not."""
    image = sample(shared, "F1")
    box = plus.look(image)
    assert plus.scorer.score(image, box).live < 0.25
    burnt = burn(image, box)
    assert plus.scorer.score(burnt, box).live > 0.8
    assert "burnt" in doubts(measure_light(burnt, box))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_where_tinted_grey_lets_a_replay_pass_the_light_says_so(shared: Path, plus: Plus, share: float) -> None:
    """Warm light on a picture without hues of its own, or with few."""
    image = sample(shared, "F1")
    box = plus.look(image)
    pale = tint(image, share)
    assert plus.scorer.score(pale, box).live > 0.8
    assert "grey" in doubts(measure_light(pale, box))


@pytest.mark.parametrize("name", ["F1", "F2"])
def test_where_darkness_lets_a_replay_pass_the_light_says_so(shared: Path, plus: Plus, name: str) -> None:
    """A tenth of the light, without the noise of a sensor; at a quarter it does not pass, and is dark already."""
    image = sample(shared, name)
    box = plus.look(image)
    assert plus.scorer.score(image, box).live < 0.25

    def shaded(share: float) -> float:
        dark = np.asarray(image * share, np.uint8)
        assert doubts(measure_light(dark, box)) == {"dark"}
        return plus.scorer.score(dark, box).live

    assert shaded(0.25) < 0.25
    assert shaded(0.095) > {"F1": 0.8, "F2": 0.5}[name]


@pytest.mark.parametrize(
    ("damage", "doubt"), [(lambda image: tint(image, by=(1, 1, 1)), "grey"), (dim, "dark"), (dim, "noise")]
)
def test_where_the_living_are_rejected_the_light_says_so(
    shared: Path, plus: Plus, damage: Callable[[Image], Image], doubt: str
) -> None:
    """Each recorded person is in doubt, and at least one of them is rejected."""
    rejected = 0
    for name in LIVING:
        image = living(shared, name)
        box = plus.look(image)
        assert plus.scorer.score(image, box).live > 0.9
        damaged = damage(image)
        rejected += plus.scorer.score(damaged, box).live < 0.5
        assert doubt in doubts(measure_light(damaged, box))
    assert rejected > 0


def test_where_blur_rejects_the_living_the_sharpness_is_below_its_limit(
    shared: Path, plus: Plus, models: Models
) -> None:
    """Each recorded person is too blurred to judge then, and two of four are taken for spoofs; no replay gains by it.

    The sharpness is the pipeline's own measure of a face, of which only the limit stands here.
    """

    def sharpness(image: Image) -> float:
        gates = Gates(0, 0, 0, 255, 1, 0, 90, 90, 90)
        (face, *_) = find_faces(image, detector=models.detector, mesh=models.mesh, min_presence=0.5, gates=gates)
        return face.quality.sharpness

    def blurred(image: Image, box: Box) -> Image:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.04 * box.width), np.uint8)

    rejected = 0
    for name in LIVING:
        image = living(shared, name)
        box = plus.look(image)
        assert sharpness(image) >= BLUR_LIMIT
        assert plus.scorer.score(image, box).live > 0.9
        assert sharpness(blurred(image, box)) < BLUR_LIMIT
        rejected += plus.scorer.score(blurred(image, box), box).live < 0.5
    assert rejected >= 2
    for name in ("F1", "F2"):
        image = sample(shared, name)
        box = plus.look(image)
        assert plus.scorer.score(blurred(image, box), box).live < 0.25
