"""Verification: every figure of twenty pairs worked out by hand, and what must hold for any scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import UsageError
from export_tools.evaluate.intervals import by_subject, counted, interval_of
from export_tools.evaluate.metrics import (
    ScoredPairs,
    best_threshold,
    error_curve,
    fold_accuracy,
    matches,
    verification_figures,
)
from export_tools.evaluate.pairs import Pair, Pairs
from export_tools.evaluate.results.recognition import VerificationResult
from export_tools.evaluate.verification import run_verification
from tests.export_tools.given_faces import GivenFaces, at_cosine

NAN = math.nan
#: Ten pairs of one person and ten of two; the last of each has a picture without a face.
GENUINE = (0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.90, NAN)
IMPOSTOR = (0.955, 0.935, 0.91, 0.89, 0.88, 0.87, 0.86, 0.85, 0.84, NAN)


def scored(genuine: tuple[float, ...] = GENUINE, impostor: tuple[float, ...] = IMPOSTOR) -> ScoredPairs:
    """Both kinds, genuine ones first."""
    return ScoredPairs(
        scores=np.array([*genuine, *impostor]), same=np.arange(len(genuine) + len(impostor)) < len(genuine)
    )


# ---- Worked out by hand


def test_the_operating_point_is_what_counting_by_hand_gives() -> None:
    """At 0.945 the genuine .99 .98 .97 .96 .95 and the impostor .955 match."""
    found = verification_figures(scored(), threshold=0.945).at_threshold
    confusion = found.confusion
    assert (confusion.true_positive, confusion.false_negative) == (5, 5)
    assert (confusion.false_positive, confusion.true_negative) == (1, 9)
    assert found.accuracy == pytest.approx(14 / 20)
    assert found.precision == pytest.approx(5 / 6)
    assert found.recall == pytest.approx(5 / 10)
    assert found.f1 == pytest.approx(2 * 5 / (2 * 5 + 1 + 5))
    assert (found.far.count, found.far.trials, found.frr.count, found.frr.trials) == (1, 10, 5, 10)


def test_the_best_threshold_is_the_highest_of_the_best() -> None:
    """At .92 eight match and eight do not, rightly; .90 has sixteen as well (nine and seven) and lets more in."""
    found = verification_figures(scored(), threshold=0.945).at_best
    assert found.threshold == 0.92
    assert found.accuracy == pytest.approx(16 / 20)


def test_the_true_accept_rate_is_taken_at_the_lowest_threshold_that_keeps_the_rate() -> None:
    """No impostor reaches .96, which four reach; one of ten reaches .94, which six reach."""
    none, one = verification_figures(scored(), threshold=0.9, target_fars=(0.01, 0.1)).tar_at_far
    assert (none.threshold, none.tar.value, none.far.value, none.resolved) == (0.96, 0.4, 0.0, False)
    assert (one.threshold, one.tar.value, one.far.value, one.resolved) == (0.94, 0.6, 0.1, True)


def test_the_equal_error_rate_is_where_both_rates_meet() -> None:
    """At .92 two of ten impostors match and two of ten genuine pairs do not (.90 and the one without a face)."""
    assert verification_figures(scored(), threshold=0.9).eer == pytest.approx(0.2)


def test_the_area_under_the_curve_counts_pairs_without_a_face_as_last() -> None:
    """Impostors below each genuine score: 10 10 10 10 9 9 8 8 7, and half of the one that has none either."""
    assert verification_figures(scored(), threshold=0.9).auc == pytest.approx((81 + 0.5) / 100)


def test_detected_pairs_are_told_beside_all_pairs(tmp_path: Path) -> None:
    """Nine and nine have faces: FMR 1/9 and FNMR 4/9 at 0.945, where FAR and FRR are 1/10 and 5/10."""
    result = hand_worked(tmp_path)
    assert result.detected_pairs is not None
    whole, detected = result.all_pairs.at_threshold, result.detected_pairs.at_threshold
    assert (whole.far.value, whole.frr.value) == (0.1, 0.5)
    assert (detected.far.value, detected.frr.value) == pytest.approx((1 / 9, 4 / 9))
    assert (result.all_pairs.without_score, result.detected_pairs.without_score) == (2, 0)
    assert (result.acquisition.pictures.count, result.acquisition.pictures.trials) == (2, 40)
    assert (result.acquisition.genuine_pairs, result.acquisition.impostor_pairs) == (1, 1)
    assert result.acquisition.files == ("g9_b.jpg", "i9_b.jpg")


def hand_worked(folder: Path, *, worse: float = 0.0, blurred: frozenset[str] = frozenset()) -> VerificationResult:
    """The twenty pairs through embeddings; without the mirrored chip genuine pairs are ``worse``."""
    vectors: dict[str, tuple[float, ...]] = {}
    upright: dict[str, tuple[float, ...]] = {}
    pairs = []
    for kind, scores in (("g", GENUINE), ("i", IMPOSTOR)):
        for number, score in enumerate(scores):
            first, second = f"{kind}{number}_a.jpg", f"{kind}{number}_b.jpg"
            vectors[first] = at_cosine(1.0)
            if math.isfinite(score):
                vectors[second] = at_cosine(score)
                upright[second] = at_cosine(score - (worse if kind == "g" else 0.0))
            people = (f"{kind}{number}", f"{kind}{number}" if kind == "g" else f"other{number}")
            pairs.append(Pair(first=folder / first, second=folder / second, people=people))
    return run_verification(
        Pairs(name="by hand", pairs=tuple(pairs)),
        embedder=GivenFaces(vectors, upright, blurred),
        threshold=0.945,
    )


def test_the_gain_of_the_mirrored_chip_is_the_difference_of_the_figures(tmp_path: Path) -> None:
    """Without it .99 .98 .97 .96 .95 become .97 .96 .95 .94 .93: three instead of five match at 0.945."""
    result = hand_worked(tmp_path, worse=0.02)
    gain = result.mirror_gain
    assert gain is not None
    assert gain.without.at_threshold.confusion.true_positive == 3
    assert gain.best_accuracy == pytest.approx(result.all_pairs.at_best.accuracy - gain.without.at_best.accuracy)
    assert gain.auc is not None
    assert gain.auc > 0


def test_a_face_that_the_door_refuses_is_counted_and_fails_where_asked(tmp_path: Path) -> None:
    """A blurred picture is scored unless the door's gates are asked for."""
    result = hand_worked(tmp_path, blurred=frozenset({"g0_b.jpg"}))
    assert result.acquisition.refused_at_door == 1
    assert result.all_pairs.at_threshold.frr.count == 5


