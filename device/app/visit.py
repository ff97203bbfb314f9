"""One visit, from the first frame of a face to the door, in an order that never changes.

    observe -> nearest face -> compare -> remembered? -> liveness sample -> vote -> decide
            -> commit audit -> pulse -> audit the door's answer -> show

A visit is one track of one face. What holds throughout:

* Nothing that can be seen or timed outside depends on who somebody is before liveness has passed.
* A frame votes only if it lies between two accepted liveness samples of its own track, and its embedding agrees with
  the visit's first: whoever proved to be alive is who is compared.
* Whoever is let in looked like the claimed person in every frame compared since the proof of life began.
* A face that was taken for a spoof, or failed too often, is locked out for a while; nobody else is.
* A granted decision is committed to the audit log before the relay moves. If it cannot be, the door stays shut.
* Whatever breaks ends the visit as a denial, or as an exception that leaves the door locked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from device.access.nearest import candidate
from device.app.inspection import Inspection, why_gone
from device.app.ledger import Ledger
from device.app.outcome import decision_on
from device.app.roster import Roster
from device.app.visit_memory import VisitMemory
from device.app.visit_rules import VisitRules
from device.app.visitor import ProofOfLife, Visitor
from device.audit.records import DecisionMade, DoorAnswered
from device.door.controller import DoorController, DoorOutcome
from device.errors import DoorwardError
from device.interfaces import Clock, Signals
from device.types import Decision, Face, Frame, Reason, Scene, Signal
from device.vision.pipeline import VisionPipeline
from device.vision.repeats import Repeats

_log = logging.getLogger(__name__)
#: What is shown for a denial that is not shown as one.
_SHOWN = {Reason.LOCKED_OUT: Signal.WAIT}


class Doorkeeper:
    """Attends to frames, one at a time, and opens the door for whoever proved everything. Used by one thread."""

    def __init__(
        self,
        *,
        vision: VisionPipeline,
        roster: Roster,
        prove: Callable[[], ProofOfLife],
        ledger: Ledger,
        door: DoorController,
        signals: Signals,
        clock: Clock,
        rules: VisitRules,
        pack: str,
    ) -> None:
        self._vision = vision
        self._roster = roster
        self._prove = prove
        self._ledger = ledger
        self._door = door
        self._signals = signals
        self._clock = clock
        self._rules = rules
        self._pack = pack
        self._repeats = Repeats()
        self._visit: Visitor | None = None
        self._resting: dict[int, float] = {}
        self._let_in: dict[str, float] = {}
        self._memory = VisitMemory(rules)
        self._inspection = Inspection(vision=vision, roster=roster, clock=clock, rules=rules, memory=self._memory)

    def attend(self, frame: Frame) -> Decision | None:
        """Deal with one frame; returns the decision when one was made. Raises only what leaves the door locked.

        A picture that repeats the one before is not looked at: a camera that hangs shows nobody.
        """
        if self._repeats(frame.image):
            return None
        scene = self._vision.observe(frame)
        current = self._visit.track if self._visit is not None else None
        face = candidate(scene, current=current, takeover_ratio=self._rules.takeover_ratio)
        asked = self._visit is not None and self._visit.asked
        ended = self._end_if_left(scene, face)
        if ended is not None and asked:
            return ended
        made = self._attend_to(face, frame, scene)
        if ended is not None:
            # Whoever left before anything was asked ends in the log alone, and only now: what is shown, and when, is
            # the same whether somebody was recognised or not.
            ended = self._audited(ended)
        return made or ended

    def _attend_to(self, face: Face | None, frame: Frame, scene: Scene) -> Decision | None:
        if face is None or (self._visit is not None and face.track != self._visit.track):
            return None
        if self._visit is None:
            if self._memory.closed(face.box, now_s=self._clock.monotonic()):
                self._signals.show(Signal.WAIT)
                return None
            if self._rests(face.track):
                return None
            self._visit = Visitor(face, self._prove, self._rules)
        visit = self._visit
        reason = self._inspection.inspect(visit, frame, face, scene, cooling=self._cooling)
        if reason is None:
            self._signals.show(visit.signal)
            return None
        return self._conclude(visit, self._decision(visit, reason))

    def dismiss(self) -> Decision | None:
        """The stream has ended or the camera is lost: whoever was there is gone."""
        self._vision.reset()
        asked = self._visit is not None and self._visit.asked
        decision = self._leave(Reason.LEFT)
        if not asked:
            self._signals.show(Signal.IDLE)
        return decision if asked or decision is None else self._audited(decision)

    def forget(self) -> None:
        """Something broke: nothing of the current visit survives, but that it was no proof."""
        visit, self._visit = self._visit, None
        if visit is not None:
            self._memory.ended(visit, None, now_s=self._clock.monotonic())
        self._vision.reset()

    def _cooling(self, person: str) -> bool:
        let_in_s = self._let_in.get(person)
        return let_in_s is not None and not (self._clock.monotonic() - let_in_s >= self._rules.cool_down_s)

    # -- the end of a visit --------------------------------------------------------------------------------------------

    def _conclude(self, visit: Visitor, decision: Decision) -> Decision:
        """Audit, then door, then the door's answer, then the person."""
        self._visit = None
        self._resting[visit.track] = decision.decided_s + self._rules.cool_down_s
        self._remember(visit, decision)
        decision = self._audited(decision)
        if decision.granted:
            self._memory.granted(visit)
            decision = self._open(decision)
        self._signals.show(_SHOWN.get(decision.reason, Signal.DENIED) if not decision.granted else Signal.GRANTED)
        return decision

    def _remember(self, visit: Visitor, decision: Decision) -> None:
        """What failed is remembered; on the track of a locked face nobody is attended to, however it is tilted."""
        now_s = decision.decided_s
        self._memory.ended(visit, decision.reason, now_s=now_s)
        if decision.reason is Reason.LOCKED_OUT:
            self._resting[visit.track] = visit.locked_until_s
        elif decision.reason is Reason.VETOED and visit.first is not None:
            self._resting[visit.track] = self._memory.faces.locked_until_s(visit.first, now_s=now_s)

    def _audited(self, decision: Decision) -> Decision:
        """The decision once it is committed; a grant that cannot be is none."""
        try:
            self._ledger.record(self._entry(decision), urgent=decision.granted)
        except DoorwardError as exc:
            _log.error("the decision could not be audited: %s", exc.message)
            if decision.granted:
                return replace(decision, reason=Reason.AUDIT_UNAVAILABLE, person=None)
        return decision

    def _entry(self, decision: Decision) -> DecisionMade:
        person = self._roster.person(decision.claimed) if decision.claimed is not None else None
        if person is None:
            # Whoever was erased during the visit does not come back into the log.
            decision = replace(decision, claimed=None)
        return DecisionMade(
            decision,
            name=person.name if person is not None else None,
            threshold=self._rules.threshold,
            pack=self._pack,
        )

    def _open(self, decision: Decision) -> Decision:
        answer = self._door.open(decision)
        try:
            self._ledger.record(DoorAnswered(decision, answer), urgent=True)
        except DoorwardError as exc:
            # The grant itself is on record; the door has moved or not, and nothing here can change that.
            _log.error("the door's answer could not be audited: %s", exc.message)
        if not answer.pulsed:
            stale = answer.outcome is DoorOutcome.STALE_FRAME
            return replace(decision, reason=Reason.STALE_FRAME if stale else Reason.DOOR_FAULT, person=None)
        if decision.person is not None:
            self._let_in[decision.person] = decision.decided_s
        return decision

    # -- coming and going ----------------------------------------------------------------------------------------------

    def _end_if_left(self, scene: Scene, face: Face | None) -> Decision | None:
        visit = self._visit
        if visit is None:
            if face is None:
                self._signals.show(Signal.IDLE)
            return None
        reason = why_gone(visit, face, scene, left_after_s=self._rules.left_after_s)
        return self._leave(reason) if reason is not None else None

    def _leave(self, reason: Reason) -> Decision | None:
        """End the visit without a judgement; a passer-by, neither recognised nor asked anything, leaves no trace.

        Whoever was recognised, but not asked anything yet, leaves one in the audit only: nothing is shown and no track
        rests that would not for a stranger.
        """
        visit, self._visit = self._visit, None
        if visit is None:
            return None
        if visit.asked:
            return self._conclude(visit, self._decision(visit, reason))
        self._memory.ended(visit, reason, now_s=self._clock.monotonic())
        return self._decision(visit, reason) if visit.claim is not None else None

    def _rests(self, track: int) -> bool:
        now_s = self._clock.monotonic()
        expired = [old for old, until_s in self._resting.items() if now_s >= until_s]
        for old in expired:
            del self._resting[old]
        return track in self._resting

    def _decision(self, visit: Visitor, reason: Reason) -> Decision:
        return decision_on(visit, reason, decided_s=self._clock.monotonic())
