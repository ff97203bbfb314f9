"""All figures of a policy, from attempts alone, in the terms of ISO/IEC 30107-3:2023 (clauses 3.2 and 13).

An attempt got a response when the door compared a frame of it and, of a recording, decided before it ended. APCER and
BPCER are of attempts with a response, APNRR and BPNRR are of all. APCER stands for each attack type by itself, the
worst one in front: there is no mean over types. A proof that passed counts against the door, whoever was recognised;
IAPAR counts who was let in as the victim. Pure: values in, values out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from device.types import Reason
from export_tools.evaluate.intervals import rate_of
from export_tools.evaluate.results.common import Rate
from export_tools.pad.attempt import LIVE, Attempt
from export_tools.pad.result import (
    PERCENTS,
    AblationCell,
    AblationRow,
    AttackFigures,
    AttemptRow,
    BonaFideFigures,
    DecisionTimes,
    Outcome,
    OutcomeCounts,
    ReasonCount,
    Spread,
)
from export_tools.pad.turns import parallaxes, residuals, turn_counts

#: Fewer people give no interval over people: it would span everything.
MIN_PEOPLE: Final = 10


def responded(attempt: Attempt, *, answers: bool = True) -> bool:
    """Whether the door came to a decision.

    Args:
        attempt: Under one policy.
        answers: Whether the presentation could react to the door. One that could stayed until it was decided about: if
            it left, the door had its chance. A recording just ends, and may do so before the door has decided.
    """
    if attempt.decided_s is None:
        return False
    return answers or attempt.proven or attempt.challenged or attempt.reason is not Reason.LEFT


def outcome_of(attempt: Attempt, *, answers: bool = True) -> Outcome:
    """What became of an attempt, in one word; a veto counts as one even where it came after a challenge had begun."""
    if not responded(attempt, answers=answers):
        return Outcome.NO_RESPONSE
    if attempt.reason is Reason.VETOED:
        return Outcome.VETOED
    if attempt.challenged:
        return Outcome.CHALLENGED
    return Outcome.ACCEPTED if attempt.proven else Outcome.REFUSED


def attack_figures(
    attempts: Sequence[Attempt],
    sessions: Sequence[Sequence[Attempt]] = (),
    *,
    identities_known: bool,
    answers: bool = True,
) -> tuple[AttackFigures, ...]:
    """Each attack type, the worst first: by APCER, then by its upper bound, then by name.

    Args:
        attempts: Presentations that are independent of each other; bona fide ones among them are left out.
        sessions: Each holds the attempts of one attacker with one attack type until the door locked out.
        identities_known: Whether the victims were enrolled.
        answers: Whether the presentations could react to the door, see :func:`responded`.

    Raises:
        ValueError: A session is empty, or holds more than one species.
    """
    if any(len({each.species for each in session}) != 1 for session in sessions):
        raise ValueError("a session holds the attempts of one attack type")
    names = {each.species for each in attempts if each.species != LIVE}
    return tuple(
        sorted(
            (
                _attack(
                    name,
                    [each for each in attempts if each.species == name],
                    [session for session in sessions if session[0].species == name],
                    identities_known=identities_known,
                    answers=answers,
                )
                for name in names
            ),
            key=_badness,
        )
    )


def bona_fide_figures(
    attempts: Sequence[Attempt], *, identities_known: bool, answers: bool = True
) -> BonaFideFigures | None:
    """The living visitors among the attempts; None without any.

    Args:
        attempts: Presentations; attacks among them are left out.
        identities_known: Whether the visitors were enrolled.
        answers: Whether they could answer prompts; a recorded visitor cannot, so being asked is then no error.
    """
    living = [each for each in attempts if each.species == LIVE]
    if not living:
        return None
    answered = [each for each in living if responded(each, answers=answers)]
    outcomes = [outcome_of(each, answers=answers) for each in answered]

    def wrong(attempt: Attempt, outcome: Outcome) -> bool:
        return not attempt.proven and (answers or outcome is not Outcome.CHALLENGED)

    passed = [each for each in answered if each.proven]
    return BonaFideFigures(
        attempts=len(living),
        subjects=len({each.subject for each in living}),
        bpcer=_rate(answered, [wrong(*each) for each in zip(answered, outcomes, strict=True)]),
        bpnrr=_rate(living, [not responded(each, answers=answers) for each in living]),
        challenged=_rate(answered, [each.challenged for each in answered]),
        vetoed=_rate(answered, [outcome is Outcome.VETOED for outcome in outcomes]),
        granted=_rate(living, [each.granted for each in living]) if identities_known else None,
        outcomes=_outcomes(living, answers=answers),
        reasons=_reasons(living),
        times=DecisionTimes(
            every=spread(_times(passed)),
            unasked=spread(_times([each for each in passed if not each.challenged])),
            asked=spread(_times([each for each in passed if each.challenged])),
        ),
        turns=turn_counts(living),
        residuals=spread([number for each in living for number in residuals(each)]),
        parallaxes=spread([number for each in living for number in parallaxes(each)]),
        medians=spread(_medians(living)),
    )


def ablation_rows(variants: Mapping[tuple[str, str], Sequence[Attempt]]) -> tuple[AblationRow, ...]:
    """Each variant against each species, in the order given; living visitors first, attack types by name.

    Args:
        variants: Attempts by (name, meaning) of the variant; the policy as it is comes first.
    """
    return tuple(
        AblationRow(variant=name, meaning=meaning, cells=_cells(attempts))
        for (name, meaning), attempts in variants.items()
    )


def attempt_rows(attempts: Sequence[Attempt], *, answers: bool = True) -> tuple[AttemptRow, ...]:
    """Every attempt by itself, by species and number."""
    return tuple(_row(each, answers=answers) for each in sorted(attempts, key=lambda each: (each.species, each.number)))


def spread(numbers: Sequence[float]) -> Spread | None:
    """How they lie; what is no number is left out, None for none."""
    finite = [number for number in numbers if math.isfinite(number)]
    if not finite:
        return None
    return Spread(count=len(finite), quantiles=tuple(np.percentile(finite, PERCENTS).tolist()))


def _attack(
    name: str,
    attempts: Sequence[Attempt],
    sessions: Sequence[Sequence[Attempt]],
    *,
    identities_known: bool,
    answers: bool,
) -> AttackFigures:
    answered = [each for each in attempts if responded(each, answers=answers)]
    played = [session for session in sessions if any(responded(each, answers=answers) for each in session)]
    return AttackFigures(
        species=name,
        attempts=len(attempts),
        subjects=len({each.subject for each in attempts}),
        apcer=_rate(answered, [each.passed for each in answered]),
        session_apcer=_rate(
            [session[0] for session in played], [any(each.passed for each in session) for session in played]
        )
        if sessions
        else None,
        session_attempts=sum(map(len, sessions)),
        iapar=_rate(attempts, [each.granted for each in attempts]) if identities_known else None,
        apnrr=_rate(attempts, [not responded(each, answers=answers) for each in attempts]),
        passed_unasked=sum(each.passed and not each.challenged for each in answered),
        turns=turn_counts(attempts),
        outcomes=_outcomes(attempts, answers=answers),
        reasons=_reasons(attempts),
        residuals=spread([number for each in attempts for number in residuals(each)]),
        parallaxes=spread([number for each in attempts for number in parallaxes(each)]),
        medians=spread(_medians(attempts)),
    )


def _badness(figures: AttackFigures) -> tuple[float, float, str]:
    """Highest APCER first; of equal ones that which may still be highest; what got no response stands last."""
    rate = figures.apcer
    if rate.value is None or rate.interval is None:
        return math.inf, 0.0, figures.species
    return -rate.value, -rate.interval.upper, figures.species


def _rate(attempts: Sequence[Attempt], events: Sequence[bool]) -> Rate:
    names = {subject: place for place, subject in enumerate(sorted({each.subject for each in attempts}))}
    people = np.array([names[each.subject] for each in attempts], np.int64) if len(names) >= MIN_PEOPLE else None
    return rate_of(np.array(events, np.bool_), subjects=people)


def _outcomes(attempts: Sequence[Attempt], *, answers: bool) -> OutcomeCounts:
    counts = Counter(outcome_of(each, answers=answers) for each in attempts)
    return OutcomeCounts(**{outcome.value: counts[outcome] for outcome in Outcome})


def _reasons(attempts: Sequence[Attempt]) -> tuple[ReasonCount, ...]:
    counts = Counter(str(each.reason) for each in attempts if not each.passed)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ReasonCount(reason=reason, count=count) for reason, count in ordered)


def _times(attempts: Sequence[Attempt]) -> list[float]:
    """Of decisions; who left, or whose recording ended, after the proof but before enough votes, has none."""
    return [each.decided_s for each in attempts if each.decided_s is not None and each.reason is not Reason.LEFT]


def _medians(attempts: Sequence[Attempt]) -> list[float]:
    return [median for median in map(_median, attempts) if median is not None]


def _median(attempt: Attempt) -> float | None:
    evidence = attempt.evidence
    return evidence.passive.median if evidence is not None and evidence.passive is not None else None


def _cells(attempts: Sequence[Attempt]) -> tuple[AblationCell, ...]:
    answered = [each for each in attempts if responded(each)]
    # Species that never got a response keep a column: an empty rate is not a missing one.
    names = sorted({each.species for each in attempts}, key=lambda name: (name != LIVE, name))
    by_name = {name: [each for each in answered if each.species == name] for name in names}
    return tuple(
        AblationCell(species=name, passes=_rate(found, [each.passed for each in found]))
        for name, found in by_name.items()
    )


def _row(attempt: Attempt, *, answers: bool) -> AttemptRow:
    return AttemptRow(
        species=attempt.species,
        number=attempt.number,
        subject=attempt.subject,
        outcome=outcome_of(attempt, answers=answers).value,
        proven=attempt.proven,
        granted=attempt.granted,
        reason=str(attempt.reason),
        decided_s=attempt.decided_s,
        residual=min(residuals(attempt), default=None),
        parallax=min(parallaxes(attempt), default=None),
        median=_median(attempt),
    )
