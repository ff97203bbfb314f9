"""How sure a rate is: Clopper-Pearson over trials, rule of three at the ends, bootstrap over people."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest  # type: ignore[import-untyped]

from export_tools.evaluate.results.common import Interval, Rate

CONFIDENCE: Final = 0.95
#: -ln(0.05) rounded up: 95 % of all samples of n trials show an event of rate 3 / n (Hanley and Lippman-Hand 1983).
RULE_OF_THREE: Final = 3.0
REPLICATES: Final = 1000
#: The draw is the same each time, so that a result can be repeated.
_SEED: Final = 19795
#: Replicates times trials held at once.
_BLOCK: Final = 4_000_000


def interval_of(count: int, trials: int) -> Interval | None:
    """The 95 % interval of count / trials; None without trials.

    In between it is that of Clopper and Pearson (1934), exact and two-sided. Without any event (or without any
    exception) it is one-sided, by the rule of three: at most 3 / trials.
    """
    if trials <= 0:
        return None
    margin = min(RULE_OF_THREE / trials, 1.0)
    if count == 0:
        return Interval(lower=0.0, upper=margin, method="rule-of-three")
    if count == trials:
        return Interval(lower=1.0 - margin, upper=1.0, method="rule-of-three")
    found = binomtest(count, trials).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return Interval(lower=float(found.low), upper=float(found.high), method="clopper-pearson")


def rate_of(events: NDArray[np.bool_], *, subjects: NDArray[np.int64] | None = None) -> Rate:
    """The share of trials that are events.

    Args:
        events: (n,) one per trial.
        subjects: (n,) or (n, 2): the person or the two people of each trial, as numbers; without them there is no
            interval over people.
    """
    count, trials = int(np.count_nonzero(events)), int(events.size)
    return Rate(
        count=count,
        trials=trials,
        value=count / trials if trials else None,
        interval=interval_of(count, trials),
        by_subject=None if subjects is None else by_subject(events, subjects),
    )


def counted(count: int, trials: int) -> Rate:
    """The same from two counts."""
    return Rate(
        count=count, trials=trials, value=count / trials if trials else None, interval=interval_of(count, trials)
    )


def by_subject(events: NDArray[np.bool_], subjects: NDArray[np.int64]) -> Interval | None:
    """The 95 % interval of the share of events when people, not trials, are drawn anew (percentile bootstrap).

    A trial of two people counts as often as both were drawn together. Where every trial ends alike nothing can be
    drawn: then it is the rule of three over people. None for fewer than two people.

    Args:
        events: (n,) one per trial.
        subjects: (n,) or (n, 2), numbers of people.
    """
    if not events.size:
        return None
    pairs = subjects.reshape(events.size, -1)
    people, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    if people.size < 2:
        return None
    count = int(np.count_nonzero(events))
    if count in (0, events.size):
        return interval_of(people.size if count else 0, people.size)
    first, last = places[:, 0], places[:, -1]
    one_person = first == last
    draw = np.random.default_rng(_SEED)
    rates: list[NDArray[np.float64]] = []
    block = max(1, _BLOCK // events.size)
    for begin in range(0, REPLICATES, block):
        size = min(block, REPLICATES - begin)
        drawn = draw.multinomial(people.size, np.full(people.size, 1 / people.size), size=size).astype(np.float64)
        weights = drawn[:, first]
        weights[:, ~one_person] *= drawn[:, last[~one_person]]
        totals = weights.sum(axis=1)
        held = totals > 0  # a draw may leave no trial
        rates.append((weights @ events.astype(np.float64))[held] / totals[held])
    found = np.concatenate(rates)
    if not found.size:
        return None
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(found, (tail, 1 - tail)).tolist()
    # Sums of weights may round to a hair above one.
    return Interval(lower=max(lower, 0.0), upper=min(upper, 1.0), method="subject-bootstrap")
