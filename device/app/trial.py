"""One presentation, judged as the door judges its visits, with nothing behind it that could open.

It looks at visitors as the door does (:mod:`device.app.inspection`); a test holds both to the same answers. What a door
carries from one presentation to the next is left out, so that each is judged alone: nobody has failed, nobody is locked
out, nobody was let in a moment ago. Within one presentation a face is remembered as the door would: who leaves
undecided and comes back is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from device.access.nearest import candidate
from device.app.inspection import Inspection, why_gone
from device.app.outcome import decision_on
from device.app.roster import Roster
from device.app.visit_memory import VisitMemory
from device.app.visit_rules import VisitRules
from device.app.visitor import ProofOfLife, Visitor
from device.interfaces import Clock, Signals
from device.types import Decision, Face, Frame, Reason, Scene, Signal
from device.vision.pipeline import VisionPipeline
from device.vision.repeats import Repeats

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a presentation came to.

    Attributes:
        decision: The door's.
        responded: Whether a frame was compared.
        proven: Whether the proof of life passed at some frame.
        seconds: From the beginning to the decision.
    """

    decision: Decision
    responded: bool
    proven: bool
    seconds: float


class Trial:
    """Watches one presentation. Used once, by one thread.

    Args:
        vision: A pipeline that has seen nothing yet.
        roster: Who is enrolled.
        prove: Makes a fresh proof of life for each track.
        signals: Tells the person what to do.
        clock: Monotonic time of the frames, wall time of the rules.
        rules: The numbers of a visit.
    """

    def __init__(
        self,
        *,
        vision: VisionPipeline,
        roster: Roster,
        prove: Callable[[], ProofOfLife],
        signals: Signals,
        clock: Clock,
        rules: VisitRules,
    ) -> None:
        self._vision = vision
        self._roster = roster
        self._prove = prove
        self._signals = signals
        self._clock = clock
        self._rules = rules
        self._repeats = Repeats()
        self._memory = VisitMemory(rules)
        self._inspection = Inspection(vision=vision, roster=roster, clock=clock, rules=rules, memory=self._memory)
        self._visit: Visitor | None = None
        self._responded = self._proven = False

    def judge(self, frames: Iterable[Frame | None], *, limit_s: float) -> Judged:
        """Watch until something is decided, at most so long.

        Args:
            frames: Of the camera; None where none came for a moment. Their end is the end of the presentation.
            limit_s: Then it is decided on what there is.

        Raises:
            CameraError: The camera is lost.
            ModelError: A model failed before there was a face.
        """
        began_s = self._clock.monotonic()
        decision: Decision | None = None
        late = False
        for frame in frames:
            decision = None if frame is None else self._watch(frame)
            if decision is not None:
                break
            late = not self._clock.monotonic() - began_s < limit_s
            if late:
                break
        if decision is None:
            decision = self._decision(self._visit, self._unfinished() if late else Reason.LEFT)
        self._signals.show(Signal.GRANTED if decision.granted else Signal.DENIED)
        return Judged(decision, self._responded, self._proven, self._clock.monotonic() - began_s)

    def _watch(self, frame: Frame) -> Decision | None:
        if self._repeats(frame.image):
            return None
        scene = self._vision.observe(frame)
        current = self._visit.track if self._visit is not None else None
        face = candidate(scene, current=current, takeover_ratio=self._rules.takeover_ratio)
        asked = self._visit is not None and self._visit.asked
        left = self._end_if_left(scene, face)
        if left is not None and asked:
            return left
        if face is None or (self._visit is not None and face.track != self._visit.track):
            return None
        if self._visit is None:
            self._visit = Visitor(face, self._prove, self._rules)
        visit = self._visit
        reason = self._inspection.inspect(visit, frame, face, scene, cooling=lambda _: False)
        self._responded = self._responded or visit.first is not None
        self._proven = self._proven or visit.proven
        if reason is None:
            self._signals.show(visit.signal)
            return None
        return self._decision(visit, reason)

    def _unfinished(self) -> Reason:
        """Why nothing was decided in time."""
        visit = self._visit
        if visit is not None and visit.first is None:
            return Reason.POOR_QUALITY
        return Reason.UNSETTLED if visit is not None and visit.proven else Reason.NO_RESPONSE

    def _end_if_left(self, scene: Scene, face: Face | None) -> Decision | None:
        """The end of a visit without a judgement; whoever was not asked anything may come back within the try."""
        visit = self._visit
        if visit is None:
            if face is None:
                self._signals.show(Signal.IDLE)
            return None
        reason = why_gone(visit, face, scene, left_after_s=self._rules.left_after_s)
        if reason is None:
            return None
        self._visit = None
        if visit.undecided:
            self._memory.owe(visit, now_s=self._clock.monotonic())
        return self._decision(visit, reason)

    def _decision(self, visit: Visitor | None, reason: Reason) -> Decision:
        now_s = self._clock.monotonic()
        return decision_on(visit, reason, decided_s=now_s) if visit is not None else _on_nobody(reason, now_s)


def _on_nobody(reason: Reason, now_s: float) -> Decision:
    """A presentation in which no face was found."""
    return Decision(
        reason=reason,
        person=None,
        claimed=None,
        similarity=None,
        runner_up=None,
        votes=0,
        track=0,
        frame_number=0,
        captured_s=now_s,
        decided_s=now_s,
        first_usable_s=None,
        claimed_s=None,
        liveness=None,
    )
