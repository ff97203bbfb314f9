"""What is shown is shown as it is, and drives no terminal."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.commands.moments import parse_moment
from device.commands.output import print_table, visible
from device.errors import UsageError


def test_markup_in_a_name_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A person may be called [bold]; nobody may be called a terminal escape."""
    print_table(("name",), [("[bold red]Ada[/]",), ("\x1b[2J\u202eEve",)])
    shown = capsys.readouterr().out
    assert "[bold red]Ada[/]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@given(st.text())
def test_nothing_that_is_shown_moves_the_cursor(text: str) -> None:
    """Whatever the text."""
    assert not any((ord(sign) < 32 and sign not in "\n\t") or 127 <= ord(sign) < 160 for sign in visible(text))


def test_a_day_as_the_end_includes_the_day() -> None:
    """Until the 31st means the end of the 31st; from the 31st its beginning."""
    until = parse_moment("2026-01-31", option="--valid-until", whole_day=True)
    begin = parse_moment("2026-01-31", option="--valid-from")
    assert until.isoformat().startswith("2026-02-01T00:00:00")
    assert begin.isoformat().startswith("2026-01-31T00:00:00")
    assert until.tzinfo is not None


def test_a_time_with_its_zone_is_that_time() -> None:
    """Offsets and Z are understood, on Python 3.10 too."""
    assert parse_moment("2026-01-31T08:00+02:00", option="x") == datetime(2026, 1, 31, 6, tzinfo=timezone.utc)
    assert parse_moment("2026-01-31T08:00:00Z", option="x", whole_day=True).hour == 8


@pytest.mark.parametrize("text", ["0001-01-01T00:00+23:59", "9999-12-31", "0001-01-01", "9999-12-31T23:59-23:59"])
def test_the_ends_of_the_calendar_are_refused(text: str) -> None:
    """Arithmetic with zones would overflow there."""
    with pytest.raises(UsageError):
        parse_moment(text, option="--since", whole_day=True)


@given(st.text(max_size=40))
def test_any_other_text_is_a_usage_error(text: str) -> None:
    """A time with its zone, or the error of a wrong call."""
    try:
        moment = parse_moment(text, option="--since")
    except UsageError:
        return
    assert moment.tzinfo is not None
