"""Frames before the door's own vision and proof of life, without a door: what is found about each face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from device.access.nearest import candidate
from device.app.visit_rules import VisitRules
from device.app.visitor import Visitor
from device.config import Config
from device.types import Frame, Image, LivenessState, LivenessStatus
from device.wiring.liveness import proof_maker
from device.wiring.models import Vision, match_threshold, same_face_threshold


@dataclass
class Onlooker:
    """What one visit came to: the first state that is not pending, and all that was said after it."""

    track: int
    first_compared_s: float | None = None
    settled: LivenessStatus | None = None
    settled_s: float | None = None
    statuses: list[LivenessStatus] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Proven at any time without having been asked anything."""
        return any(each.state is LivenessState.PROVEN and not each.evidence.steps for each in self.statuses)

    @property
    def challenged(self) -> bool:
        """Asked to turn the head, or told to look straight for it."""
        return any("head_turn" in each.evidence.method for each in self.statuses)

    @property
    def proven(self) -> bool:
        """Proven at any time, in whatever way."""
        return any(each.state is LivenessState.PROVEN for each in self.statuses)


def look(frames: Iterable[Frame], vision: Vision, config: Config) -> list[Onlooker]:
    """One entry for each visit whose face was good enough to be compared."""
    rules = VisitRules.of(
        config, threshold=match_threshold(vision.pack, config), same_face=same_face_threshold(vision.pack, config)
    )
    vision = replace(vision, config=config)
    prove, pipeline = proof_maker(vision, config), vision.pipeline()
    found: list[Onlooker] = []
    visit: Visitor | None = None
    for frame in frames:
        scene = pipeline.observe(frame)
        face = candidate(scene, current=visit.track if visit else None, takeover_ratio=rules.takeover_ratio)
        if face is None:
            continue
        if visit is None or visit.track != face.track:
            visit = Visitor(face, prove, rules)
            found.append(Onlooker(face.track))
        seen = found[-1]
        visit.face = face
        if visit.due(face):
            visit.compared(face, pipeline.embed(frame, face), ())
            if seen.first_compared_s is None:
                seen.first_compared_s = face.captured_s
        if visit.first is None:
            continue
        visit.sample(scene, face)
        assert visit.liveness is not None
        seen.statuses.append(visit.liveness)
        if seen.settled is None and visit.liveness.state is not LivenessState.PENDING:
            seen.settled, seen.settled_s = visit.liveness, face.captured_s
    return [each for each in found if each.statuses]


def still_scene(
    picture: Image, *, seconds: float, fps: int = 30, noise: float = 1.6, jitter_px: float = 0.0, seed: int = 0
) -> Iterator[Frame]:
    """A photograph that fills the view, filmed by a sensor with noise, in a hand that trembles."""
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    for number in range(int(seconds * fps)):
        phase = 2 * np.pi * number / fps
        shift = jitter_px * np.array([np.sin(1.7 * phase), np.cos(2.3 * phase)])
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
        moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        grain = np.rint(rng.normal(0.0, noise, moved.shape)).astype(np.int16)
        image = np.asarray(cv2.add(moved, grain, dtype=cv2.CV_8U), np.uint8)
        yield Frame(image, number / fps, number)
