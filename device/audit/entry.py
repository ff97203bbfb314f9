"""The frame of every entry: its form, kind and time, and how values enter it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import ClassVar, Protocol

from device.audit.canonical import JsonObject, JsonValue

#: Version of the entries' form.
FORM = 1
_WORD = re.compile(r"[a-z][a-z_.-]{0,31}")


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


def entry_body(record: Record, *, moment: Moment) -> JsonObject:
    """The body of an entry: form, kind, time and what the record says."""
    return {
        "form": FORM,
        "kind": record.kind,
        "boot_id": moment.boot_id,
        "monotonic_s": json_number(moment.monotonic_s),
        "wall": json_time(moment.wall),
        "wall_trusted": moment.wall_trusted,
        "data": record.body(),
    }


def json_number(value: float | None) -> JsonValue:
    """A number that JSON can hold; ``not_finite`` for what is none: a broken model's NaN must not keep a denial out."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else "not_finite"


def json_word(value: str) -> str:
    """A word as it is, anything else as ``unreadable``: no text of a stranger's choosing enters the chain."""
    return value if _WORD.fullmatch(value) else "unreadable"


def json_text(value: str) -> str:
    """Text of the system, at most 200 characters; bytes in it that are no UTF-8 are replaced."""
    return value.encode(errors="replace").decode()[:200]


def json_time(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds."""
    return None if value is None else value.astimezone(timezone.utc).isoformat(timespec="milliseconds")
