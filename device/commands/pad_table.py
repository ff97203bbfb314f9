"""The figures of a walk as a table and in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from device.app.binomial import Rate
from device.app.pad_figures import Figures, meaning, percent
from device.app.pad_report import About, Report, WalkRow
from device.app.pad_settings import SECTIONS, changed
from device.app.pad_test import BONA_FIDE, spoken
from device.commands.output import print_table, say

_COLUMNS = ("presented", "tries", "no response", "error", "rate", "95 %", "let in (IAPAR)")


def show_report(report: Report) -> None:
    """Everything that people need to know of a report."""
    about, figures = report.about, report.figures
    if about.simulated:
        say("SIMULATED: presentations were rendered; this says nothing about a real door.")
    if not about.complete:
        cut = " in the middle of a try" if about.walk.begun > len(report.tries) else ""
        say(f"INCOMPLETE: the walk was broken off{cut}.")
    if about.skipped:
        left_out = (f"{_presented(name)} {count} of {about.planned.get(name)}" for name, count in about.skipped.items())
        say(f"left out on purpose: {', '.join(left_out)}")
    say(
        f"made {about.made_at}{'' if about.clock_trusted else ' (clock not trusted)'} by device {about.public_key};"
        f" pack {about.pack}, level {about.liveness.get('level')}, camera {about.camera}"
    )
    for line in (*_walk_lines(about.walk), *_settings_lines(about)):
        say(line)
    print_table(_COLUMNS, _rows(figures))
    for line in _meanings(figures):
        say(line)
    for line in about.method:
        say(line)


def walk_words(walk: WalkRow) -> str:
    """Which walk of the device it is, and how many of those before it left no report."""
    earlier = walk.number - 1
    if earlier == 0:
        return f"walk {walk.number} of this device"
    silent = earlier - walk.earlier_reported
    untried = f" ({walk.earlier_untried} of these before a first try)" if walk.earlier_untried else ""
    return f"walk {walk.number} of this device; {silent} of the earlier {earlier} left no report{untried}"


def _walk_lines(walk: WalkRow) -> Iterator[str]:
    yield f"{walk_words(walk)}; its start is audit entry {walk.start_seq}, {walk.start_sha256}"
    if walk.earlier_tries:
        counts = (
            f"{_presented(each.species)} {each.alive} of {each.tries - each.no_response} found alive"
            f" ({each.no_response} more without response)"
            for each in walk.earlier_tries
        )
        yield f"earlier walks together: {', '.join(counts)}"


def _settings_lines(about: About) -> Iterator[str]:
    told = {section: getattr(about, section) for section in SECTIONS}
    found = [f"{name} {value} ({shipped})" for name, value, shipped in changed(told)]
    yield f"not as shipped: {', '.join(found)}" if found else f"as shipped: all of {', '.join(SECTIONS)}"
    yield f"configuration {about.config_sha256}"


def _presented(species: str) -> str:
    return "living" if species == BONA_FIDE else spoken(species)


def _rows(figures: Figures) -> Iterator[tuple[str, ...]]:
    for attack in figures.attacks:
        silent = _silent(attack.no_response, "APNRR", attack.apnrr)
        yield (spoken(attack.species), *_counts(attack.tries, silent, "APCER", attack.apcer, attack.iapar))
    living = figures.bona_fide
    if living is not None:
        silent = _silent(living.no_response, "BPNRR", living.bpnrr)
        yield ("living", *_counts(living.tries, silent, "BPCER", living.bpcer, None))
        if living.frr is not None:
            yield ("living, by name", *_counts(living.tries, "-", "FRR", living.frr, None))


def _silent(count: int, name: str, rate: Rate) -> str:
    return f"{count}, {name} {'-' if rate.value is None else percent(rate.value)}"


def _counts(tries: int, silent: str, error: str, rate: Rate, let_in: Rate | None) -> tuple[str, ...]:
    return (
        str(tries),
        silent,
        error,
        "-" if rate.value is None else percent(rate.value),
        f"{percent(rate.lower)} .. {percent(rate.upper)}",
        "-" if let_in is None else f"{let_in.count} of {let_in.trials}",
    )


def _meanings(figures: Figures) -> Iterator[str]:
    for attack in figures.attacks:
        yield f"{spoken(attack.species)}: {meaning(attack.apcer, event='passed for living')}"
        if attack.no_response:
            yield (
                f"{spoken(attack.species)}: {attack.no_response} of {attack.tries} got no response, and whether they"
                " would have passed is not known"
            )
    living = figures.bona_fide
    if living is not None:
        yield f"living: {meaning(living.bpcer, event='turned away as not living')}"
        if living.frr is not None:
            yield f"living, by name: {meaning(living.frr, event='not let in')}"
