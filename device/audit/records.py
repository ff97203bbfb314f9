"""What goes into an entry: for each kind of event, the part for ever and the part that belongs to a person.

Names, handles and claimed identities stand in ``personal()`` only, so that erasing a person leaves numbers, times and
reasons. Scores in the body tell how sure the machine was, not who was there. Local user ids of operators stay: who
administered the door must remain answerable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from device.audit.canonical import JsonObject, JsonValue
from device.audit.chain import ERASURE
from device.audit.entry import json_number, json_text, json_time, json_word
from device.types import Decision, LivenessEvidence, Person, Word


@dataclass(frozen=True, slots=True)
class DecisionMade:
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
            "similarity": json_number(made.similarity),
            "runner_up": json_number(made.runner_up),
            "threshold": json_number(self.threshold),
            "pack": self.pack,
            "votes": int(made.votes),
            "track": int(made.track),
            "frame_number": int(made.frame_number),
            "captured_s": json_number(made.captured_s),
            "decided_s": json_number(made.decided_s),
            "first_usable_s": json_number(made.first_usable_s),
            "claimed_s": json_number(made.claimed_s),
            "quality": [reason.value for reason in made.quality],
            "liveness": _evidence(made.liveness),
        }

    def personal(self) -> JsonObject:
        """Who was claimed, and who was let in."""
        if self.decision.claimed is None and self.decision.person is None:
            return {}
        return {"claimed": self.decision.claimed, "person": self.decision.person, "name": self.name}


class Answer(Protocol):
    """What the door made of a decision; kept by the door controller's own answer."""

    @property
    def outcome(self) -> Word:
        """In one word."""

    @property
    def pulsed(self) -> bool:
        """Whether the line was driven."""

    @property
    def pulse_s(self) -> float:
        """For how long, 0 without a pulse."""

    @property
    def at_s(self) -> float:
        """Monotonic time of the answer."""

    @property
    def fault(self) -> str:
        """The driver's words about a fault, empty otherwise."""


@dataclass(frozen=True, slots=True)
class DoorAnswered:
    """What the door made of a granted decision, told apart by track and frame; who it was stands in the decision."""

    kind: ClassVar[str] = "door"
    person: ClassVar[str | None] = None
    decision: Decision
    answer: Answer

    def body(self) -> JsonObject:
        """Outcome and times."""
        return {
            "track": int(self.decision.track),
            "frame_number": int(self.decision.frame_number),
            "outcome": self.answer.outcome.value,
            "pulsed": bool(self.answer.pulsed),
            "pulse_s": json_number(self.answer.pulse_s),
            "at_s": json_number(self.answer.at_s),
            "fault": json_text(self.answer.fault),
        }

    def personal(self) -> JsonObject:
        """Nothing."""
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
            "valid_from": json_time(self.subject.valid_from),
            "valid_until": json_time(self.subject.valid_until),
        }


@dataclass(frozen=True, slots=True)
class PersonErased:
    """The personal fields of somebody's entries were erased; says how many, not whose."""

    kind: ClassVar[str] = ERASURE
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
class Started:
    """The program started to decide.

    Attributes:
        about: One line on what is running: version, platform, pack.
        config_sha256: Of the configuration in force, 64 hex digits; empty where unknown.
    """

    kind: ClassVar[str] = "start"
    person: ClassVar[str | None] = None
    about: str
    config_sha256: str = ""

    def body(self) -> JsonObject:
        """All of it."""
        return {"about": json_text(self.about), "config_sha256": self.config_sha256}

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class Stopped:
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


@dataclass(frozen=True, slots=True)
class CameraChanged:
    """The camera was lost, froze, came back or ended; ``state`` is a stable word, never an address with a password."""

    kind: ClassVar[str] = "camera"
    person: ClassVar[str | None] = None
    state: str

    def body(self) -> JsonObject:
        """All of it."""
        return {"state": json_word(self.state)}

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request on the control socket was refused.

    Attributes:
        reason: Why, a stable word.
        uid: The peer's user id by the kernel's word, None where unknown.
        verb: What was asked for, as the peer wrote it; what is not a plain word is written as ``unreadable``.
        suppressed: How many more there were since the last such entry.
    """

    kind: ClassVar[str] = "refused_request"
    person: ClassVar[str | None] = None
    reason: str
    uid: int | None = None
    verb: str = ""
    suppressed: int = 0

    def body(self) -> JsonObject:
        """All of it, without any text of the peer's choosing."""
        return {
            "reason": json_word(self.reason),
            "uid": self.uid,
            "verb": json_word(self.verb) if self.verb else None,
            "suppressed": self.suppressed,
        }

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class RelayTested:
    """An installer pulses the relay by hand: the door opens without a decision."""

    kind: ClassVar[str] = "relay_test"
    person: ClassVar[str | None] = None
    by_uid: int

    def body(self) -> JsonObject:
        """Who did it."""
        return {"by_uid": self.by_uid}

    def personal(self) -> JsonObject:
        """Nothing."""
        return {}


def _evidence(evidence: LivenessEvidence | None) -> JsonValue:
    if evidence is None:
        return None
    passive = evidence.passive
    return {
        "method": evidence.method,
        "level": evidence.level,
        "samples": int(evidence.samples),
        "passive": None
        if passive is None
        else {
            "verdict": passive.verdict.value,
            "samples": int(passive.samples),
            "live": int(passive.live),
            "median": json_number(passive.median),
        },
        "doubts": [doubt.value for doubt in evidence.doubts],
        "blinks": evidence.blinks,
        "steps": [
            {
                "prompt": step.prompt.value,
                "outcome": step.outcome,
                "angle_deg": json_number(step.angle_deg),
                "response_s": json_number(step.response_s),
                "residual": json_number(step.residual),
                "parallax": json_number(step.parallax),
                "error": json_number(step.error),
            }
            for step in evidence.steps
        ],
    }
