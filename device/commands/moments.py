"""Points in time as people type them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated

import typer

from device.app.requests import FIRST_YEAR, LAST_YEAR
from device.errors import UsageError

FromOption = Annotated[str | None, typer.Option("--valid-from", "--from", help="Let in from this day or time on.")]
UntilOption = Annotated[
    str | None,
    typer.Option("--valid-until", "--until", help="Let in until the end of this day, or until this time."),
]
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_moment(text: str, *, option: str, whole_day: bool = False) -> datetime:
    """A day or a time, in this machine's zone where none is given.

    Args:
        text: ``2026-01-31``, ``2026-01-31T08:00`` or ``2026-01-31T08:00+01:00``.
        option: Named in the error.
        whole_day: A day alone means its end, so that "until the 31st" includes the 31st.

    Raises:
        UsageError: Anything else.
    """
    moment = _parse(text.strip(), whole_day=whole_day)
    if moment is None or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UsageError(
            f"{option}: {text!r} is not a time",
            hint="write it as 2026-01-31, 2026-01-31T08:00 or 2026-01-31T08:00+01:00",
        )
    return moment


def _parse(text: str, *, whole_day: bool) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if whole_day and _DAY.fullmatch(text):
            moment += timedelta(days=1)
        return moment if moment.tzinfo is not None else moment.astimezone()
    except (ValueError, OverflowError, OSError):
        return None
