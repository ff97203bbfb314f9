"""The policy with one cue removed: what gets through then is what the cue is worth.

What can be told apart, and what not:

* ``without_planarity`` and ``without_link`` are the two halves of the gate: residual and parallax of the turn, and that
  the turned face hangs together with the one that was compared; ``without_parallax`` leaves the residual alone.
  ``without_gate`` removes both halves. Too few corners still deny.
* ``without_agreement`` removes the agreement of embeddings within a visit and with the claimed person since the proof
  began. Removing one alone shows nothing: each catches what the other does.
* ``without_challenge`` and ``without_lockout`` let nobody in by themselves: the first shows who can only be let in by
  head turns, the second changes sessions alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from device.access.doubts import CueLimits
from export_tools.pad.settings import PolicySettings

#: Below every cosine, rounded or not.
_ANY_COSINE: Final = -2.0
#: Below every probability.
_NEVER: Final = -1.0


def _with_limits(limits: Callable[[CueLimits], CueLimits]) -> Callable[[PolicySettings], PolicySettings]:
    def change(settings: PolicySettings) -> PolicySettings:
        return replace(settings, rules=replace(settings.rules, limits=limits(settings.rules.limits)))

    return change


def _without_light(limits: CueLimits) -> CueLimits:
    least, most = -math.inf, math.inf
    return replace(limits, burnt=most, chroma=least, brightness=least, noise=most, context=least, sharpness=least)


def _without_veto(settings: PolicySettings) -> PolicySettings:
    passive = replace(settings.rules.passive, veto=_NEVER)
    return replace(settings, rules=replace(settings.rules, passive=passive))


def _without_agreement(settings: PolicySettings) -> PolicySettings:
    decision = replace(settings.visit.decision, same_face=_ANY_COSINE)
    return replace(settings, visit=replace(settings.visit, same_face=_ANY_COSINE, decision=decision))


#: What each cue's absence changes.
ABLATIONS: Final[Mapping[str, Callable[[PolicySettings], PolicySettings]]] = MappingProxyType(
    {
        "without_passive": lambda settings: replace(settings, passive=False),
        "without_veto": _without_veto,
        "without_challenge": lambda settings: replace(settings, challenge=False),
        "without_parallax": lambda settings: replace(settings, parallax=False),
        "without_planarity": lambda settings: replace(settings, planarity=False),
        "without_link": lambda settings: replace(settings, link=False),
        "without_gate": lambda settings: replace(settings, planarity=False, link=False),
        "without_agreement": _without_agreement,
        "without_bezel": _with_limits(lambda limits: replace(limits, bezel=math.inf)),
        "without_several_faces": lambda settings: replace(settings, several_faces=False),
        "without_light_doubts": _with_limits(_without_light),
        "without_lockout": lambda settings: replace(settings, lockout=False),
    }
)


def ablated(settings: PolicySettings) -> tuple[PolicySettings, ...]:
    """The policy itself, then each variant by name.

    Without the networks what only they could need is left out: their veto, and the doubts about their pictures.
    """
    moot = set[str]()
    if not settings.passive:
        moot = {"without_passive", "without_veto", "without_bezel", "without_several_faces", "without_light_doubts"}
    variants = (replace(change(settings), name=name) for name, change in ABLATIONS.items() if name not in moot)
    return (settings, *variants)
