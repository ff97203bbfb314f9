"""What a calibration found, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from device.vision.pack import Pack

if TYPE_CHECKING:
    from export_tools.calibrate import Budget, Calibration, Point


def told(found: Calibration, budgets: list[Budget], *, before: Pack, written: Pack | None) -> Iterator[str]:
    """For people, line by line."""
    counts, rule, target = found.scores.counts, found.rule, found.target
    yield (
        f"set          {counts.people} people, {counts.enrolled} of them with a template of {rule.photos} photographs;"
        f" {counts.pictures} pictures, {counts.without_face} without a face, {counts.refused} not good enough"
    )
    short = f"; {counts.too_short} too short" if counts.too_short else ""
    yield (
        f"rule         {rule.votes} of {rule.window} frames, chip and mirrored chip, mean template, {rule.model_id}:"
        f" {counts.attempts} attempts{short}"
    )
    yield f"comparisons  {target.comparisons} of strangers, {found.scores.genuine.size} of the enrolled themselves"
    for alike in found.scores.most_alike[:3]:
        yield f"most alike   {alike.attempt} and {alike.person}: {alike.score:.4f}"
    yield ""
    yield "target FMR   cosine    seen                   at most (95 %): comparisons, people"
    for point in found.points:
        seen = f"{point.errors} of {point.comparisons}"
        people = "none" if point.upper_95_people is None else f"{point.upper_95_people:.3g}"
        yield (
            f"{point.target:<12.3g} {point.cosine:.6f}  {seen:<21}  {point.upper_95:.3g}, {people}"
            f"{'' if point.resolved else '   not resolved'}"
        )
    if target.upper_95_people is None:
        yield "             no bound over people: with fewer than ten, drawing them anew tells nothing"
    yield f"FNMR         {_fnmr(found)}"
    yield ""
    if not target.resolved:
        yield (
            f"The target is NOT RESOLVED: a rate of {target.target:.3g} takes {_wanted(target):,} comparisons,"
            f" 3 / rate; there are {target.comparisons:,}. With 95 % confidence the rate is at most"
            f" {target.upper_95:.3g}."
        )
    for budget, meant in zip(budgets, ("at the target", "at the 95 % bound"), strict=True):
        yield (
            f"With {budget.people} people and {budget.attempts_per_day:g} attempts a day by strangers this threshold"
            f" means one false accept in {_days(budget.days)} ({meant}, FMR {budget.fmr:.3g})."
        )
    yield (
        "A stranger is compared with everybody enrolled; the margin rule and the proof of life are left out. Bounds"
        " over comparisons take them as independent, those over people do not."
    )
    old = before.manifest.thresholds
    was = f"{old.match_cosine:.6f} ({old.origin}, FMR {old.default_fmr:.3g})" if old is not None else "none"
    yield f"before       {was}"
    yield f"written      {written.directory if written is not None else 'nothing'}"


def _wanted(point: Point) -> int:
    # With the module's other figures; not needed before something was measured.
    from export_tools.calibrate import comparisons_for  # noqa: PLC0415

    return comparisons_for(point.target)


def _days(days: float) -> str:
    return f"{days:,.1f} days" if days < 100 else f"{days:,.0f} days"


def _fnmr(found: Calibration) -> str:
    rate = found.fnmr
    if rate.value is None or rate.interval is None:
        return "not measured: nobody enrolled came again"
    return (
        f"{rate.value:.3g} ({rate.count} of {rate.trials}) at {found.target.cosine:.6f};"
        f" 95 %: {rate.interval.lower:.3g} to {rate.interval.upper:.3g}"
    )


def described(found: Calibration, budgets: list[Budget], *, before: Pack, written: Pack | None) -> dict[str, Any]:
    """For machines."""
    counts, old = found.scores.counts, before.manifest.thresholds
    return {
        "before": old.match_cosine if old is not None else None,
        "written": str(written.directory) if written is not None else None,
        "rule": found.rule.model_dump(mode="json"),
        "set": {name: getattr(counts, name) for name in counts.__slots__},
        "comparisons": {"impostor": found.target.comparisons, "genuine": int(found.scores.genuine.size)},
        "points": [
            {
                "target_fmr": point.target,
                "cosine": point.cosine,
                "false_matches": point.errors,
                "observed_fmr": point.observed,
                "fmr_upper_95": point.upper_95,
                "fmr_upper_95_people": point.upper_95_people,
                "resolved": point.resolved,
            }
            for point in found.points
        ],
        "fnmr": found.fnmr.model_dump(mode="json"),
        "most_alike": [{"attempt": a.attempt, "person": a.person, "cosine": a.score} for a in found.scores.most_alike],
        "budget": [
            {
                "people": budget.people,
                "attempts_per_day": budget.attempts_per_day,
                "fmr": budget.fmr,
                "per_attempt": budget.per_attempt,
                "days_between_false_accepts": budget.days,
            }
            for budget in budgets
        ],
        "measurement": found.measurement,
    }
