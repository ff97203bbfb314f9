"""At most how high a rate is: one-sided 95 % bounds over comparisons and over people."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest  # type: ignore[import-untyped]

from export_tools.evaluate.intervals import CONFIDENCE, REPLICATES, RULE_OF_THREE

#: Fewer people give no bound over people: draws of a handful are nearly all alike, or leave nobody to compare.
MIN_PEOPLE: Final = 10
#: The draw is the same each time, so that a result can be repeated.
_SEED: Final = 19795


def upper_95(errors: int, trials: int) -> float:
    """One-sided 95 % bound of a rate: Clopper and Pearson 1934; without errors the rule of three."""
    if errors == 0:
        return min(RULE_OF_THREE / trials, 1.0)
    found = binomtest(errors, trials, alternative="less").proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return float(found.high)


class PeopleBound:
    """The same when people are drawn anew, each with all comparisons; one pair counts as often as both were drawn.

    Args:
        people: (n, 2) who was compared with whom.
    """

    def __init__(self, people: NDArray[np.int64]) -> None:
        names, places = np.unique(people, return_inverse=True)
        self._size = names.size
        places = places.reshape(people.shape)
        self._pairs = places[:, 0] * names.size + places[:, 1]
        draw = np.random.default_rng(_SEED)
        self._drawn = draw.multinomial(names.size, np.full(names.size, 1 / names.size), size=REPLICATES).astype(
            np.float32
        )
        self._totals = self._drawn_count(np.ones(len(people), np.bool_))

    def upper_95(self, errors: NDArray[np.bool_]) -> float | None:
        """Percentile bootstrap, one-sided; without errors the rule of three over people.

        Never below the bound over comparisons: people who share errors can only widen it. None below ten people.

        Args:
            errors: (n,) whether each comparison matched.
        """
        if self._size < MIN_PEOPLE:
            return None
        over_comparisons = upper_95(int(np.count_nonzero(errors)), errors.size)
        if not errors.any():
            return max(min(RULE_OF_THREE / self._size, 1.0), over_comparisons)
        held = self._totals > 0  # a draw may leave nobody to compare
        if not held.any():
            return 1.0
        rates = self._drawn_count(errors)[held] / self._totals[held]
        drawn_anew = min(float(np.quantile(rates, CONFIDENCE)), 1.0)
        return max(drawn_anew, over_comparisons)

    def _drawn_count(self, counted_in: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How many of these comparisons each draw holds."""
        often = np.bincount(self._pairs[counted_in], minlength=self._size**2).astype(np.float32)
        visits = self._drawn @ often.reshape(self._size, self._size)
        counts: NDArray[np.float64] = np.einsum("rp,rp->r", visits.astype(np.float64), self._drawn)
        return counts
