"""What goes into an entry: for each kind of event, the part for ever and the part that belongs to a person.

Names, handles and claimed identities stand in ``personal()`` only, so that erasing a person leaves numbers, times and
reasons. Scores in the body tell how sure the machine was, not who was there. Local user ids of operators stay: who
administered the door must remain answerable.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import ClassVar, Protocol

from device.audit.canonical import JsonObject, JsonValue
from device.types import Decision, LivenessEvidence, Person, Word

#: Version of the entries' form.
FORM = 1
_VERB = re.compile(r"[a-z][a-z_.-]{0,31}")


@dataclass(frozen=True, slots=True)
class Moment:
    """When and in which life of the device something happened.

    Attributes:
        boot_id: Identifies the start of the program; monotonic times of different boots are not compared.
        monotonic_s: Seconds of the monotonic clock.
        wall: Wall time, timezone-aware.
        wall_trusted: Whether the wall clock was known to be right.
    """

    boot_id: str
    monotonic_s: float
    wall: datetime
    wall_trusted: bool


class Record(Protocol):
    """One event that is worth an entry."""

    kind: ClassVar[str]

    @property
    def person(self) -> str | None:
        """Handle of the person it is about; None where it is about nobody."""

    def body(self) -> JsonObject:
        """What is kept for ever: nothing that tells who."""

    def personal(self) -> JsonObject:
        """What is erased with the person; empty where it is about nobody."""


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """The end of a visit.

    Attributes:
        decision: What was decided, with the evidence.
        name: Name of the claimed person as it was then; None where nobody was recognised.
        threshold: The similarity that was required, None where nothing was compared.
        pack: Pack of models in use, as it calls itself.
    """

    kind: ClassVar[str] = "decision"
    decision: Decision
    name: str | None = None
    threshold: float | None = None
    pack: str = ""

    @property
    def person(self) -> str | None:
        """The claimed person, let in or not."""
        return self.decision.claimed if self.decision.person is None else self.decision.person

    def body(self) -> JsonObject:
        """Reason, scores, times and the proof of life; a number that is not finite is written as ``not_finite``."""
        made = self.decision
        return {
            "reason": made.reason.value,
            "granted": made.granted,
            "similarity": _number(made.similarity),
            "runner_up": _number(made.runner_up),
            "threshold": _number(self.threshold),
            "pack": self.pack,
            "votes": int(made.votes),
            "track": int(made.track),
            "frame_number": int(made.frame_number),
            "captured_s": _number(made.captured_s),
            "decided_s": _number(made.decided_s),
            "first_usable_s": _number(made.first_usable_s),
            "claimed_s": _number(made.claimed_s),
            "quality": [reason.value for reason in made.quality],
            "liveness": _evidence(made.liveness),
        }

    def personal(self) -> JsonObject:
        """Who was claimed, and who was let in."""
        if self.decision.claimed is None and self.decision.person is None:
            return {}
        return {"claimed": self.decision.claimed, "person": self.decision.person, "name": self.name}


@dataclass(frozen=True, slots=True)
class DoorRecord:
    """What the door answered to a granted decision.

    Attributes:
        decision_seq: Number of the decision's entry.
        outcome: A stable word such as ``pulsed``, ``stale``, ``fault``.
        pulse_s: How long the line was driven, None when it was not.
        detail: The driver's own words about a fault; empty otherwise.
    """

    kind: ClassVar[str] = "door"
    person: ClassVar[str | None] = None
    decision_seq: int
    outcome: str
    pulse_s: float | None = None
    detail: str = ""

    def body(self) -> JsonObject:
        """All of it."""
        return {
            "decision_seq": self.decision_seq,
            "outcome": self.outcome,
            "pulse_s": _number(self.pulse_s),
            "detail": _text(self.detail),
        }

    def personal(self) -> JsonObject:
        """Nothing: who it was stands in the decision."""
        return {}


class PersonEvent(Word):
    """What was done to somebody's record."""

    ENROLLED = "enrolled"
    REPLACED = "replaced"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Somebody was enrolled, enrolled anew, changed or removed.

    Attributes:
        event: Which of these.
        subject: The person as it is after the event; before it for a removal.
        by_uid: Local user who asked for it, None for the daemon itself.
    """

    kind: ClassVar[str] = "person"
    event: PersonEvent
    subject: Person
    by_uid: int | None = None

    @property
    def person(self) -> str | None:
        """The person's handle."""
        return self.subject.handle

    def body(self) -> JsonObject:
        """What was done and how many photographs and models are behind it."""
        return {
            "event": self.event.value,
            "photos": self.subject.photos,
            "models": list(self.subject.models),
            "enabled": self.subject.enabled,
            "by_uid": self.by_uid,
        }

    def personal(self) -> JsonObject:
        """Handle, name, validity."""
        return {
            "person": self.subject.handle,
            "name": self.subject.name,
            "valid_from": _time(self.subject.valid_from),
            "valid_until": _time(self.subject.valid_until),
        }


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """The personal fields of somebody's entries were erased; says how many, not whose."""

    kind: ClassVar[str] = "erasure"
    person: ClassVar[str | None] = None
    entries: int
    by_uid: int | None = None

    def body(self) -> JsonObject:
        """How many entries were emptied."""
        return {"entries": self.entries, "by_uid": self.by_uid}

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class StartRecord:
    """The program started to decide.

    Attributes:
        version: Of the program.
        platform: ``sim``, ``pi`` or ``jetson``.
        pack: Pack of models.
        people: How many are enrolled.
        config_sha256: Of the configuration in force, 64 hex digits.
    """

    kind: ClassVar[str] = "start"
    person: ClassVar[str | None] = None
    version: str
    platform: str
    pack: str
    people: int
    config_sha256: str

    def body(self) -> JsonObject:
        """All of it."""
        return {
            "version": self.version,
            "platform": self.platform,
            "pack": self.pack,
            "people": self.people,
            "config_sha256": self.config_sha256,
        }

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class StopRecord:
    """The program stopped in order; ``cause`` is a stable word such as ``signal``, ``end_of_stream``, ``error``."""

    kind: ClassVar[str] = "stop"
    person: ClassVar[str | None] = None
    cause: str

    def body(self) -> JsonObject:
        """All of it."""
        return {"cause": self.cause}

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


