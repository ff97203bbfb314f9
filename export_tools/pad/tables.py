"""A policy's figures on the terminal: rows of cells, and the lines around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from device.commands.output import print_table, say
from export_tools.pad.attempt import LIVE
from export_tools.pad.result import PolicyResult, Simulated
from export_tools.pad.words import bound, counts, headline, named, seconds, statement, taken_away, turns
from export_tools.report.words import share

Rows = tuple[Sequence[str], list[Sequence[str]]]


def print_policy(result: PolicyResult) -> None:
    """Everything that was found, for the person before the terminal."""
    for line in told_before(result):
        say(line)
    for columns, rows in (attack_rows(result), outcome_rows(result), ablation_rows(result)):
        if rows:
            print_table(columns, rows)
    for line in told_after(result):
        say(line)


def told_before(result: PolicyResult) -> Iterator[str]:
    """What was measured."""
    origin = result.origin
    if isinstance(origin, Simulated):
        yield (
            f"SIMULATED: rendered from {origin.portraits} photographs; attacks of {origin.parameters}"
            f" (sha256 {origin.parameters_sha256[:16]}), half: {origin.half}"
        )
    else:
        yield f"recorded: the clips of {origin.manifest}; they cannot answer a prompt, so being asked is no error"
    yield f"pack      {result.pack}, passive networks {'asked' if result.passive else 'not asked'}"
    yield "policy"
    width = max((len(each.name) for each in result.settings), default=0)
    yield from (f"  {each.name:{width}}  {each.value}" for each in result.settings)


def told_after(result: PolicyResult) -> Iterator[str]:
    """What it comes to; the worst attack type, never a mean."""
    yield f"worst     {headline(result)}"
    living = result.bona_fide
    if living is not None:
        yield f"BPCER     {statement(living.bpcer)}; no decision (BPNRR) {counts(living.bpnrr)}"
        yield f"asked     {counts(living.challenged)} living visitors; vetoed {counts(living.vetoed)}"
        yield f"turns     passed of those that the gate judged: {turns(living.turns)}"
        yield f"time      {seconds(living.times.every)}; not asked: {seconds(living.times.unasked)}"


def attack_rows(result: PolicyResult) -> Rows:
    """Attack types, the worst first."""
    columns = (
        "attack type",
        "APCER",
        "95 %",
        "per session",
        "95 %",
        "IAPAR",
        "APNRR",
        "turns passed",
        "denied because",
    )
    return columns, [
        (
            named(each.species),
            f"{share(each.apcer.value)}, {counts(each.apcer)}" if each.apcer.trials else "-",
            bound(each.apcer),
            counts(each.session_apcer),
            bound(each.session_apcer),
            counts(each.iapar),
            counts(each.apnrr),
            turns(each.turns),
            ", ".join(f"{named(reason.reason)} {reason.count}" for reason in each.reasons),
        )
        for each in result.attacks
    ]


def outcome_rows(result: PolicyResult) -> Rows:
    """What became of every kind of presentation, living visitors first."""
    columns = ("presented", "accepted", "challenged", "vetoed", "refused", "no decision")
    kinds = [(each.species, each.outcomes) for each in result.attacks]
    if result.bona_fide is not None:
        kinds.insert(0, (LIVE, result.bona_fide.outcomes))
    return columns, [
        (
            _presented(species),
            *(
                str(count)
                for count in (found.accepted, found.challenged, found.vetoed, found.refused, found.no_response)
            ),
        )
        for species, found in kinds
    ]


def ablation_rows(result: PolicyResult) -> Rows:
    """Species by variant, passes of attempts with a response; empty where nothing was taken away."""
    if not result.ablation:
        return (), []
    columns = ("passes without", *(taken_away(row.variant) for row in result.ablation))
    by_variant = [{cell.species: counts(cell.passes) for cell in row.cells} for row in result.ablation]
    return columns, [(_presented(name), *(cells.get(name, "-") for cells in by_variant)) for name in by_variant[0]]


def _presented(species: str) -> str:
    return "living" if species == LIVE else named(species)
