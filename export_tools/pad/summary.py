"""From played attempts to one result: which figures, of which policy, of which presentations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from device.vision.pack import Pack
from export_tools.pad.attempt import Attempt
from export_tools.pad.figures import ablation_rows, attack_figures, attempt_rows, bona_fide_figures
from export_tools.pad.result import ModelName, PolicyResult, Recorded, Setting, Simulated
from export_tools.pad.settings import PolicySettings

#: What each variant of :mod:`export_tools.pad.ablation` takes away, for readers of a report.
MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "without_passive": "the passive networks are not asked; everybody turns the head",
        "without_veto": "the passive networks may accept, but take nobody for a spoof",
        "without_challenge": "nobody is asked to turn the head: who would be asked is denied",
        "without_parallax": "a turn need not show relief: what no flat sheet does is enough",
        "without_planarity": "a turn that leaves no residual and shows no relief counts as one of a solid head",
        "without_link": "the turned face need not hang together with the one that was compared",
        "without_gate": "any turn counts, flat or not, of whichever face",
        "without_agreement": "the face may change from one frame to the next",
        "without_bezel": "the frame of a screen around the face raises no doubt",
        "without_several_faces": "several faces raise no doubt",
        "without_light_doubts": "darkness, blur, a burnt background and grey pictures raise no doubt",
        "without_lockout": "failed faces come back at once, and are asked (changes sessions alone)",
    }
)
#: The name of the policy without anything taken away.
AS_IT_IS: Final = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was played.

    Attributes:
        attempts: Under the policy as it is; independent of each other.
        sessions: Under the policy as it is; each the attempts of one attacker until the door locks out.
        variants: Attempts under other variants of the policy, by name.
        identities_known: Whether those who are shown were enrolled.
        answers: Whether they could answer prompts.
        elapsed_s: How long it took.
    """

    attempts: Sequence[Attempt]
    sessions: Sequence[Sequence[Attempt]]
    variants: Mapping[str, Sequence[Attempt]]
    identities_known: bool
    answers: bool
    elapsed_s: float


def summarise_policy(
    measured: Measured, *, settings: PolicySettings, pack: Pack, origin: Simulated | Recorded
) -> PolicyResult:
    """All figures of one policy.

    Args:
        measured: What was played.
        settings: The policy as it is.
        pack: Whose models saw the presentations.
        origin: Where they come from.
    """
    attacks = attack_figures(
        measured.attempts,
        measured.sessions,
        identities_known=measured.identities_known,
        answers=measured.answers,
    )
    rows = {(AS_IT_IS, ""): measured.attempts} | {
        (name, MEANINGS.get(name, "")): attempts for name, attempts in measured.variants.items()
    }
    return PolicyResult(
        pack=pack.manifest.pack,
        models=tuple(ModelName(role=role, model_id=entry.model_id) for role, entry in pack.manifest.models.items()),
        passive=settings.passive,
        settings=told_settings(settings),
        min_residual=settings.liveness.min_residual,
        min_parallax=settings.liveness.min_parallax,
        passive_accept=settings.rules.passive.accept,
        passive_veto=settings.rules.passive.veto,
        origin=origin,
        attacks=attacks,
        worst=next((each.species for each in attacks if each.apcer.trials), None),
        bona_fide=bona_fide_figures(
            measured.attempts, identities_known=measured.identities_known, answers=measured.answers
        ),
        ablation=ablation_rows(rows) if measured.variants else (),
        attempts=attempt_rows(measured.attempts, answers=measured.answers),
        elapsed_s=measured.elapsed_s,
    )


def told_settings(settings: PolicySettings) -> tuple[Setting, ...]:
    """What an evaluator must know to measure the same again, most telling first."""
    rules, liveness, visit = settings.rules, settings.liveness, settings.visit
    passive, lockout, memory = rules.passive, visit.lockout, visit.memory
    told = {
        "level": str(rules.level),
        "head turns": f"{rules.steps}; {rules.steps_undecided} where the networks are only undecided",
        "passive test": (
            f"median of {passive.samples}, accept from {passive.accept:g}, veto up to {passive.veto:g},"
            f" within {rules.within_s:g} s"
        )
        if settings.passive
        else "not asked",
        "turn": f"{liveness.turn_deg:g} degrees, answered within {liveness.answer_max_s:g} s",
        "flat": f"residual below {liveness.min_residual:g} or parallax below {liveness.min_parallax:g};"
        f" undecided below {liveness.min_corners} corners",
        "same person": f"cosine from {visit.threshold:.4f}; within a visit from {visit.same_face:.4f}",
        "votes": f"{visit.decision.votes} of {visit.decision.vote_window}",
        "lock-out": (
            f"door after {lockout.after} failed proofs, a face after {memory.challenge.after} failed challenges or"
            f" {memory.veto.after} veto, for {lockout.pause_s:g} s and more"
        ),
    }
    return tuple(Setting(name=name, value=value) for name, value in told.items())
