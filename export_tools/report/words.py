"""Figures of evaluations in words and cells."""

from __future__ import annotations

from export_tools.evaluate.results.common import Interval, Rate, Source
from export_tools.report.markup import Child

Entries = list[tuple[str, Child]]


def many(number: int, noun: str) -> str:
    """A number and its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def share(value: float | None, *, digits: int = 2) -> str:
    """A share in percent; small ones keep a digit that says something."""
    if value is None:
        return "not measured"
    percent = 100 * value
    if 0 < percent < 10**-digits:
        return f"{percent:.1g} %"
    return f"{percent:.{digits}f} %"


def rate(found: Rate) -> str:
    """A rate with the counts behind it."""
    return f"{share(found.value)} ({found.count:,} of {found.trials:,})"


def interval(found: Interval | None) -> str:
    """Where a rate lies with 95 % confidence."""
    return "" if found is None else f"{share(found.lower)} to {share(found.upper)}"


def bounds(found: Rate) -> str:
    """Its interval over trials and, where measured, over people."""
    told = interval(found.interval)
    return told if found.by_subject is None else f"{told}; over people {interval(found.by_subject)}"


def threshold(value: float | None) -> str:
    """A cosine, or that none keeps the target."""
    return "none keeps it" if value is None else f"{value:.4f}"


def source_entries(source: Source) -> Entries:
    """What made the scores."""
    return [
        ("Pack", source.pack),
        ("Embedder", f"{source.embedder}, {source.precision}"),
        ("Score", source.scoring),
        ("Identity", source.identity),
    ]
