"""The figures of a walk as a table and in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from device.app.binomial import Rate
from device.app.pad_figures import Figures, meaning, percent
from device.app.pad_report import Report
from device.app.pad_test import spoken
from device.commands.output import print_table, say

_COLUMNS = ("presented", "tries", "no response", "error", "rate", "95 %", "let in (IAPAR)")


def show_report(report: Report) -> None:
    """Everything that people need to know of a report."""
    about, figures = report.about, report.figures
    if about.simulated:
        say("SIMULATED: presentations were rendered; this says nothing about a real door.")
    if not about.complete:
        say("INCOMPLETE: the walk was broken off.")
    say(
        f"made {about.made_at}{'' if about.clock_trusted else ' (clock not trusted)'} by device {about.public_key};"
        f" pack {about.pack}, level {about.liveness.level}, camera {about.camera}"
    )
    print_table(_COLUMNS, _rows(figures))
    for line in _meanings(figures):
        say(line)
    for line in about.method:
        say(line)


def _rows(figures: Figures) -> Iterator[tuple[str, ...]]:
    for attack in figures.attacks:
        yield (spoken(attack.species), *_counts(attack.tries, attack.no_response, "APCER", attack.apcer, attack.iapar))
    living = figures.bona_fide
    if living is not None:
        yield ("living", *_counts(living.tries, living.no_response, "BPCER", living.bpcer, None))
        if living.frr is not None:
            yield ("living, by name", *_counts(living.tries, 0, "FRR", living.frr, None))


def _counts(tries: int, silent: int, error: str, rate: Rate, let_in: Rate | None) -> tuple[str, ...]:
    return (
        str(tries),
        str(silent),
        error,
        "-" if rate.value is None else percent(rate.value),
        f"{percent(rate.lower)} .. {percent(rate.upper)}",
        "-" if let_in is None else f"{let_in.count} of {let_in.trials}",
    )


def _meanings(figures: Figures) -> Iterator[str]:
    for attack in figures.attacks:
        yield f"{spoken(attack.species)}: {meaning(attack.apcer, event='passed for living')}"
    living = figures.bona_fide
    if living is not None:
        yield f"living: {meaning(living.bpcer, event='turned away as not living')}"
        if living.frr is not None:
            yield f"living, by name: {meaning(living.frr, event='not let in')}"