class CameraState(Word):
    """What became of the camera."""

    OPENED = "opened"
    LOST = "lost"
    FROZEN = "frozen"
    BACK = "back"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """The camera changed its state; ``detail`` must not hold an address with a password in it."""

    kind: ClassVar[str] = "camera"
    person: ClassVar[str | None] = None
    state: CameraState
    detail: str = ""

    def body(self) -> JsonObject:
        """All of it."""
        return {"state": self.state.value, "detail": _text(self.detail)}

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class RefusedRequestRecord:
    """A request on the control socket was refused.

    Attributes:
        verb: What was asked for, as the peer wrote it; anything that is not a plain word is written as ``unreadable``.
        reason: Why, a stable word.
        uid: The peer's user id by the kernel's word, None where unknown.
    """

    kind: ClassVar[str] = "refused_request"
    person: ClassVar[str | None] = None
    verb: str
    reason: str
    uid: int | None = None

    def body(self) -> JsonObject:
        """All of it, without any text of the peer's choosing."""
        verb = self.verb if _VERB.fullmatch(self.verb) else "unreadable"
        return {"verb": verb, "reason": self.reason, "uid": self.uid}

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


def entry_body(record: Record, *, moment: Moment) -> JsonObject:
    """The body of an entry: form, kind, time and what the record says."""
    return {
        "form": FORM,
        "kind": record.kind,
        "boot_id": moment.boot_id,
        "monotonic_s": _number(moment.monotonic_s),
        "wall": _time(moment.wall),
        "wall_trusted": moment.wall_trusted,
        "data": record.body(),
    }


def _number(value: float | None) -> JsonValue:
    # A broken model's NaN must not keep the denial that it caused out of the audit.
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else "not_finite"


def _text(value: str) -> str:
    # The system's error texts may hold bytes that are no UTF-8.
    return value.encode(errors="replace").decode()[:200]


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _evidence(evidence: LivenessEvidence | None) -> JsonValue:
    if evidence is None:
        return None
    return {
        "method": evidence.method,
        "samples": int(evidence.samples),
        "steps": [
            {
                "prompt": step.prompt.value,
                "outcome": step.outcome,
                "angle_deg": _number(step.angle_deg),
                "response_s": _number(step.response_s),
                "residual": _number(step.residual),
            }
            for step in evidence.steps
        ],
    }
