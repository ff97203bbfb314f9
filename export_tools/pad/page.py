"""The page of a policy: one self-contained document, worst attack type first, and what its figures do not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from export_tools.evaluate.results.common import Rate
from export_tools.pad.attempt import LIVE
from export_tools.pad.plots import attempt_plot, parallax_plot, passive_plot, residual_plot, session_plot, time_plot
from export_tools.pad.result import (
    AblationRow,
    AttackFigures,
    AttemptRow,
    BonaFideFigures,
    Outcome,
    PolicyResult,
    ReasonCount,
    Simulated,
)
from export_tools.pad.words import bound, counts, headline, named, seconds, statement, taken_away, turns
from export_tools.report.markup import Child, Markup, element
from export_tools.report.page import listing, page, paragraph, plots, section, table
from export_tools.report.words import many, rate, share

#: More single attempts than this are left to JSON and CSV.
_MAX_ROWS: Final = 400

#: ISO/IEC 30107-3's word for it would be read as the reason of that name.
_OUTCOMES: Final = {Outcome.NO_RESPONSE.value: "no decision"}


def policy_page(result: PolicyResult, *, conditions: Markup) -> str:
    """One HTML document; the same result under the same conditions gives the same bytes."""
    simulated = isinstance(result.origin, Simulated)
    what = "Simulated" if simulated else "Recorded"
    title = f"{what} presentations against the whole liveness policy"
    return page(
        f"Doorward: {title.lower()}",
        element("h1", title),
        paragraph(
            "The unit is the attempt, never the frame. No figure is a mean over attack types: the worst one counts.",
            soft="soft",
        ),
        listing(_summary(result)),
        _meaning(result),
        _attacks(result),
        _living(result.bona_fide) if result.bona_fide is not None else None,
        _cues(result),
        _reasons(result),
        _ablation(result.ablation) if result.ablation else None,
        _single(result, every=not simulated),
        _policy(result),
        paragraph(f"Measured in {result.elapsed_s:.1f} s.", soft="soft"),
        conditions,
    )


def _summary(result: PolicyResult) -> list[tuple[str, Child]]:
    living = result.bona_fide
    entries: list[tuple[str, Child]] = [("Worst attack type, per attempt (APCER)", headline(result))]
    played = [
        (each.session_apcer.value, each.session_apcer.interval.upper, each)
        for each in result.attacks
        if each.session_apcer is not None
        and each.session_apcer.value is not None
        and each.session_apcer.interval is not None
    ]
    if played:
        highest = max(played, key=lambda each: each[:2])[2]
        entries.append(("Worst, per session", f"{named(highest.species)}: {statement(highest.session_apcer)}"))
    if living is not None:
        entries += [
            ("Living visitors turned away (BPCER)", statement(living.bpcer)),
            ("Asked for head turns", rate(living.challenged)),
            ("Time to a passed proof", seconds(living.times.every)),
        ]
    return entries


def _meaning(result: PolicyResult) -> Markup:
    """What the figures say and what not."""
    origin = result.origin
    if isinstance(origin, Simulated):
        return section(
            "What these figures say",
            paragraph(
                "Every attack and every visitor here is simulated: rendered from"
                f" {many(origin.portraits, 'photograph')}, then seen by the door's own vision and"
                " judged by its own policy. Nothing here was held before a real camera."
            ),
            paragraph(
                "A render is an animated photograph. What it says about turns of the head and about flatness follows"
                " from geometry; what it says about the passive networks, which look at texture, is reported and not"
                " claimed: their evidence is recordings of real people and real attacks."
            ),
            paragraph(
                "Intervals take each drawn presentation as one independent trial; they do not cover what no renderer"
                " draws, nor other people than those shown."
            ),
            listing(
                [
                    ("Attacks drawn from", origin.parameters),
                    ("Its sha256", origin.parameters_sha256),
                    ("Half that was played", origin.half),
                    ("Renderer", origin.renderer),
                ]
            ),
        )
    return section(
        "What these figures say",
        paragraph(
            "Recordings cannot answer a prompt. A clip is accepted where the passive networks alone sufficed,"
            " challenged where the door would have asked for head turns, vetoed where they took it for a spoof, refused"
            " otherwise. Being challenged is no error of a living visitor, and no pass of an attack. A clip that"
            " ended before the door had decided says nothing."
        ),
        listing([("Manifest", origin.manifest), ("Its sha256", origin.manifest_sha256)]),
    )


def _attacks(result: PolicyResult) -> Markup:
    if not result.attacks:
        return section("Attack types", paragraph("No attack was presented."))
    sessions = any(each.session_apcer is not None for each in result.attacks)
    known = any(each.iapar is not None for each in result.attacks)
    head = ["Attack type", "Per attempt (APCER)", "95 %"]
    head += ["Per session", "95 %"] if sessions else []
    head += ["As the victim (IAPAR)"] if known else []
    head += ["Passed unasked", "Challenged", "Turns passed", "Vetoed", "No decision (APNRR)"]
    rows = [_attack_row(each, sessions=sessions, known=known) for each in result.attacks]
    return section(
        "Attack types",
        plots(("Per attempt", attempt_plot(result)), ("Per session, until the door locks out", session_plot(result))),
        table(head, rows, stack="stack"),
        paragraph(
            "Turns passed: of the head turns that reached the gate, which judges whether a solid head has turned. An"
            " attack that was vetoed, answered wrongly or not at all never came so far: where few turns were judged,"
            " few passes say little about the gate.",
            soft="soft",
        ),
    )


def _attack_row(each: AttackFigures, *, sessions: bool, known: bool) -> list[Child]:
    row = [named(each.species), *_cells(each.apcer)]
    row += _cells(each.session_apcer) if sessions else []
    row += [counts(each.iapar)] if known else []
    row += [
        f"{each.passed_unasked:,}",
        f"{each.outcomes.challenged:,}",
        f"{turns(each.turns)}, in {many(each.turns.attempts, 'attempt')}" if each.turns.judged else turns(each.turns),
        f"{each.outcomes.vetoed:,}",
        counts(each.apnrr),
    ]
    return [element("span", cell, class_="nowrap") for cell in row]


def _cells(found: Rate | None) -> tuple[str, str]:
    return ("-" if found is None or found.value is None else f"{share(found.value)}, {counts(found)}"), bound(found)


def _living(found: BonaFideFigures) -> Markup:
    entries: list[tuple[str, Child]] = [
        ("Visits", f"{found.attempts:,}, shown: {many(found.subjects, 'person')}".replace("persons", "people")),
        ("Turned away (BPCER)", f"{rate(found.bpcer)}, 95 %: {bound(found.bpcer)}"),
        ("No decision (BPNRR)", rate(found.bpnrr)),
        ("Asked for head turns", rate(found.challenged)),
        ("Turns that passed the gate", turns(found.turns)),
        ("Vetoed", rate(found.vetoed)),
        ("Time to a passed proof", seconds(found.times.every)),
        ("... not asked", seconds(found.times.unasked)),
        ("... asked", seconds(found.times.asked)),
    ]
    if found.granted is not None:
        entries.append(("Let in as themselves", rate(found.granted)))
    return section("Living visitors", listing(entries))


def _cues(result: PolicyResult) -> Markup | None:
    shown = plots(
        ("Flatness during turns", residual_plot(result)),
        ("Relief during turns", parallax_plot(result)),
        ("Passive networks, one median per attempt", passive_plot(result)),
        ("Time to a passed proof", time_plot(result)),
    )
    if shown is None:
        return None
    note = "Hair line: from the least to the greatest; bar: the middle half; dot: the median; in brackets: how many."
    return section("What was measured", shown, paragraph(note, soft="soft"))


def _reasons(result: PolicyResult) -> Markup | None:
    told: list[tuple[str, tuple[ReasonCount, ...]]] = [(named(each.species), each.reasons) for each in result.attacks]
    if result.bona_fide is not None:
        told.insert(0, ("living", result.bona_fide.reasons))
    names = sorted({each.reason for _, reasons in told for each in reasons})
    if not names:
        return None
    rows: list[list[Child]] = []
    for name, reasons in told:
        by_name = {each.reason: each.count for each in reasons}
        rows.append([name, *(f"{by_name[reason]:,}" if reason in by_name else "" for reason in names)])
    return section(
        "Why the proof did not pass",
        table(("Presented", *map(named, names)), rows, numbers=range(1, len(names) + 1)),
    )


def _ablation(rows: Sequence[AblationRow]) -> Markup:
    """Passes by variant and species; bold where a variant lets more attacks through than the policy as it is."""
    base = {cell.species: cell.passes for cell in rows[0].cells}

    def cell(row: AblationRow, name: str) -> Child:
        found = next((each.passes for each in row.cells if each.species == name), None)
        if found is None or found.value is None:
            return "-"
        words = f"{found.count:,}/{found.trials:,}"
        worse = name != LIVE and found.value > (base[name].value or 0.0)
        return element("strong", words) if worse else words

    body: list[list[Child]] = [[_presented(name), *(cell(row, name) for row in rows)] for name in base]
    return section(
        "With a cue taken away",
        paragraph("Passed proofs of attempts with a response; bold where more attacks pass than under the policy."),
        table(("Passes without", *(taken_away(row.variant) for row in rows)), body),
        element(
            "ul", *(element("li", f"without {taken_away(row.variant)}: {row.meaning}") for row in rows if row.meaning)
        ),
    )


def _presented(species: str) -> str:
    return "living" if species == LIVE else named(species)


def _single(result: PolicyResult, *, every: bool) -> Markup | None:
    shown = [each for each in result.attempts if every or _is_error(each)]
    if not shown:
        return None
    rows: list[list[Child]] = [
        [
            f"{_presented(each.species)} {each.number}",
            each.subject,
            _OUTCOMES.get(each.outcome, each.outcome),
            "passed" if each.proven else named(each.reason),
            "" if each.decided_s is None else f"{each.decided_s:.2f} s",
            "" if each.residual is None else f"{each.residual:.4f}",
            "" if each.parallax is None else f"{each.parallax:.2f}",
            "" if each.median is None else f"{each.median:.3f}",
        ]
        for each in shown[:_MAX_ROWS]
    ]
    head = (
        "Presented",
        "Shows",
        "Outcome",
        "Proof of life",
        "After",
        "Least residual",
        "Least parallax",
        "Median P(live)",
    )
    left_out = len(shown) - len(rows)
    return section(
        "Clip by clip" if every else "Errors, one by one",
        element(
            "details",
            element("summary", many(len(shown), "clip" if every else "attempt")),
            table(head, rows, numbers=(4, 5, 6, 7)),
            paragraph(f"{left_out:,} more stand in the JSON and CSV files.") if left_out else None,
        ),
    )


def _is_error(row: AttemptRow) -> bool:
    if row.outcome == Outcome.NO_RESPONSE.value:
        return False
    return row.proven if row.species != LIVE else not row.proven


def _policy(result: PolicyResult) -> Markup:
    entries: list[tuple[str, Child]] = [(each.name, each.value) for each in result.settings]
    entries += [(each.role, each.model_id) for each in result.models]
    entries.append(("passive networks", "asked" if result.passive else "not asked"))
    return section("The policy and its models", listing(entries))
