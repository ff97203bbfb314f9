"""Attempts and results worked out by hand, for the tests of figures, tables and pages."""

from __future__ import annotations

from collections.abc import Sequence

from device.types import LivenessEvidence, PassiveEvidence, PassiveVerdict, Reason, Signal, StepEvidence
from export_tools.pad.attempt import LIVE, Attempt
from export_tools.pad.figures import ablation_rows, attack_figures, attempt_rows, bona_fide_figures
from export_tools.pad.result import ModelName, PolicyResult, Recorded, Setting, Simulated


def step(outcome: str = "passed", residual: float | None = None, parallax: float | None = None) -> StepEvidence:
    """One step of a challenge."""
    return StepEvidence(Signal.TURN_LEFT, outcome, 25.0, 1.0, residual, parallax, None if parallax is None else 0.05)


def evidence(*residuals: float | None, median: float | None = None) -> LivenessEvidence:
    """One step per residual: flat below 0.03, else with ten times as much parallax; undecided where not measured."""
    steps = tuple(
        step("too_few_corners")
        if each is None
        else step("planar" if each < 0.03 else "passed", residual=each, parallax=10 * each)
        for each in residuals
    )
    passive = (
        None if median is None else PassiveEvidence(verdict=PassiveVerdict.UNDECIDED, samples=5, live=0, median=median)
    )
    return LivenessEvidence(method="head_turn", samples=5, steps=steps, passive=passive)


def attempt(
    species: str,
    number: int,
    *,
    proven: bool = False,
    granted: bool = False,
    challenged: bool = True,
    reason: Reason = Reason.NOT_LIVE,
    decided_s: float | None = 4.0,
    subject: str = "ann",
    residuals: Sequence[float | None] = (),
    median: float | None = None,
) -> Attempt:
    """One attempt; denied as flat after four seconds unless told otherwise."""
    return Attempt(
        species=species,
        number=number,
        subject=subject,
        proven=proven,
        granted=granted,
        challenged=challenged,
        reason=Reason.GRANTED if granted else reason,
        decided_s=decided_s,
        evidence=evidence(*residuals, median=median),
    )


def unseen(species: str, number: int) -> Attempt:
    """An attempt of which no frame was compared."""
    return Attempt(
        species=species,
        number=number,
        subject="ann",
        proven=False,
        granted=False,
        challenged=False,
        reason=Reason.POOR_QUALITY,
        decided_s=None,
        evidence=None,
    )


def by_hand() -> list[Attempt]:
    """Five visitors (one not seen, one turned away), four tilted prints (none passes), four phones (one passes)."""
    return [
        attempt(LIVE, 0, proven=True, granted=True, challenged=False, decided_s=0.8, median=0.95),
        attempt(LIVE, 1, proven=True, granted=True, decided_s=6.0, residuals=(0.06, 0.05), median=0.5),
        attempt(LIVE, 2, proven=True, granted=False, decided_s=8.0, residuals=(0.04, 0.03), subject="bob"),
        attempt(LIVE, 3, reason=Reason.NO_RESPONSE, decided_s=5.0, subject="bob"),
        unseen(LIVE, 4),
        attempt("print_tilt", 1, residuals=(0.01,)),
        attempt("print_tilt", 3, residuals=(0.02, None)),
        attempt("print_tilt", 5, challenged=False, reason=Reason.VETOED, decided_s=1.0, median=0.05),
        attempt("print_tilt", 7, reason=Reason.NO_RESPONSE),
        attempt("replay_phone", 1, reason=Reason.WRONG_RESPONSE),
        attempt("replay_phone", 3, proven=True, granted=True, residuals=(0.05, 0.06), decided_s=7.0),
        attempt("replay_phone", 5, reason=Reason.WRONG_RESPONSE),
        unseen("replay_phone", 7),
    ]


def sessions() -> list[list[Attempt]]:
    """Two phones, one of which passes at the second attempt; one print; one print that was never seen."""
    found = {(each.species, each.number): each for each in by_hand()}
    return [
        [found["replay_phone", 1], found["replay_phone", 3]],
        [found["replay_phone", 5]],
        [found["print_tilt", 1], found["print_tilt", 3], found["print_tilt", 5]],
        [unseen("print_tilt", 9)],
    ]


def result(
    *, recorded: bool = False, name: str = "replay_phone", attempts: Sequence[Attempt] | None = None
) -> PolicyResult:
    """A whole result, by hand unless attempts are given; ``name`` takes the place of the worst attack type's."""
    shown = [_renamed(each, name) for each in (by_hand() if attempts is None else attempts)]
    played = [[_renamed(each, name) for each in session] for session in sessions()] if attempts is None else []
    attacks = attack_figures(shown, played, identities_known=not recorded, answers=not recorded)
    return PolicyResult(
        pack="door-plus",
        models=(ModelName(role="embedder", model_id="dlib-resnet29-v1-int8-u8"),),
        passive=True,
        settings=(Setting(name="level", value="standard"),),
        min_residual=0.024,
        min_parallax=0.15,
        passive_accept=0.8,
        passive_veto=0.2,
        origin=Recorded(manifest="clips.csv", manifest_sha256="1" * 64)
        if recorded
        else Simulated(
            renderer="device.sim",
            parameters="parameters.yaml",
            parameters_sha256="2" * 64,
            half="held-out",
            portraits=4,
        ),
        attacks=attacks,
        worst=attacks[0].species if attacks and attacks[0].apcer.trials else None,
        bona_fide=bona_fide_figures(shown, identities_known=not recorded, answers=not recorded),
        ablation=()
        if recorded
        else ablation_rows(
            {
                ("nothing", ""): shown,
                ("without_planarity", "a flat turn counts"): [
                    attempt(each.species, each.number, proven=True) if each.decided_s else each for each in shown
                ],
            }
        ),
        attempts=attempt_rows(shown, answers=not recorded),
        elapsed_s=2.0,
    )


def _renamed(each: Attempt, name: str) -> Attempt:
    if each.species != "replay_phone":
        return each
    return Attempt(
        species=name,
        number=each.number,
        subject=each.subject,
        proven=each.proven,
        granted=each.granted,
        challenged=each.challenged,
        reason=each.reason,
        decided_s=each.decided_s,
        evidence=each.evidence,
    )