def test_a_result_survives_json(tmp_path: Path) -> None:
    """What is read back is what was written."""
    result = hand_worked(tmp_path)
    assert VerificationResult.model_validate_json(result.model_dump_json()) == result


# ---- Folds


def test_a_fold_is_judged_at_the_threshold_of_the_others() -> None:
    """Fold 1 alone would choose .5; fold 2 chooses .9, and at .9 fold 1 misses its genuine pair."""
    pairs = ScoredPairs(
        scores=np.array([0.5, 0.2, 0.9, 0.8]),
        same=np.array([True, False, True, False]),
        folds=np.array([1, 1, 2, 2]),
    )
    found = fold_accuracy(pairs)
    assert found is not None
    # Fold 1 at .9: .5 is missed, .2 is rejected: 1/2. Fold 2 at .5: .9 matches, .8 matches wrongly: 1/2.
    assert [(fold.number, fold.threshold, fold.accuracy) for fold in found.folds] == [(1, 0.9, 0.5), (2, 0.5, 0.5)]
    assert (found.accuracy, found.standard_error) == (0.5, 0.0)


def test_pairs_without_folds_have_no_fold_accuracy() -> None:
    """None is invented."""
    assert fold_accuracy(scored()) is None


# ---- What must hold for any scores

SCORE = st.one_of(st.floats(-1, 1), st.just(NAN))


