"""The entries about a test of presentation attacks at this door: that it began, by whom, and what it came to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from device.audit.canonical import JsonObject
from device.audit.entry import json_word


@dataclass(frozen=True, slots=True)
class SpeciesCount:
    """The tries of one kind.

    Attributes:
        species: A stable word.
        tries: That were made.
        no_response: Of which nothing was compared.
        alive: That were taken for living.
    """

    species: str
    tries: int
    no_response: int
    alive: int


@dataclass(frozen=True, slots=True)
class PadStarted:
    """An installer begins a walk through attacks and living people; committed before the first try.

    Attributes:
        by_uid: Local user who does it.
        simulated: Whether the presentations are rendered.
        pack: Pack of models in use, as it calls itself.
        level: Of the proof of life.
        planned: How many tries of each species.
        config_sha256: Of the configuration in force, 64 hex digits.
    """

    kind: ClassVar[str] = "pad_test_start"
    person: ClassVar[str | None] = None
    by_uid: int
    simulated: bool
    pack: str
    level: str
    planned: tuple[tuple[str, int], ...]
    config_sha256: str

    def body(self) -> JsonObject:
        """All of it."""
        return {
            "by_uid": self.by_uid,
            "simulated": self.simulated,
            "pack": self.pack,
            "level": json_word(self.level),
            "planned": [{"species": json_word(species), "tries": tries} for species, tries in self.planned],
            "config_sha256": self.config_sha256,
        }

    def personal(self) -> JsonObject:
        """Nothing: who was shown or stood there is not recorded."""
        return {}


@dataclass(frozen=True, slots=True)
class PadTested:
    """A walk ended, at its end or broken off; nothing of it was a visit, and no relay was there to be driven.

    Attributes:
        start_seq: Number of the entry about its start.
        by_uid: Local user who did it.
        simulated: Whether the presentations were rendered.
        complete: Whether all planned tries were made or left out on purpose.
        pack: Pack of models in use, as it calls itself.
        level: Of the proof of life.
        begun: Tries that were begun; one more than were made where the last was broken off.
        counts: For each kind of try.
        report_sha256: Of the report's bytes, 64 hex digits; None where no try was made, and so there is no report.
    """

    kind: ClassVar[str] = "pad_test"
    person: ClassVar[str | None] = None
    start_seq: int
    by_uid: int
    simulated: bool
    complete: bool
    pack: str
    level: str
    begun: int
    counts: tuple[SpeciesCount, ...]
    report_sha256: str | None

    def body(self) -> JsonObject:
        """All of it."""
        return {
            "start_seq": self.start_seq,
            "by_uid": self.by_uid,
            "simulated": self.simulated,
            "complete": self.complete,
            "pack": self.pack,
            "level": json_word(self.level),
            "begun": self.begun,
            "tries": _rows(self.counts),
            "report_sha256": self.report_sha256,
        }

    def personal(self) -> JsonObject:
        """Nothing: who was shown or stood there is not recorded."""
        return {}


def _rows(counts: Iterable[SpeciesCount]) -> list[JsonObject]:
    return [
        {
            "species": json_word(each.species),
            "tries": each.tries,
            "no_response": each.no_response,
            "alive": each.alive,
        }
        for each in counts
    ]
