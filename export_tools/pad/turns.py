"""What the gate said about the head turns of attempts: how many it judged, and what it measured on them.

A rate of passed proofs says little about the gate where few turns reached it: an attack may end before, by a veto, a
wrong answer or none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from device.types import StepEvidence
from device.vision.liveness.planarity import PLANAR, TOO_FEW_CORNERS
from export_tools.pad.attempt import Attempt
from export_tools.pad.result import TurnCounts

_PASSED: Final = "passed"
#: Outcomes of turns that reached the gate; any other step ended before.
_JUDGED: Final = frozenset({_PASSED, PLANAR, TOO_FEW_CORNERS})


def judged_turns(attempt: Attempt) -> tuple[StepEvidence, ...]:
    """The head turns that were held as asked, in time, and so judged by the gate."""
    steps = attempt.evidence.steps if attempt.evidence is not None else ()
    return tuple(step for step in steps if step.outcome in _JUDGED)


def turn_counts(attempts: Sequence[Attempt]) -> TurnCounts:
    """How many turns were judged, how many passed, and in how many attempts any was."""
    turns = [judged_turns(each) for each in attempts]
    return TurnCounts(
        judged=sum(map(len, turns)),
        passed=sum(step.outcome == _PASSED for each in turns for step in each),
        attempts=sum(map(bool, turns)),
    )


def residuals(attempt: Attempt) -> list[float]:
    """Of the judged turns; what is no number is as if it had not been measured."""
    return _numbers([step.residual for step in judged_turns(attempt)])


def parallaxes(attempt: Attempt) -> list[float]:
    """The same."""
    return _numbers([step.parallax for step in judged_turns(attempt)])


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]
