"""When a person may come in, whoever proved to be that person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from device.access.freshness import is_fresh
from device.access.policy import admission
from device.types import Person, Reason

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
ANN = Person(
    handle="a" * 32,
    name="Ann",
    enabled=True,
    valid_from=None,
    valid_until=None,
    enrolled_at=NOW,
    photos=3,
    models=("m",),
)


def test_somebody_without_limits_needs_no_clock() -> None:
    """A door whose clock was never set still knows its people."""
    assert admission(ANN, wall=NOW, wall_trusted=False) is None


def test_the_first_moment_counts_and_the_last_does_not() -> None:
    """Validity is from (inclusive) until (exclusive)."""
    limited = replace(ANN, valid_from=NOW, valid_until=NOW + timedelta(hours=1))
    assert admission(limited, wall=NOW, wall_trusted=True) is None
    assert admission(limited, wall=NOW + timedelta(hours=1), wall_trusted=True) is Reason.EXPIRED


@given(st.datetimes(timezones=st.just(timezone.utc)), st.integers(-14, 14))
def test_limits_mean_moments_whatever_the_zone_they_were_given_in(wall: datetime, hours: int) -> None:
    """The same instant in another zone is the same limit."""
    if not datetime(1900, 1, 1, tzinfo=timezone.utc) < wall < datetime(2200, 1, 1, tzinfo=timezone.utc):
        return
    elsewhere = NOW.astimezone(timezone(timedelta(hours=hours)))
    here = admission(replace(ANN, valid_until=NOW), wall=wall, wall_trusted=True)
    there = admission(replace(ANN, valid_until=elsewhere), wall=wall, wall_trusted=True)
    assert here is there


@given(st.floats(), st.floats(), st.floats())
def test_fresh_means_a_finite_age_between_zero_and_the_limit(captured_s: float, now_s: float, limit_s: float) -> None:
    """Whatever the numbers, NaN and infinity included."""
    if is_fresh(captured_s=captured_s, now_s=now_s, max_age_s=limit_s):
        assert 0.0 <= now_s - captured_s <= limit_s
        assert now_s - captured_s < float("inf")
