"""The figures of a walk, in the terms of ISO/IEC 30107-3:2023, and what they mean in plain words.

APCER and BPCER are of tries with a response (a frame of them was compared); APNRR and BPNRR are the shares of all tries
that had none. A door with stricter gates answers fewer attacks, so that neither tells anything without the other. Each
species of attack stands for itself, the worst in front: there is no mean over species. A proof of life that passed
counts as an error for an attack even where the door would have stayed shut; IAPAR counts who would have been let in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from device.app.binomial import Rate, rate_of, trials_needed
from device.app.pad_test import BONA_FIDE, Outcome, TryResult

#: What the words compare a bound with: rates of five in a hundred are what few tries can show at all.
AIM: Final = 0.05


@dataclass(frozen=True, slots=True)
class AttackFigures:
    """One species of attack.

    Attributes:
        species: Which.
        tries: That were made.
        no_response: Of them, those of which nothing was compared.
        apnrr: These, of all tries.
        apcer: Taken for living, of those with a response.
        iapar: Let in as somebody enrolled, of those with a response; None where nobody is enrolled.
    """

    species: str
    tries: int
    no_response: int
    apnrr: Rate
    apcer: Rate
    iapar: Rate | None


@dataclass(frozen=True, slots=True)
class BonaFideFigures:
    """The living.

    Attributes:
        tries: That were made.
        no_response: Of them, those of which nothing was compared.
        bpnrr: These, of all tries.
        bpcer: Not taken for living, of those with a response.
        frr: Of all tries, those at which the named person was not let in; None where nobody was named.
    """

    tries: int
    no_response: int
    bpnrr: Rate
    bpcer: Rate
    frr: Rate | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a walk; attacks with the worst in front: by rate, then by upper bound, then by name."""

    bona_fide: BonaFideFigures | None
    attacks: tuple[AttackFigures, ...]


def figures_of(results: Sequence[TryResult], *, enrolled: bool) -> Figures:
    """Count.

    Args:
        results: Of a walk.
        enrolled: Whether anybody is, so that an attack could be let in.
    """
    living = [each for each in results if each.planned.species == BONA_FIDE]
    names = {each.planned.species for each in results} - {BONA_FIDE}
    attacks = (
        _attack(name, [each for each in results if each.planned.species == name], enrolled=enrolled) for name in names
    )
    return Figures(bona_fide=_bona_fide(living) if living else None, attacks=tuple(sorted(attacks, key=_badness)))


def _attack(species: str, tries: Sequence[TryResult], *, enrolled: bool) -> AttackFigures:
    answered = [each for each in tries if each.responded]
    return AttackFigures(
        species=species,
        tries=len(tries),
        no_response=len(tries) - len(answered),
        apnrr=rate_of(len(tries) - len(answered), len(tries)),
        apcer=rate_of(sum(each.outcome is Outcome.ALIVE for each in answered), len(answered)),
        iapar=rate_of(sum(each.decision.granted for each in answered), len(answered)) if enrolled else None,
    )


def _bona_fide(tries: Sequence[TryResult]) -> BonaFideFigures:
    answered = [each for each in tries if each.responded]
    named = all(each.as_named is not None for each in tries)
    return BonaFideFigures(
        tries=len(tries),
        no_response=len(tries) - len(answered),
        bpnrr=rate_of(len(tries) - len(answered), len(tries)),
        bpcer=rate_of(sum(each.outcome is not Outcome.ALIVE for each in answered), len(answered)),
        frr=rate_of(sum(each.as_named is not True for each in tries), len(tries)) if named else None,
    )


def _badness(figures: AttackFigures) -> tuple[float, float, str]:
    # What got no response has shown nothing, and stands behind everything that has.
    value = figures.apcer.value
    return (-value if value is not None else 1.0, -figures.apcer.upper, figures.species)


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{f'{100 * share:.1f}'.removesuffix('.0') if share < 0.1 else f'{100 * share:.0f}'} %"


def meaning(rate: Rate, *, event: str) -> str:
    """What a counted rate says, and how many tries would say more.

    Args:
        rate: With its bounds.
        event: What is counted, as in "3 of 5 <event>".
    """
    if rate.trials == 0:
        return "nothing was compared: nothing is known"
    counted = f"{rate.count} of {rate.trials} {event}"
    if rate.upper <= AIM:
        return f"{counted}: the true rate is {percent(rate.upper)} at most"
    if rate.count == rate.trials:
        return f"{counted}: the true rate is {percent(rate.lower)} at least"
    needed = trials_needed(AIM, count=rate.count)
    if rate.count == 0:
        return (
            f"{counted}: the true rate may be up to {percent(rate.upper)}; more tries say more:"
            f" {needed} without one would show {percent(AIM)}"
        )
    return (
        f"{counted}: the true rate lies between {percent(rate.lower)} and {percent(rate.upper)};"
        f" {needed} tries without a further one would show {percent(AIM)}"
    )
