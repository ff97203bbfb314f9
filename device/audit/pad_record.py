"""The entry about a test of presentation attacks at this door: that it was made, by whom, and what was counted."""

from __future__ import annotations

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
class PadTested:
    """An installer tried attacks and living people; nothing of it was a visit, and no relay was there to be driven.

    Attributes:
        by_uid: Local user who did it.
        simulated: Whether the presentations were rendered.
        complete: Whether all planned tries were made or left out on purpose.
        pack: Pack of models in use, as it calls itself.
        level: Of the proof of life.
        counts: For each kind of try.
        report_sha256: Of the report's bytes, 64 hex digits.
    """

    kind: ClassVar[str] = "pad_test"
    person: ClassVar[str | None] = None
    by_uid: int
    simulated: bool
    complete: bool
    pack: str
    level: str
    counts: tuple[SpeciesCount, ...]
    report_sha256: str

    def body(self) -> JsonObject:
        """All of it."""
        return {
            "by_uid": self.by_uid,
            "simulated": self.simulated,
            "complete": self.complete,
            "pack": self.pack,
            "level": json_word(self.level),
            "tries": [
                {
                    "species": json_word(each.species),
                    "tries": each.tries,
                    "no_response": each.no_response,
                    "alive": each.alive,
                }
                for each in self.counts
            ],
            "report_sha256": self.report_sha256,
        }

    def personal(self) -> JsonObject:
        """Nothing: who was shown or stood there is not recorded."""
        return {}
