"""From scores of strangers to the cosine from which a door believes that two faces are one, and how sure that is.

The false match rate of a threshold is the share of impostor comparisons that reach it (ISO/IEC 19795-1, 8.2). What is
observed is never looser than what was asked for: a threshold is a score that was seen, or lies above them all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import UsageError
from device.vision.manifest import OperatingPoint, ScoringRule, Thresholds
from export_tools.attempts import Scores
from export_tools.evaluate.intervals import RULE_OF_THREE, counted
from export_tools.evaluate.one_sided import PeopleBound, upper_95
from export_tools.evaluate.results.common import Rate

MAX_TARGET: Final = 0.1
_LOOSEST: Final = 3
"""Points begin at 10^-3: photographs of one person, and frames of one visit, must agree at the loosest of them."""
_CLEARANCE: Final = 1e-4
"""A threshold above all scores is the next multiple of this, and none is lower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One threshold and how well its rate is known.

    Attributes:
        target: The false match rate that was asked for.
        cosine: The threshold.
        errors: Impostor comparisons that reach it.
        comparisons: Impostor comparisons.
        upper_95: One-sided 95 % bound of the rate over comparisons: Clopper and Pearson's; without errors 3 divided by
            the comparisons.
        upper_95_people: The same when people are drawn anew with all their comparisons, never below the one over
            comparisons; None where there are too few people. The honest one where few are compared often.
    """

    target: float
    cosine: float
    errors: int
    comparisons: int
    upper_95: float
    upper_95_people: float | None

    @property
    def observed(self) -> float:
        """The rate that was seen."""
        return self.errors / self.comparisons

    @property
    def resolved(self) -> bool:
        """Whether there are comparisons enough for the target: at least 3 / target.

        Without an error among them the 95 % bound over comparisons is then at most the target (rule of three); with as
        many as the threshold may have, three of 3 / target, it is at most 2.6 times the target (7.75 / 3).
        """
        return self.comparisons >= comparisons_for(self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Thresholds, and what they were chosen from.

    Attributes:
        rule: What was compared with what.
        points: From the loosest to the target, cosines strictly rising.
        fnmr: Genuine attempts that miss the target's threshold.
        scores: What was scored.
        measurement: In words, for the pack.
    """

    rule: ScoringRule
    points: tuple[Point, ...]
    fnmr: Rate
    scores: Scores
    measurement: str

    @property
    def target(self) -> Point:
        """The point that was asked for."""
        return self.points[-1]

    def thresholds(self) -> Thresholds:
        """As they stand in a pack."""
        return Thresholds(
            rule=self.rule,
            origin="calibrated",
            measurement=self.measurement,
            comparisons=self.target.comparisons,
            default_fmr=self.target.target,
            match=[
                OperatingPoint(fmr=point.target, cosine=point.cosine, fmr_upper_95=point.upper_95)
                for point in self.points
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a false match rate means at a door.

    A stranger is compared with everybody who is enrolled. Comparisons are taken as independent, and the margin by which
    the best must beat the next is left out: both make the figure worse than it is.
    """

    people: int
    attempts_per_day: float
    fmr: float

    @property
    def per_attempt(self) -> float:
        """Probability that one attempt of a stranger matches somebody: 1 - (1 - fmr)^people."""
        return -math.expm1(self.people * math.log1p(-self.fmr)) if self.fmr < 1 else 1.0

    @property
    def days(self) -> float:
        """Days from one false accept to the next, on average."""
        return 1 / (self.attempts_per_day * self.per_attempt)


def comparisons_for(target: float) -> int:
    """How many comparisons resolve a false match rate: 3 / target, rounded up."""
    return math.ceil(RULE_OF_THREE / target * (1 - 1e-12))  # 3 / 1e-5 is to be 300,000 whatever the rounding


def check_target(target: float) -> None:
    """Raises UsageError for a false match rate that is none, or that no door should have."""
    if not 0 < target <= MAX_TARGET:  # True for NaN
        raise UsageError(
            f"a false match rate of {target} cannot be aimed at", hint=f"choose one above 0 and up to {MAX_TARGET}"
        )


def calibrate(scores: Scores, *, rule: ScoringRule, target: float, set_name: str, measured_on: date) -> Calibration:
    """Choose the thresholds for a false match rate and for the round ones above it.

    Args:
        scores: By the rule.
        rule: What was compared.
        target: The false match rate that the door is to have, above 0 and up to 0.1.
        set_name: What the set of pictures is called; no name of a person.
        measured_on: The day.

    Raises:
        UsageError: No impostor scores, scores that are no numbers, a target out of range, or strangers so alike that no
            threshold keeps them out.
    """
    check_target(target)
    points = choose_points(scores.impostor, scores.impostor_people, target=target)
    misses = int(np.count_nonzero(scores.genuine < points[-1].cosine))
    counts = scores.counts
    name = set_name.encode("utf-8", "replace").decode()[:200]
    measurement = (
        f"calibrated on {measured_on.isoformat()} with the set {name!r}: {counts.people} people, {counts.enrolled} of"
        f" them enrolled, {counts.pictures} pictures ({counts.without_face} without a face, {counts.refused} not good"
        f" enough), {counts.attempts} attempts, {scores.impostor.size} impostor and {scores.genuine.size} genuine"
        f" comparisons; at the target {points[-1].errors} false matches, {misses} false non-matches"
    )
    return Calibration(
        rule=rule,
        points=points,
        fnmr=counted(misses, scores.genuine.size),
        scores=scores,
        measurement=measurement,
    )


def choose_points(impostor: NDArray[np.float64], people: NDArray[np.int64], *, target: float) -> tuple[Point, ...]:
    """Points at 1e-3, 1e-4 ... and the target; of those that fall on one cosine only the strictest is kept.

    Args:
        impostor: (n,) scores of strangers.
        people: (n, 2) who was compared with whom.
        target: The last point's rate.

    Raises:
        UsageError: See :func:`calibrate`.
    """
    check_target(target)
    if not impostor.size:
        raise UsageError("no stranger was compared: a false match rate cannot be told", hint="add people")
    if not np.isfinite(impostor).all():
        raise UsageError("a score is no number", hint="check the pack: doorward-export verify")
    ordered = np.sort(impostor)
    by_people = PeopleBound(people)
    points: dict[float, Point] = {}
    for rate in _rates(target):
        cosine = choose_threshold(ordered, target=rate)
        reached = impostor >= cosine
        errors = int(np.count_nonzero(reached))
        points[cosine] = Point(
            target=rate,
            cosine=cosine,
            errors=errors,
            comparisons=impostor.size,
            upper_95=upper_95(errors, impostor.size),
            upper_95_people=by_people.upper_95(reached),
        )
    return tuple(points.values())


def choose_threshold(ordered: NDArray[np.float64], *, target: float) -> float:
    """The smallest of the scores that no more than ``target`` of them reach; above all of them where there is none.

    Args:
        ordered: (n,) finite impostor scores, ascending.
        target: A false match rate.

    Raises:
        UsageError: The threshold would have to be above 1, or below the clearance: a cosine that half of all directions
            reach tells nobody apart.
    """
    allowed = math.floor(target * ordered.size)
    if allowed / ordered.size > target:  # the product was rounded up to a whole number
        allowed -= 1
    place = ordered.size - allowed
    if allowed and place and ordered[place - 1] == ordered[place]:
        # Equal scores match or fail together: on to the next higher one.
        place = int(np.searchsorted(ordered, ordered[place], side="right"))
    cosine = float(ordered[place]) if place < ordered.size else _above(float(ordered[-1]))
    if cosine > 1:
        raise UsageError(
            f"two people are alike to a cosine of {ordered[-1]:.6f}: no threshold keeps them apart",
            hint="look at the most alike pictures: one person stands in two folders, or a face is covered",
        )
    if not cosine >= _CLEARANCE:
        raise UsageError(
            f"a false match rate of {target:.3g} is had at a cosine of {cosine:.6f}: no threshold for a door",
            hint="add pictures of more people, and check the embedder: doorward-export verify",
        )
    return cosine


def _rates(target: float) -> Sequence[float]:
    """1e-3, 1e-4 ... down to the target, which is the last."""
    rates = []
    exponent = _LOOSEST
    while (rate := float(f"1e-{exponent}")) > target:
        rates.append(rate)
        exponent += 1
    return (*rates, target)


def _above(score: float) -> float:
    """The next multiple of the clearance."""
    steps = round(1 / _CLEARANCE)
    found = math.ceil(score * steps) / steps
    return found if found > score else (math.ceil(score * steps) + 1) / steps
