"""How sure a rate is: the exact bounds of Clopper and Pearson (1934), without scipy, which a device does not have.

A bound is the rate at which a result as extreme as the counted one has just the probability that is allowed to miss;
it is found by bisection on the tail of the binomial distribution. Between the ends the interval is two-sided. Where
nothing or everything was counted only one side can be wrong, and that side has all of the 5 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95
#: Halvings of 0..1: what is left is below the spacing of floats near 1.
_HALVINGS: Final = 60
#: More trials than anybody makes at a door.
MAX_TRIALS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A counted rate and its 95 % bounds.

    Attributes:
        count: Of the trials, those that are counted.
        trials: All of them.
        value: ``count / trials``; None without trials.
        lower: The true rate is no lower; 0 without trials.
        upper: Nor higher; 1 without trials.
    """

    count: int
    trials: int
    value: float | None
    lower: float
    upper: float


def rate_of(count: int, trials: int) -> Rate:
    """The rate with its bounds. Raises ValueError unless ``0 <= count <= trials``."""
    _require(count, trials)
    if trials == 0:
        return Rate(count=0, trials=0, value=None, lower=0.0, upper=1.0)
    lower, upper = bounds(count, trials)
    return Rate(count=count, trials=trials, value=count / trials, lower=lower, upper=upper)


def bounds(count: int, trials: int) -> tuple[float, float]:
    """Lower and upper 95 % bound of ``count / trials``, see the module. Raises ValueError without a trial."""
    _require(count, trials)
    if trials == 0:
        raise ValueError("without a trial nothing is known")
    miss = 1 - CONFIDENCE if count in (0, trials) else (1 - CONFIDENCE) / 2
    lower = 0.0 if count == 0 else 1.0 - _highest(trials - count, trials, miss=miss)
    upper = 1.0 if count == trials else _highest(count, trials, miss=miss)
    return lower, upper


def trials_needed(rate: float, *, count: int = 0) -> int:
    """The fewest trials of which ``count`` are counted that put the upper bound at ``rate`` or below.

    More than ``count``: where everything is counted the bound is 1.

    Raises:
        ValueError: ``rate`` is not within 0 and 1, or more than a million trials would be needed.
    """
    if not 0 < rate < 1:
        raise ValueError(f"no number of trials puts a bound at {rate}")
    miss = 1 - CONFIDENCE if count == 0 else (1 - CONFIDENCE) / 2
    below, enough = count, max(2 * count, 1)
    while not _at_most(count, enough, rate=rate) <= miss:
        below, enough = enough, 2 * enough
        if below > MAX_TRIALS:
            raise ValueError(f"a bound of {rate} needs more than {MAX_TRIALS} trials")
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if _at_most(count, middle, rate=rate) <= miss else (middle, enough)
    return enough


def _require(count: int, trials: int) -> None:
    if not 0 <= count <= trials <= 2 * MAX_TRIALS:
        raise ValueError(f"{count} of {trials} is no count")


def _highest(count: int, trials: int, *, miss: float) -> float:
    """The rate at which at most ``count`` of ``trials`` has the probability ``miss``; fewer than all are counted."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(count, trials, rate=middle) > miss else (low, middle)
    return high


def _at_most(count: int, trials: int, *, rate: float) -> float:
    """P(X <= count) of a binomial X; ``rate`` lies within 0 and 1, both excluded."""
    hit, spare, ways = math.log(rate), math.log1p(-rate), math.lgamma(trials + 1)
    return math.fsum(
        math.exp(
            ways - math.lgamma(number + 1) - math.lgamma(trials - number + 1) + number * hit + (trials - number) * spare
        )
        for number in range(count + 1)
    )