@given(st.lists(SCORE, min_size=1, max_size=30), st.lists(SCORE, min_size=1, max_size=30), st.floats(-1, 1))
def test_rates_of_any_scores_are_consistent(genuine: list[float], impostor: list[float], threshold: float) -> None:
    """Counts add up, curves are monotone, the best threshold is at least as good as any other."""
    pairs = scored(tuple(genuine), tuple(impostor))
    found = verification_figures(pairs, threshold=threshold)
    confusion = found.at_threshold.confusion
    assert confusion.true_positive + confusion.false_negative == len(genuine)
    assert confusion.true_negative + confusion.false_positive == len(impostor)
    assert found.at_best.accuracy >= found.at_threshold.accuracy - 1e-12
    assert list(found.curve.far) == sorted(found.curve.far)
    assert list(found.curve.frr) == sorted(found.curve.frr, reverse=True)
    assert found.curve.far[0] == 0
    assert found.curve.frr[0] == 1
    assert sum(found.histogram.genuine) == np.count_nonzero(np.isfinite(genuine))


@given(st.lists(SCORE, min_size=2, max_size=20), st.floats(allow_nan=True))
def test_a_score_that_is_no_number_never_matches(scores: list[float], threshold: float) -> None:
    """Nor does anything at a threshold that is none."""
    said = matches(np.array(scores), threshold)
    assert not said[~np.isfinite(scores)].any()
    if math.isnan(threshold):
        assert not said.any()


def test_no_score_at_all_matches_nobody() -> None:
    """Where no picture shows a face every genuine pair fails and no impostor gets in."""
    found = verification_figures(scored((NAN, NAN), (NAN, NAN)), threshold=0.5)
    assert (found.at_best.accuracy, found.at_best.frr.value, found.at_best.far.value) == (0.5, 1.0, 0.0)
    assert found.eer is None
    assert all(point.threshold is None and point.tar.value == 0 for point in found.tar_at_far)


@pytest.mark.parametrize("kind", [True, False])
def test_one_kind_of_pairs_is_refused(kind: bool) -> None:
    """Rates need both."""
    with pytest.raises(UsageError, match="rates need both"):
        error_curve(np.array([0.5, 0.6]), np.array([kind, kind]))


def test_the_best_threshold_of_separated_scores_separates_them() -> None:
    """The lowest genuine score."""
    assert best_threshold(np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, True, False, False])) == 0.8


# ---- Intervals


@pytest.mark.parametrize(("trials", "upper"), [(3000, 0.001), (300, 0.01), (9, 1 / 3), (2, 1.0)])
def test_no_error_in_n_trials_means_at_most_three_in_n(trials: int, upper: float) -> None:
    """The rule of three."""
    found = interval_of(0, trials)
    assert found is not None
    assert (found.lower, found.method) == (0.0, "rule-of-three")
    assert found.upper == pytest.approx(upper)


def test_clopper_and_pearson_agree_with_the_published_table() -> None:
    """2 of 10: 2.52 % to 55.61 % (Clopper and Pearson 1934)."""
    found = interval_of(2, 10)
    assert found is not None
    assert (found.lower, found.upper) == pytest.approx((0.0252, 0.5561), abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_an_interval_holds_the_rate(trials: int, data: st.DataObject) -> None:
    """Whatever was counted."""
    found = counted(data.draw(st.integers(0, trials)), trials)
    assert found.value is not None
    assert found.interval is not None
    assert found.interval.lower <= found.value <= found.interval.upper


def test_a_rate_without_trials_is_unknown() -> None:
    """Not 0."""
    found = counted(0, 0)
    assert (found.value, found.interval) == (None, None)


def test_people_with_many_trials_widen_the_interval() -> None:
    """Ten people of a hundred trials each, one of whom always fails: 100 of 1,000 trials, but one of ten people."""
    subjects = np.repeat(np.arange(10), 100)
    found = by_subject(subjects == 0, subjects)
    over_trials = interval_of(100, 1000)
    assert found is not None
    assert over_trials is not None
    assert found.upper > over_trials.upper + 0.1
    assert found.method == "subject-bootstrap"


def test_without_errors_people_count_not_trials() -> None:
    """No error in 1,000 trials of ten people: at most 3 in 10 people, not 3 in 1,000."""
    subjects = np.repeat(np.arange(10), 100)
    found = by_subject(np.zeros(1000, np.bool_), subjects)
    assert found is not None
    assert found.upper == pytest.approx(0.3)


def test_one_person_says_nothing_about_others() -> None:
    """No interval over people from one."""
    assert by_subject(np.array([True, False]), np.array([4, 4])) is None
