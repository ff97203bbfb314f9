"""What one door remembers about faces that failed: who is locked, who owes a challenge, and where a locked face stood.

Without it a spoof that is vetoed steps aside and starts afresh, until some window of frames lets it through. With it a
failure stays with the face: with its embedding for as long as the lock lasts, and for some seconds with its place in
the frame, because a print that is tilted or bent has an embedding of its own. Whoever agrees with no remembered look
and stands at no such place is free.

* What was reported as failed is kept as it was, and cannot be pushed out by later looks. Beside it an entry keeps the
  newest looks of the locked face while it is seen, so a spoof that changes step by step is followed. Following ends
  with the lock, never lengthens it, and at any time covers no more than :data:`LOOKS` looks per entry, each shared by
  1 in 1,000 strangers where faces agree at the loosest operating point.
* Faces that cannot be compared are not let go: one that is no vector of length 1 is locked whatever is remembered, one
  of another model or length stands as badly as the worst face remembered. Boxes that cannot be compared overlap.
* A time that is no number is too early for anything to end. What such a time begins, only a grant or a restart ends.
* The person whose picture was vetoed waits like the picture: the camera sees one face. Waiting is what it costs.
* It lies in memory alone. A face is dropped once its locks and debts have ended and its failures are forgotten.

Pure rules, used by one thread; one call costs one comparison per remembered look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite

import numpy as np

from device.access.lockout import Lockout, LockoutRules
from device.types import Box, Embedding, Word

#: Looks kept per face: the one that failed, and the three newest. Compared some eight times a second, three looks are
#: the last 0.4 s of a locked face.
LOOKS = 4
#: Boxes that overlap so much (intersection over union) are one place. Geometry, not a measurement: a face of the same
#: size is held until it is moved by two thirds of its width, one on the same spot until it is 2.2 times as large.
#: Heads side by side do not overlap at all.
SAME_PLACE_IOU = 0.2
#: An embedding whose length differs from 1 by more is none; float32 rounding leaves 1e-6.
_LENGTH_TOLERANCE = 1e-3


class Standing(Word):
    """Of one face at this door, now."""

    FREE = "free"
    OWES_CHALLENGE = "owes_challenge"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """The numbers.

    Attributes:
        veto: For vetoed spoofs; with ``after=1`` the first locks, each further one twice as long.
        challenge: For failed challenges of one face.
        place_s: So long after a locked face was last seen, whatever appears at its place is held to be the same.
        owes_s: So long after failing a challenge or the end of a lock a face owes a challenge.
        debt: For proofs that ended undecided: with ``after=1`` for ``pause_s`` the first time, then twice as long each
            time.
        capacity: Faces remembered at most, 1 or more. Beyond it the unlocked go first: who has failed least, of these
            the one whose last event is oldest. Only when all are locked does a locked one go, the one whose lock ends
            first, and only for another locked one: to free a face early, ``capacity`` others must be locked meanwhile.
    """

    veto: LockoutRules
    challenge: LockoutRules
    debt: LockoutRules
    place_s: float
    owes_s: float
    capacity: int


@dataclass(slots=True, eq=False)
class _Face:
    """What is remembered about one face; ``looks`` is empty for the faces that cannot be compared, taken as one."""

    looks: list[Embedding] = field(repr=False)
    veto: Lockout = field(default_factory=Lockout)
    challenge: Lockout = field(default_factory=Lockout)
    debt: Lockout = field(default_factory=Lockout)
    owes_until_s: float = -inf
    event_s: float = -inf
    place: Box | None = None
    place_until_s: float = -inf

    @property
    def until_s(self) -> float:
        return max(self.veto.until_s, self.challenge.until_s)

    def moved(self, box: Box, until_s: float) -> None:
        if until_s >= self.place_until_s:
            self.place, self.place_until_s = box, until_s

    def looked_like(self, look: Embedding) -> None:
        if self.looks:
            self.looks = [self.looks[0], *[*self.looks[1:], look][1 - LOOKS :]]

    def worth(self, now_s: float) -> tuple[bool, float, float]:
        """How much would be lost with it, see :class:`MemoryRules`."""
        locked = _lasts(self.until_s, now_s)
        return locked, self.until_s if locked else self.veto.failures + self.challenge.failures, self.event_s


class FaceMemory:
    """The faces that failed at one door.

    Args:
        rules: The numbers.
        agrees: Whether two embeddings of one model show the same face; must be false for NaN.
    """

    def __init__(self, rules: MemoryRules, *, agrees: Callable[[Embedding, Embedding], bool]) -> None:
        self._rules = rules
        self._agrees = agrees
        self._faces: list[_Face] = []

    def vetoed(self, face: Embedding, box: Box, *, now_s: float) -> None:
        """A spoof was recognised at this place: lock the face, longer each time, and hold the place."""
        now_s = _when(now_s)
        known = self._concerned(face, now_s)
        for each in known:
            each.veto = _failed(each.veto, now_s, self._rules.veto)
            each.moved(box, now_s + self._rules.place_s)
        self._settle(known, now_s)

    def failed(self, face: Embedding, *, now_s: float) -> None:
        """A challenge failed, or the face left when asked: it owes the challenge again, and is locked after some."""
        now_s = _when(now_s)
        known = self._concerned(face, now_s)
        for each in known:
            each.challenge = _failed(each.challenge, now_s, self._rules.challenge)
        self._settle(known, now_s)

    def undecided(self, *looks: Embedding, now_s: float) -> None:
        """A proof that some answer spoke against ended undecided: whoever looked so owes a challenge.

        Each time for longer; many looks of one face are one time.
        """
        now_s = _when(now_s)
        known: list[_Face] = []
        for look in looks:
            known += [each for each in self._concerned(look, now_s) if each not in known]
        for each in known:
            each.debt = _failed(each.debt, now_s, self._rules.debt)
        self._settle(known, now_s)

    def passed(self, face: Embedding) -> None:
        """Proven alive and granted: whoever failed with this look is forgotten, and the look wherever it was followed.

        A locked face that only drifted to this look stays locked. Nothing is forgotten for what cannot be compared.
        """
        if _readable(face):
            self._faces = [each for each in self._faces if not self._among(each.looks[:1], face)]
            for each in self._faces:
                each.looks = [look for look in each.looks if not self._among([look], face)]

    def standing(self, face: Embedding, *, now_s: float) -> Standing:
        """The worst of whatever this face may be."""
        possible = self._possible(face, now_s)
        if not _readable(face) or any(_lasts(each.until_s, now_s) for each in possible):
            return Standing.LOCKED
        owes = any(_lasts(each.owes_until_s, now_s) for each in possible)
        return Standing.OWES_CHALLENGE if owes else Standing.FREE

    def locked_until_s(self, face: Embedding, *, now_s: float) -> float:
        """Monotonic time; minus infinity when it is not locked, infinity when it cannot be compared."""
        if not _readable(face):
            return inf
        possible = self._possible(face, now_s)
        return max((each.until_s for each in possible if _lasts(each.until_s, now_s)), default=-inf)

    def seen(self, face: Embedding, box: Box, *, now_s: float) -> None:
        """A face is at this place. If it is a locked one, its place and newest look move with it; no lock lengthens."""
        now_s = _when(now_s)
        for each in self._known(face):
            if _lasts(each.until_s, now_s):
                each.moved(box, now_s + self._rules.place_s)
                each.looked_like(face)

    def holds_place(self, box: Box, *, now_s: float) -> bool:
        """Whether a face at this box is held to be a locked one: until that is free, or was away for ``place_s``."""
        held = (each.place for each in self._faces if _lasts(min(each.until_s, each.place_until_s), now_s))
        return any(place is not None and overlaps(place, box) for place in held)

    def _among(self, looks: Sequence[Embedding], face: Embedding, *, unsure: bool = False) -> bool:
        """Whether the face has one of these looks; ``unsure`` is the answer for a look of another model or length."""
        return any(self._agrees(look, face) if _comparable(look, face) else unsure for look in looks)

    def _possible(self, face: Embedding, now_s: float) -> list[_Face]:
        """What this face may be, for questions; what it is held to be when something happens tells ``_known``."""
        self._expire(now_s)
        return [each for each in self._faces if self._among(each.looks, face, unsure=True)]

    def _known(self, face: Embedding) -> list[_Face]:
        if not _readable(face):
            return [each for each in self._faces if not each.looks]
        return [each for each in self._faces if self._among(each.looks, face)]

    def _concerned(self, face: Embedding, now_s: float) -> list[_Face]:
        """The entries of an event, each with the worst record among them; a new one if none began with this look."""
        self._expire(now_s)
        known = self._known(face)
        for each in known:
            each.looked_like(face)
        if not any(not each.looks or self._among(each.looks[:1], face) for each in known):
            self._faces.append(_Face([face] if _readable(face) else []))
            known.append(self._faces[-1])
        veto, challenge = _worst([each.veto for each in known]), _worst([each.challenge for each in known])
        debt = _worst([each.debt for each in known])
        for each in known:
            each.veto, each.challenge, each.debt = veto, challenge, debt
        return known

    def _settle(self, known: list[_Face], now_s: float) -> None:
        """After an event: what is owed, and who goes when there are too many."""
        for each in known:
            each.event_s = max(each.event_s, now_s)
            each.owes_until_s = max(each.owes_until_s, max(now_s, each.until_s) + self._rules.owes_s, each.debt.until_s)
        while len(self._faces) > self._rules.capacity:
            going = [each for each in self._faces if each not in known or not _lasts(each.until_s, now_s)]
            self._faces.remove(min(going or self._faces, key=lambda each: each.worth(now_s)))

    def _expire(self, now_s: float) -> None:
        def expired(each: _Face) -> bool:
            states = (
                (each.veto, self._rules.veto),
                (each.challenge, self._rules.challenge),
                (each.debt, self._rules.debt),
            )
            return all(_forgotten(state, now_s, rules) for state, rules in states) and now_s >= each.owes_until_s

        self._faces = [each for each in self._faces if not expired(each)]


def overlaps(one: Box, other: Box) -> bool:
    """Whether two boxes are one place (:data:`SAME_PLACE_IOU`); boxes without a finite extent are everywhere."""
    if not all(isfinite(box.x + box.y + box.area) and box.width > 0 and box.height > 0 for box in (one, other)):
        return True
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0.0) * max(height, 0.0)
    return not (shared < SAME_PLACE_IOU * (one.area + other.area - shared))


def _readable(face: Embedding) -> bool:
    length = np.linalg.norm(face.vector.astype(np.float64))
    return face.vector.ndim == 1 and bool(abs(length - 1.0) <= _LENGTH_TOLERANCE)


def _comparable(look: Embedding, face: Embedding) -> bool:
    return look.model == face.model and look.vector.shape == face.vector.shape


def _when(now_s: float) -> float:
    return now_s if isfinite(now_s) else inf


def _lasts(until_s: float, now_s: float) -> bool:
    return not (until_s == -inf or now_s >= until_s)


def _failed(state: Lockout, now_s: float, rules: LockoutRules) -> Lockout:
    """One failure more; one that is reported late does not shorten the lock."""
    after = state.failed(now_s, rules)
    return replace(after, until_s=max(after.until_s, state.until_s))


def _worst(states: list[Lockout]) -> Lockout:
    return Lockout(
        max(each.failures for each in states),
        max(each.until_s for each in states),
        max(each.failed_s for each in states),
    )


def _forgotten(state: Lockout, now_s: float, rules: LockoutRules) -> bool:
    return now_s - max(state.failed_s, state.until_s) >= state.failures * rules.forget_s
