"""Playing a trace to a policy: the device's own visitor, proof of life, challenge and decision, on recorded numbers.

Exact where the policy's timing equals the script's: the very steps, residuals and reason of the door. Elsewhere the
moment of the challenge differs: as soon as the policy asks for head turns, the trace jumps to the frame on which its
own challenge began, and the frame of the jump shows what that frame showed. A presentation that cannot answer goes on
instead, since nothing it does depends on being asked.

What a policy compares is what the script compared. What it misses is never made up: a turn that the recorded gate did
not judge is denied.

What one visit leaves behind the next one meets, within an attempt and, before a door that remembers, from one attempt
to the next (:mod:`device.app.visit_memory`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from device.access.decide import Circumstances, decide
from device.access.face_memory import Standing
from device.app.proof import LivenessProof
from device.app.visit_memory import VisitMemory
from device.app.visitor import Visitor
from device.errors import ModelError, UsageError
from device.types import (
    Candidate,
    Embedding,
    Face,
    Frame,
    Image,
    Reason,
    Scene,
)
from device.vision.liveness.challenge import HeadTurnChallenge
from export_tools.pad.attempt import Attempt
from export_tools.pad.enrolment import NOON, Enrolled
from export_tools.pad.playback import TraceGate, TraceReader, Transplanted, without_asking
from export_tools.pad.reading import Row, rows_of
from export_tools.pad.settings import PolicySettings
from export_tools.pad.trace import Ending, Trace

_BLANK: Final[Image] = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """An attempt, and what its door needs to know for the next one.

    Attributes:
        attempt: What it came to.
        looks: How the face of its last visit looked first and last; empty where nothing was compared.
        ended_s: When it ended.
    """

    attempt: Attempt
    looks: tuple[Embedding, ...]
    ended_s: float


def run_attempt(trace: Trace, settings: PolicySettings, enrolled: Enrolled | None) -> Attempt:
    """Play a trace to a policy.

    Args:
        trace: The presentation.
        settings: The policy.
        enrolled: Whom the door knows; None for nobody.

    Raises:
        UsageError: The policy asks networks that were not asked when the trace was recorded.
    """
    return play(trace, settings, enrolled).attempt


def play(
    trace: Trace,
    settings: PolicySettings,
    enrolled: Enrolled | None,
    *,
    memory: VisitMemory | None = None,
    start_s: float = 0.0,
) -> Played:
    """The same before a door that remembers earlier attempts; the trace's first frame is seen at ``start_s``."""
    if settings.passive and not trace.passive:
        raise UsageError(
            f"the policy {settings.name} asks the passive networks, and the trace was recorded without them",
            hint="record with a pack that has them",
        )
    if enrolled is not None and enrolled.template.model != trace.model:
        raise UsageError(f"the template is of {enrolled.template.model}, the trace of {trace.model}")
    return _Player(trace, settings, enrolled, memory or VisitMemory(settings.visit), start_s).play()


