"""Whether a person may come in now, whoever proved to be that person. The first rule that is not met is the reason."""

from __future__ import annotations

from datetime import datetime

from device.types import Person, Reason


def admission(person: Person | None, *, wall: datetime, wall_trusted: bool) -> Reason | None:
    """None when the person may come in, else why not.

    Limits in time are judged only by a clock that is trusted: with an untrusted one, who has limits stays outside.

    Args:
        person: The record at the time of the decision; None when it was removed meanwhile.
        wall: Now, timezone-aware.
        wall_trusted: Whether ``wall`` is known to be right.
    """
    if person is None:
        return Reason.UNKNOWN_PERSON
    if not person.enabled:
        return Reason.DISABLED
    if person.valid_from is None and person.valid_until is None:
        return None
    if not wall_trusted:
        return Reason.CLOCK_UNTRUSTED
    if person.valid_from is not None and not (wall >= person.valid_from):
        return Reason.NOT_YET_VALID
    if person.valid_until is not None and not (wall < person.valid_until):
        return Reason.EXPIRED
    return None
