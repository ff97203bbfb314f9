"""Trying again is not free."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from device.access.lockout import Lockout, LockoutRules

RULES = LockoutRules(after=5, pause_s=30.0, longest_s=480.0, forget_s=600.0)


def _after(failures: int) -> Lockout:
    state = Lockout()
    for _ in range(failures):
        state = state.failed(100.0, RULES)
    return state


def test_four_failures_cost_nothing() -> None:
    """Everybody may misunderstand the door a few times."""
    assert not _after(4).active(100.0)


def test_from_the_fifth_on_the_pause_doubles_up_to_the_longest() -> None:
    """30 s, 60 s ... 480 s and no more."""
    assert [_after(count).until_s - 100.0 for count in (5, 6, 7, 8, 9, 10, 60)] == [30, 60, 120, 240, 480, 480, 480]


def test_a_pause_ends_and_one_more_failure_begins_a_longer_one() -> None:
    """Waiting does not wipe the slate."""
    state = _after(5)
    assert state.active(129.9)
    assert not state.active(130.0)
    assert state.failed(131.0, RULES).until_s == 131.0 + 60.0


def test_a_grant_forgives_one_failure_and_not_those_of_others() -> None:
    """Who failed and came again was one person; at a busy door four tries between two grants would be free."""
    assert _after(3).passed().failures == 2
    assert _after(0).passed().failures == 0
    state, tries = _after(0), 0
    for second in range(100):  # four failures, then somebody's grant, and so on
        for _ in range(4):
            if not state.active(100.0 + second):
                state, tries = state.failed(100.0 + second, RULES), tries + 1
        state = state.passed()
    assert tries < 40, "of 400"


def test_one_failure_is_forgotten_for_each_quiet_interval() -> None:
    """Four tries and a wait do not buy four more tries."""
    assert _after(4).failed(100.0 + 599.0, RULES).failures == 5
    assert _after(4).failed(100.0 + 600.0, RULES).failures == 4
    assert _after(4).failed(100.0 + 1800.0, RULES).failures == 2
    assert _after(4).failed(100.0 + 1e9, RULES).failures == 1


def test_a_time_that_is_no_number_keeps_the_pause() -> None:
    """Broken clocks do not open a door."""
    assert _after(5).active(math.nan)


@given(st.lists(st.floats(0, 1e6), max_size=40))
def test_no_more_than_four_failures_in_a_row_without_a_pause(times: list[float]) -> None:
    """Whenever a fifth failure follows within the time of memory, nobody is asked for a while."""
    state = Lockout()
    for now_s in sorted(times):
        if state.active(now_s):
            continue
        state = state.failed(now_s, RULES)
        assert state.failures < 5 or state.active(now_s)
