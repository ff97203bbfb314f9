"""Points in time as people type them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from device.errors import UsageError

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
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        if whole_day and _DAY.fullmatch(text.strip()):
            moment += timedelta(days=1)
        return moment if moment.tzinfo is not None else moment.astimezone()
    except (ValueError, OverflowError, OSError) as exc:
        raise UsageError(
            f"{option}: {text!r} is not a time",
            hint="write it as 2026-01-31, 2026-01-31T08:00 or 2026-01-31T08:00+01:00",
        ) from exc
