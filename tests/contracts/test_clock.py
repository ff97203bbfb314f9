"""What every clock promises. To put another clock under the promises, add a case to ``CASES``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from device.clock import SystemClock
from device.interfaces import Clock
from device.sim.clock import ManualClock

CASES: dict[str, Callable[[], Clock]] = {"system": SystemClock, "manual": ManualClock}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def clock(request: pytest.FixtureRequest) -> Clock:
    """Each clock in turn."""
    made: Clock = request.param()
    return made


def test_monotonic_never_goes_back(clock: Clock) -> None:
    """Asked a thousand times in a row."""
    times = [clock.monotonic() for _ in range(1000)]
    assert times == sorted(times)


def test_wall_is_utc_and_knows_it(clock: Clock) -> None:
    """Schedules compare aware times only."""
    assert clock.wall().utcoffset() == timedelta(0)


def test_trust_is_a_plain_yes_or_no(clock: Clock) -> None:
    """And asking does not fail."""
    assert clock.wall_trusted() in (True, False)


def test_a_manual_clock_moves_only_when_told_and_never_back() -> None:
    """A wall that jumps does not move the monotonic clock."""
    clock = ManualClock()
    clock.advance(2)
    clock.advance_to(1)
    clock.set_wall(clock.wall() - timedelta(days=400))
    assert clock.monotonic() == 2
    with pytest.raises(ValueError, match="cannot advance"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="cannot advance"):
        clock.advance(float("nan"))
