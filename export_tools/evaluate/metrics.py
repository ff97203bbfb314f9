"""From scores to rates. Pure: numbers in, figures out.

Words follow ISO/IEC 19795-1:2021, clause 3. The false match rate (FMR; ISO/IEC 2382-37:2017, 3.9.9) and the false
non-match rate (FNMR) are of completed comparisons; the false accept and false reject rates (FAR, FRR) are of
transactions, in which a picture without a usable face is a failure to acquire. So the same function gives FAR and FRR
for all pairs, and FMR and FNMR for the pairs that have two faces.

A score that is not a number never matches: it makes a genuine pair a false reject, is counted, and ranks below every
score in the area under the curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (  # type: ignore[import-untyped]
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from device.errors import UsageError
from export_tools.evaluate.intervals import rate_of
from export_tools.evaluate.results.recognition import (
    Confusion,
    ErrorCurve,
    Fold,
    Folds,
    Histogram,
    OperatingFigures,
    TarAtFar,
    VerificationFigures,
)

TARGET_FARS: Final = (1e-2, 1e-3, 1e-4)
#: Below the least cosine: where a pair without score stands in a ranking.
_NO_SCORE: Final = -2.0
#: A curve of more points is thinned for the result; rates at named points are taken from all of them.
_MAX_POINTS: Final = 4000
_BINS: Final = 60

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredPairs:
    """Scores with the truth about them.

    Attributes:
        scores: (n,) cosine; NaN where a pair could not be compared.
        same: (n,) whether both pictures show one person.
        folds: (n,) number of the fold, or None.
        subjects: (n, 2) numbers of the people, or None.
    """

    scores: Scores
    same: Truth
    folds: NDArray[np.int64] | None = None
    subjects: NDArray[np.int64] | None = None

    def only(self, kept: Truth) -> ScoredPairs:
        """Some of them."""
        return ScoredPairs(
            scores=self.scores[kept],
            same=self.same[kept],
            folds=None if self.folds is None else self.folds[kept],
            subjects=None if self.subjects is None else self.subjects[kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Every operating point, highest threshold first: above all scores, then at each score that occurs.

    Attributes:
        thresholds: (n,) finite, falling.
        far: (n,) share of impostor pairs that match, rising.
        tar: (n,) share of genuine pairs that match, rising.
    """

    thresholds: Scores
    far: Scores
    tar: Scores


def matches(scores: Scores, threshold: float) -> Truth:
    """Which scores match; one that is not a number never does, and nothing does at a threshold that is none."""
    return np.isfinite(scores) & (scores >= threshold)


def error_curve(scores: Scores, same: Truth) -> Curve:
    """All operating points of scored pairs. Raises UsageError without genuine or without impostor pairs."""
    if not same.any() or same.all():
        raise UsageError(
            f"{np.count_nonzero(same)} genuine and {np.count_nonzero(~same)} impostor pairs: rates need both",
            hint="name pairs of one person and pairs of two",
        )
    far, tar, thresholds = roc_curve(same, _ranked(scores), drop_intermediate=False)
    held = np.flatnonzero(thresholds > _NO_SCORE)
    top = float(np.max(scores[np.isfinite(scores)], initial=-1.0))
    thresholds = thresholds[held]
    thresholds[0] = np.nextafter(top, math.inf)  # scikit-learn says inf
    return Curve(thresholds=thresholds, far=far[held], tar=tar[held])


def operating_figures(pairs: ScoredPairs, *, threshold: float) -> OperatingFigures:
    """What follows from a threshold."""
    same, said = pairs.same, matches(pairs.scores, threshold)
    table = confusion_matrix(same, said, labels=[False, True])
    precision, recall, f1, _ = precision_recall_fscore_support(
        same, said, labels=[False, True], pos_label=True, average="binary", zero_division=np.nan
    )
    subjects = pairs.subjects
    return OperatingFigures(
        threshold=threshold,
        accuracy=float(accuracy_score(same, said)),
        precision=_known(precision),
        recall=_known(recall),
        f1=_known(f1),
        confusion=Confusion(
            true_negative=int(table[0, 0]),
            false_positive=int(table[0, 1]),
            false_negative=int(table[1, 0]),
            true_positive=int(table[1, 1]),
        ),
        far=rate_of(said[~same], subjects=None if subjects is None else subjects[~same]),
        frr=rate_of(~said[same], subjects=None if subjects is None else subjects[same]),
    )


def best_threshold(scores: Scores, same: Truth) -> float:
    """The threshold of the best accuracy; of several the highest, which accepts the fewest strangers."""
    curve = error_curve(scores, same)
    genuine = np.count_nonzero(same)
    impostor = same.size - genuine
    correct = np.rint(curve.tar * genuine) + np.rint((1 - curve.far) * impostor)
    return float(curve.thresholds[int(np.argmax(correct))])


