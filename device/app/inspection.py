"""What one frame says about a visitor: compare -> liveness sample -> vote -> decide, and who has gone.

The door (:mod:`device.app.visit`) and the tries of a presentation-attack test (:mod:`device.app.trial`) both look at
visitors through this, so that a test judges as the door does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from device.access.decide import Circumstances, decide
from device.access.face_memory import Standing
from device.access.nearest import is_nearest
from device.app.roster import Roster
from device.app.visit_memory import VisitMemory
from device.app.visit_rules import VisitRules
from device.app.visitor import Visitor
from device.errors import ModelError
from device.interfaces import Clock
from device.types import Face, Frame, Reason, Scene
from device.vision.pipeline import VisionPipeline

_log = logging.getLogger(__name__)


class Inspection:
    """Looks at visitors, frame by frame.

    Args:
        vision: The models.
        roster: Who is enrolled.
        clock: Monotonic time of the frames, wall time of the rules.
        rules: The numbers of a visit.
        memory: What is known from earlier visits.
    """

    def __init__(
        self, *, vision: VisionPipeline, roster: Roster, clock: Clock, rules: VisitRules, memory: VisitMemory
    ) -> None:
        self._vision = vision
        self._roster = roster
        self._clock = clock
        self._rules = rules
        self._memory = memory

    def inspect(
        self, visit: Visitor, frame: Frame, face: Face, scene: Scene, *, cooling: Callable[[str], bool]
    ) -> Reason | None:
        """Take one frame of the visitor's track.

        Args:
            visit: What is known so far; takes the frame in.
            frame: The frame.
            face: The visitor's in it.
            scene: All faces in it.
            cooling: Whether a person was let in a moment ago.

        Returns:
            How the visit ends; None while it goes on. ``LOCKED_OUT``: this face waits, see the memory.
        """
        if visit.repeats(frame.image, face.box):
            # Nothing was seen: to the proof of life it is as if there had been no frame. Whoever was asked is not left
            # with a prompt that hangs.
            hangs = visit.asked and frame.captured_s - visit.face.captured_s >= self._rules.left_after_s
            return Reason.LEFT if hangs else None
        visit.face = face
        try:
            if visit.due(face):
                embedding = self._vision.embed(frame, face)
                visit.compared(face, embedding, self._roster.search(embedding, k=2))
                if self._memory.recalled(visit, embedding, now_s=self._clock.monotonic()) is Standing.LOCKED:
                    return Reason.LOCKED_OUT
            if visit.exchanged(face):
                return Reason.FACE_CHANGED
            if visit.first is None:
                # Nothing is proven about a face that was never good enough to be compared.
                waited_s = face.captured_s - visit.began_s
                return Reason.POOR_QUALITY if waited_s >= self._rules.patience_s else None
            visit.sample(scene, face)
        except ModelError:
            _log.exception("a model failed during a visit")
            self._memory.note_thrown(visit, now_s=self._clock.monotonic())
            return Reason.MODEL_ERROR
        return self._judged(visit, face, scene, cooling=cooling) if visit.ripe(face.captured_s) else None

    def _judged(self, visit: Visitor, face: Face, scene: Scene, *, cooling: Callable[[str], bool]) -> Reason:
        claim = visit.claim
        case = Circumstances(
            liveness=visit.liveness,
            votes=tuple(visit.votes),
            person=self._roster.person(claim) if claim is not None else None,
            nearest=is_nearest(face, scene),
            cooling=claim is not None and cooling(claim),
            now_s=self._clock.monotonic(),
            wall=self._clock.wall(),
            wall_trusted=self._clock.wall_trusted(),
        )
        return decide(case, self._rules.decision)


def why_gone(visit: Visitor, face: Face | None, scene: Scene, *, left_after_s: float) -> Reason | None:
    """Why a visit is over without a judgement: another face is nearer now, or its own is no longer there; None if not.

    Args:
        visit: The visit.
        face: Who is to be attended to in this frame.
        scene: All faces in it.
        left_after_s: A face that is not found for so long has gone.
    """
    if face is not None and face.track == visit.track:
        return None
    if any(other.track == visit.track for other in scene.faces):
        return Reason.NOT_NEAREST
    if face is not None or scene.frame.captured_s - visit.face.captured_s >= left_after_s:
        return Reason.LEFT
    return None
