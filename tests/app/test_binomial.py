"""Exact bounds on a device: the same as those of the evaluation, which has scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.app.binomial import bounds, rate_of, trials_needed
from export_tools.evaluate.intervals import interval_of
from export_tools.evaluate.one_sided import upper_95

COUNTS = st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@settings(deadline=None)
@given(COUNTS)
def test_between_the_ends_the_bounds_are_those_of_the_evaluation(counted: tuple[int, int]) -> None:
    """Clopper and Pearson, by two ways."""
    count, trials = counted
    expected = interval_of(count, trials)
    assert expected is not None
    lower, upper = bounds(count, trials)
    if 0 < count < trials:
        assert lower == pytest.approx(expected.lower, abs=1e-9)
        assert upper == pytest.approx(expected.upper, abs=1e-9)
    else:
        # The evaluation's rule of three is the exact bound's own approximation, never below it.
        assert expected.lower <= lower + 1e-12
        assert upper <= expected.upper + 1e-12


@settings(deadline=None)
@given(st.integers(1, 5000))
def test_at_the_ends_one_side_has_all_of_the_five_percent(trials: int) -> None:
    """The closed form: a rate r shows nothing in n trials with probability (1 - r)^n."""
    least = 0.05 ** (1 / trials)
    assert list(bounds(0, trials)) == pytest.approx([0.0, 1 - least], abs=1e-9)
    assert list(bounds(trials, trials)) == pytest.approx([least, 1.0], abs=1e-9)
    assert upper_95(0, trials) >= bounds(0, trials)[1]


@settings(deadline=None)
@given(COUNTS)
def test_bounds_hold_the_rate_and_mirror_each_other(counted: tuple[int, int]) -> None:
    """What is true of passes is true of refusals."""
    count, trials = counted
    lower, upper = bounds(count, trials)
    assert 0.0 <= lower <= count / trials <= upper <= 1.0
    assert list(bounds(trials - count, trials)) == pytest.approx([1 - upper, 1 - lower], abs=1e-9)


def test_a_rate_without_trials_says_nothing() -> None:
    """Everything is possible."""
    nothing = rate_of(0, 0)
    assert (nothing.value, nothing.lower, nothing.upper) == (None, 0.0, 1.0)


@pytest.mark.parametrize(("count", "trials"), [(-1, 3), (4, 3), (0, -1)])
def test_what_is_no_count_is_refused(count: int, trials: int) -> None:
    """Rather than answered."""
    with pytest.raises(ValueError, match="is no count"):
        rate_of(count, trials)
    with pytest.raises(ValueError, match=r"."):
        bounds(0, 0)


def test_figures_that_are_known() -> None:
    """0 of 5 is at most 45 %; 59 tries without any are at most 5 %."""
    assert bounds(0, 5)[1] == pytest.approx(0.4507, abs=1e-4)
    assert trials_needed(0.05) == 59
    assert math.isclose(bounds(1, 5)[1], 0.7164, abs_tol=1e-4)


@settings(deadline=None)
@given(st.integers(0, 20), st.floats(0.01, 0.9))
def test_trials_needed_are_the_fewest(count: int, rate: float) -> None:
    """One fewer does not do."""
    trials = trials_needed(rate, count=count)
    assert bounds(count, trials)[1] <= rate + 1e-12
    if trials - 1 > count:
        assert bounds(count, trials - 1)[1] > rate - 1e-12


@pytest.mark.parametrize("rate", [0.0, 1.0, math.nan, -0.1, 1e-9])
def test_a_bound_that_no_number_of_trials_gives_is_refused(rate: float) -> None:
    """Zero is never proven."""
    with pytest.raises(ValueError, match="trials"):
        trials_needed(rate)
