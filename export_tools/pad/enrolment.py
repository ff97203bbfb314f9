"""Whom a door knows while a presentation is played to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from device.types import Embedding, Person

#: Schedules have no part in an attempt.
NOON: Final = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """Who is enrolled.

    Attributes:
        person: Identity.
        template: Of other photographs than the one presented, where there are any.
    """

    person: str
    template: Embedding

    @property
    def record(self) -> Person:
        """As the gallery would have it: let in at any time."""
        return Person(
            handle=self.person,
            name=self.person,
            enabled=True,
            valid_from=None,
            valid_until=None,
            enrolled_at=NOON,
            photos=1,
            models=(self.template.model,),
        )
