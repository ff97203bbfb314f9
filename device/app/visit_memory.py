"""What visits leave behind at a door: which faces are locked or owe a challenge, and whether anybody is asked at all.

The door (:mod:`device.app.visit`) remembers through this, and so do the sessions of an evaluation, which must meet the
same memory.
"""

from __future__ import annotations

from device.access.face_memory import FaceMemory, Standing
from device.access.lockout import Lockout
from device.app.visit_rules import VisitRules
from device.app.visitor import Visitor
from device.types import Box, Embedding, Reason


class VisitMemory:
    """The memory of one door. Used by one thread.

    Args:
        rules: The numbers of a visit.
    """

    def __init__(self, rules: VisitRules) -> None:
        self.faces = FaceMemory(rules.memory, agrees=rules.agree)
        self._rules = rules
        self._lockout = Lockout()

    def paused(self, *, now_s: float) -> bool:
        """Whether too many proofs have failed here, so that nobody is asked."""
        return self._lockout.active(now_s)

    def closed(self, box: Box, *, now_s: float) -> bool:
        """Whether nobody at this place is attended to."""
        return self.paused(now_s=now_s) or self.faces.holds_place(box, now_s=now_s)

    def recalled(self, visit: Visitor, embedding: Embedding, *, now_s: float) -> Standing:
        """What is remembered about the face of a visit that was just compared, whoever it belongs to.

        The visit learns from it what it owes, or how long the face is locked.
        """
        self.note_thrown(visit, now_s=now_s)
        standing = self.faces.standing(embedding, now_s=now_s)
        if standing is Standing.OWES_CHALLENGE:
            visit.owes_challenge = True
        elif standing is Standing.LOCKED:
            self.faces.seen(embedding, visit.face.box, now_s=now_s)
            visit.locked_until_s = self.faces.locked_until_s(embedding, now_s=now_s)
        return standing

    def note_thrown(self, visit: Visitor, *, now_s: float) -> None:
        """Faces whose proof the visit threw away undecided owe a challenge as well."""
        self.faces.undecided(*visit.take_thrown(), now_s=now_s)

    def ended(self, visit: Visitor, reason: Reason | None, *, now_s: float) -> None:
        """A visit is over, in whatever way; a grant is told to :meth:`granted` as well, once it stands.

        A veto locks the face; a challenge that was not completed counts against the face and against the door, whatever
        ended it. Else whoever does not like the first prompt could hold up a locked face, and try again for nothing.

        Args:
            visit: As it stands in the end.
            reason: None where something broke.
            now_s: Monotonic time.
        """
        if visit.asked and (not visit.proven or reason is Reason.FACE_CHANGED):
            self._lockout = self._lockout.failed(now_s, self._rules.lockout)
            if visit.first is not None:
                self.faces.failed(visit.first, now_s=now_s)
            self.owe(visit, now_s=now_s)
        elif visit.undecided:
            self.owe(visit, now_s=now_s)
        if reason is Reason.VETOED and visit.first is not None:
            self.faces.vetoed(visit.first, visit.face.box, now_s=now_s)
            for look in visit.looks:  # the first look may have been chosen: the last one is locked with it
                self.faces.seen(look, visit.face.box, now_s=now_s)

    def granted(self, visit: Visitor) -> None:
        """The visitor was let in."""
        self._lockout = self._lockout.passed()
        if visit.first is not None:
            self.faces.passed(visit.first)

    def owe(self, visit: Visitor, *, now_s: float) -> None:
        """However this face comes back, it is asked to turn the head."""
        self.faces.undecided(*visit.looks, now_s=now_s)
