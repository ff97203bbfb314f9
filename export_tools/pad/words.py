"""Figures of a policy as sentences and cells, for the terminal and for the page."""

from __future__ import annotations

from export_tools.evaluate.results.common import Interval, Rate
from export_tools.pad.result import AttackFigures, PolicyResult, Spread, TurnCounts
from export_tools.report.words import share


def named(word: str) -> str:
    """An attack type, an outcome or a reason as it is read."""
    return word.replace("_", " ")


def taken_away(variant: str) -> str:
    """What a variant of the policy lacks; the policy as it is lacks nothing."""
    return named(variant).removeprefix("without ")


def counts(rate: Rate | None) -> str:
    """What is behind a rate; a dash where nothing was measured."""
    return "-" if rate is None or not rate.trials else f"{rate.count:,} of {rate.trials:,}"


def turns(found: TurnCounts) -> str:
    """How many turns passed the gate of those it judged."""
    return f"{found.passed:,} of {found.judged:,}" if found.judged else "none judged"


def statement(rate: Rate | None) -> str:
    """A rate with what it allows to say, in one sentence without its full stop."""
    if rate is None or rate.value is None or rate.interval is None:
        return "not measured"
    low, high = rate.interval.lower, rate.interval.upper
    if rate.count == 0:
        return f"{counts(rate)}: at most {_short(high)} with 95 % confidence"
    if rate.count == rate.trials:
        return f"{counts(rate)}: at least {_short(low)} with 95 % confidence"
    return f"{counts(rate)}: {_short(rate.value)}, from {_short(low)} to {_short(high)} with 95 % confidence"


def bound(rate: Rate | None) -> str:
    """Where a rate lies with 95 % confidence, over trials and, where measured, over people; a dash without one."""
    if rate is None or rate.interval is None:
        return "-"
    told = _between(rate.interval)
    return told if rate.by_subject is None else f"{told}; over people {_between(rate.by_subject)}"


def _between(interval: Interval) -> str:
    low, high = _short(interval.lower), _short(interval.upper)
    if interval.lower == 0:
        return f"at most {high}" if interval.upper < 1 else "too few to say"
    return f"at least {low}" if interval.upper == 1 else f"{low} to {high}"


def seconds(spread: Spread | None) -> str:
    """Median and 90th percentile of times."""
    if spread is None:
        return "not measured"
    return f"median {spread.at(50):.2f} s, 90 % within {spread.at(90):.2f} s ({spread.count:,})"


def headline(result: PolicyResult) -> str:
    """The worst attack type in one sentence; never a mean."""
    worst = worst_of(result)
    if worst is None:
        return "no attack got a response"
    if worst.apcer.count:
        return f"{named(worst.species)}: {statement(worst.apcer)}"
    return f"no attack of any type passed; least sure of {named(worst.species)}, {statement(worst.apcer)}"


def worst_of(result: PolicyResult) -> AttackFigures | None:
    """The figures of the worst attack type; None where no attack got a response."""
    return next((each for each in result.attacks if each.species == result.worst), None)


def _short(value: float) -> str:
    return share(value, digits=1)