class _Player:
    """One attempt."""

    def __init__(
        self,
        trace: Trace,
        settings: PolicySettings,
        enrolled: Enrolled | None,
        memory: VisitMemory,
        start_s: float,
    ) -> None:
        self._trace = trace
        self._settings = settings
        self._enrolled = enrolled
        self._memory = memory
        self._rows = rows_of(trace)
        self._at = 0
        self._shift_s = start_s - self._rows[0].captured_s
        self._shift = 0
        self._now_s = start_s
        self._tracks: dict[int, int] = {}
        self._jump = self._leapt = False
        self._reader = TraceReader(passive=settings.passive, several_faces=settings.several_faces)
        self._visit: Visitor | None = None
        self._last: Visitor | None = None
        self._proven = self._challenged = False
        self._first_s: float | None = None

    def play(self) -> Played:
        """From the first frame to the decision, or to the end."""
        reason = None
        while reason is None and self._at < len(self._rows):
            reason = self._attend(self._rows[self._at])
            self._at += 1
        reason = reason or self._unfinished()
        if self._visit is not None:
            self._memory.ended(self._visit, reason, now_s=self._now_s)
            if reason is Reason.GRANTED:
                self._memory.granted(self._visit)
        return self._concluded(reason)

    def _unfinished(self) -> Reason:
        """Whoever is still there has not answered."""
        ending = self._trace.ending
        if ending is Ending.NOT_NEAREST:
            return Reason.NOT_NEAREST
        gone = self._visit is None or ending is Ending.LEFT
        return Reason.LEFT if gone else Reason.NO_RESPONSE

    def _concluded(self, reason: Reason) -> Played:
        visit, about = self._last, self._trace.about
        status = visit.liveness if visit is not None else None
        attempt = Attempt(
            species=about.species,
            number=about.number,
            subject=about.subject,
            proven=self._proven,
            granted=reason is Reason.GRANTED,
            challenged=self._challenged,
            reason=reason,
            decided_s=None if self._first_s is None else self._now_s - self._first_s,
            evidence=status.evidence if status is not None else None,
        )
        return Played(attempt, looks=visit.looks if visit is not None else (), ended_s=self._now_s)

    # -- coming and going, as the doorkeeper sees it -------------------------------------------------------------------

    def _attend(self, row: Row) -> Reason | None:
        now_s = self._now_s = row.captured_s + self._shift_s
        frame = Frame(image=_BLANK, captured_s=now_s, number=row.number + self._shift)
        face = self._face(row, frame)
        visit = self._visit
        if visit is not None and self._has_left(visit, face):
            reason = Reason.NOT_NEAREST if row.others else Reason.LEFT
            self._visit = None
            self._memory.ended(visit, reason, now_s=now_s)
            if visit.asked:
                return reason
        if face is None:
            return None
        if self._visit is None:
            if self._memory.closed(face.box, now_s=now_s):
                return None
            self._visit = self._last = Visitor(face, self._prove, self._settings.visit)
        return self._consider(self._visit, Scene(frame=frame, faces=(face,)), face, row)

    def _has_left(self, visit: Visitor, face: Face | None) -> bool:
        if face is None:
            return self._now_s - visit.face.captured_s >= self._settings.visit.left_after_s
        return face.track != visit.track

    def _face(self, row: Row, frame: Frame) -> Face | None:
        if row.track is None:
            return None
        track = self._tracks.get(row.track, row.track)
        return self._trace.face(row.index, track=track, captured_s=frame.captured_s, number=frame.number)

    # -- one frame of a visit, in the doorkeeper's order ---------------------------------------------------------------

    def _consider(self, visit: Visitor, scene: Scene, face: Face, row: Row) -> Reason | None:
        visit.face = face
        try:
            # Asked for what it does to the visit; what was compared is what the trace says.
            visit.due(face)
            if row.embedding is not None:
                self._first_s = face.captured_s if self._first_s is None else self._first_s
                visit.compared(face, row.embedding, self._search(row.embedding))
                if self._memory.recalled(visit, row.embedding, now_s=self._now_s) is Standing.LOCKED:
                    return Reason.LOCKED_OUT
            if visit.exchanged(face):
                return Reason.FACE_CHANGED
            if visit.first is None:
                waited_s = face.captured_s - visit.began_s
                return Reason.POOR_QUALITY if waited_s >= self._settings.visit.patience_s else None
            self._reader.row = row
            visit.sample(scene, face)
        except ModelError:
            self._memory.note_thrown(visit, now_s=self._now_s)
            return Reason.MODEL_ERROR
        self._proven = self._proven or visit.proven
        if visit.ripe(face.captured_s):
            return self._judge(visit, row)
        if self._jump:
            self._leap(face)
        return None

    def _judge(self, visit: Visitor, row: Row) -> Reason:
        case = Circumstances(
            liveness=visit.liveness,
            votes=tuple(visit.votes),
            person=self._enrolled.record if self._enrolled is not None else None,
            nearest=row.nearest,
            cooling=False,
            now_s=self._now_s,
            wall=NOON,
            wall_trusted=True,
        )
        return decide(case, self._settings.visit.decision)

    def _search(self, embedding: Embedding) -> tuple[Candidate, ...]:
        if self._enrolled is None:
            return ()
        similarity = float(self._enrolled.template.vector @ embedding.vector)
        return (Candidate(person=self._enrolled.person, similarity=similarity),)

    # -- the proof of life ---------------------------------------------------------------------------------------------

    def _prove(self) -> LivenessProof:
        settings = self._settings
        return LivenessProof(
            settings.rules,
            reader=self._reader,
            challenge=self._begin_challenge,
            policy=settings.policy if settings.challenge else without_asking(settings.policy),
        )

    def _begin_challenge(self, steps: int) -> HeadTurnChallenge | Transplanted:
        self._challenged = True
        trace, settings = self._trace, self._settings
        gate = TraceGate(settings, self._current)
        spares = settings.liveness.spare_turns
        challenge = HeadTurnChallenge(
            settings.liveness, gate=gate, prompts=trace.prompts[: steps + spares], spares=spares
        )
        if trace.turn_at is None or not trace.about.answers or (self._leapt and self._at >= trace.turn_at):
            return challenge
        self._jump = True
        return Transplanted(challenge, trace, trace.turn_at)

    def _current(self) -> Row:
        return self._rows[self._at]

    def _leap(self, face: Face) -> None:
        """Go on behind the frame on which the recorded challenge began, as if this had been that frame."""
        self._jump, self._leapt = False, True
        turn_at = self._trace.turn_at
        if turn_at is None:
            return
        began = self._rows[turn_at]
        self._at = turn_at
        self._shift_s = face.captured_s - began.captured_s
        self._shift = face.frame_number - began.number
        if began.track is not None:
            self._tracks = {began.track: face.track}