def fold_accuracy(pairs: ScoredPairs) -> Folds | None:
    """Accuracy of each fold at the threshold that was best on all the others; None without two folds."""
    if pairs.folds is None:
        return None
    numbers = np.unique(pairs.folds)
    if numbers.size < 2:
        return None
    found = []
    for number in numbers.tolist():
        held_out = pairs.folds == number
        threshold = best_threshold(pairs.scores[~held_out], pairs.same[~held_out])
        said = matches(pairs.scores[held_out], threshold)
        found.append(
            Fold(
                number=number,
                pairs=int(np.count_nonzero(held_out)),
                threshold=threshold,
                accuracy=float(accuracy_score(pairs.same[held_out], said)),
            )
        )
    accuracies = np.array([fold.accuracy for fold in found])
    return Folds(
        accuracy=float(accuracies.mean()),
        standard_error=float(accuracies.std(ddof=1) / math.sqrt(accuracies.size)),
        folds=tuple(found),
    )


def equal_error_rate(curve: Curve) -> float | None:
    """Where FAR and FRR cross, on the straight line between two operating points.

    None where so many pairs have no score that FAR stays below FRR at every threshold.
    """
    frr = 1 - curve.tar
    crossed = np.flatnonzero(curve.far >= frr)
    if not crossed.size:
        return None
    at = int(crossed[0])
    if at == 0:
        return float(curve.far[0])
    before, after = float(frr[at - 1] - curve.far[at - 1]), float(frr[at] - curve.far[at])
    share = before / (before - after)
    return float(curve.far[at - 1] + share * (curve.far[at] - curve.far[at - 1]))


def tar_at_far(pairs: ScoredPairs, curve: Curve, *, target_far: float) -> TarAtFar:
    """How many genuine pairs match at the lowest threshold that keeps a false accept rate."""
    same = pairs.same
    at = int(np.searchsorted(curve.far, target_far, side="right")) - 1
    threshold = float(curve.thresholds[at])
    said = matches(pairs.scores, threshold)
    subjects = pairs.subjects
    return TarAtFar(
        target_far=target_far,
        threshold=threshold if at > 0 else None,
        far=rate_of(said[~same]),
        tar=rate_of(said[same], subjects=None if subjects is None else subjects[same]),
        resolved=target_far * np.count_nonzero(~same) >= 1,
    )


def verification_figures(
    pairs: ScoredPairs, *, threshold: float, target_fars: Sequence[float] = TARGET_FARS
) -> VerificationFigures:
    """All figures of one set of scored pairs.

    Args:
        pairs: Scores and truth.
        threshold: Cosine of the operating point.
        target_fars: At which false accept rates the true accept rate is told.

    Raises:
        UsageError: There are no genuine or no impostor pairs.
    """
    curve = error_curve(pairs.scores, pairs.same)
    return VerificationFigures(
        genuine=int(np.count_nonzero(pairs.same)),
        impostor=int(np.count_nonzero(~pairs.same)),
        without_score=int(np.count_nonzero(~np.isfinite(pairs.scores))),
        folds=fold_accuracy(pairs),
        auc=float(roc_auc_score(pairs.same, _ranked(pairs.scores))),
        eer=equal_error_rate(curve),
        at_threshold=operating_figures(pairs, threshold=threshold),
        at_best=operating_figures(pairs, threshold=best_threshold(pairs.scores, pairs.same)),
        tar_at_far=tuple(tar_at_far(pairs, curve, target_far=target) for target in target_fars),
        curve=_thinned(curve),
        histogram=_histogram(pairs),
    )


def thin(size: int) -> NDArray[np.int64]:
    """Which points of a curve are kept for a result: all, or some thousands at even steps, both ends among them."""
    if size <= _MAX_POINTS:
        return np.arange(size)
    return np.unique(np.linspace(0, size - 1, _MAX_POINTS).astype(np.int64))


def _thinned(curve: Curve) -> ErrorCurve:
    kept = thin(curve.thresholds.size)
    return ErrorCurve(
        threshold=tuple(curve.thresholds[kept].tolist()),
        far=tuple(curve.far[kept].tolist()),
        frr=tuple((1 - curve.tar[kept]).tolist()),
    )


def _histogram(pairs: ScoredPairs) -> Histogram:
    finite = np.isfinite(pairs.scores)
    low = math.floor(10 * float(np.min(pairs.scores[finite], initial=1.0))) / 10
    edges = np.linspace(min(low, 0.9), 1.0, _BINS + 1)

    def counts(kept: Truth) -> tuple[int, ...]:
        # A cosine may round to a hair above one.
        return tuple(np.histogram(np.clip(pairs.scores[kept & finite], -1, 1), bins=edges)[0].tolist())

    return Histogram(edges=tuple(edges.tolist()), genuine=counts(pairs.same), impostor=counts(~pairs.same))


def _ranked(scores: Scores) -> Scores:
    return np.where(np.isfinite(scores), scores, _NO_SCORE)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
