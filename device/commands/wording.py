"""Decisions as sentences and as JSON, the same in every command."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from device.types import Decision, LivenessEvidence, Reason, StepEvidence

_WORDS = {
    Reason.NO_MATCH: "alive, but nobody enrolled looks like this",
    Reason.AMBIGUOUS: "alive, but two enrolled people look too much like this",
    Reason.UNSETTLED: "alive, but the frames did not agree on who it is",
    Reason.NOT_LIVE: "the face did not turn as a head does",
    Reason.VETOED: "the passive networks took the face for a picture or a screen",
    Reason.UNDECIDED: "the passive networks could not decide in time",
    Reason.LOCKED_OUT: "looks like a face that failed here a moment ago",
    Reason.NO_RESPONSE: "the head was not turned when asked to",
    Reason.WRONG_RESPONSE: "the head was turned another way than asked",
    Reason.LIVENESS_ERROR: "the proof of life could not be taken",
    Reason.FACE_CHANGED: "the face was not the same throughout",
    Reason.LEFT: "left before the proof of life was complete",
    Reason.POOR_QUALITY: "the face was never seen well enough",
    Reason.NOT_NEAREST: "somebody else stood in front",
    Reason.UNKNOWN_PERSON: "was removed a moment ago",
    Reason.DISABLED: "is disabled",
    Reason.NOT_YET_VALID: "is not valid yet",
    Reason.EXPIRED: "is not valid any more",
    Reason.CLOCK_UNTRUSTED: "has limits in time, and the clock is not trusted",
    Reason.COOL_DOWN: "was let in a moment ago",
    Reason.STALE_FRAME: "the picture was too old when the door was to open",
    Reason.AUDIT_UNAVAILABLE: "the decision could not be recorded, so the door stayed shut",
    Reason.DOOR_FAULT: "the relay did not answer",
    Reason.MODEL_ERROR: "a model failed",
}
#: Outcomes of a turn that was judged and did not pass, in words.
_FAILED_TURNS = {"planar": "like that of a picture", "too_few_corners": "undecided"}


def explain(decision: Decision, *, name: str | None, threshold: float) -> str:
    """One sentence on why; ``name`` is the claimed person's, None where nobody was recognised."""
    parts = [f"welcome, {name or 'somebody enrolled'}" if decision.granted else _WORDS[decision.reason]]
    if decision.similarity is not None and decision.reason not in (Reason.LEFT, Reason.NO_RESPONSE):
        sign = ">=" if decision.similarity >= threshold else "<"
        parts.append(f"similarity {decision.similarity:.3f} {sign} {threshold:.3f}")
    if not decision.granted and decision.claimed is not None:
        parts.append(f"claimed to be {name or 'somebody enrolled'}")
    if decision.liveness is not None:
        parts.extend(_liveness(decision.liveness))
    if decision.quality:
        parts.append(", ".join(str(reason).replace("_", " ") for reason in decision.quality))
    return "; ".join(parts)


def decision_line(decision: Decision, *, name: str | None, threshold: float) -> Text:
    """A decision as one line of a terminal: what, and why; ``name`` and ``threshold`` as in :func:`explain`."""
    outcome = ("GRANTED", "bold green") if decision.granted else (f"DENIED {decision.reason}", "bold red")
    return Text.assemble("  ", outcome, f"  {explain(decision, name=name, threshold=threshold)}")


def _liveness(evidence: LivenessEvidence) -> Iterator[str]:
    passive = evidence.passive
    if passive is not None and passive.median is not None:
        yield f"passive {passive.median:.2f}, {passive.verdict}"
    if evidence.doubts:
        yield "in doubt for " + ", ".join(str(doubt).replace("_", " ") for doubt in evidence.doubts)
    if evidence.steps:
        yield _steps(evidence.steps)


def _steps(steps: tuple[StepEvidence, ...]) -> str:
    """How many turns passed, and what was measured on the one that did not, else on the weakest of those that did."""
    passed = [step for step in steps if step.outcome == "passed"]
    turns = f"{len(passed)} of {len(steps)} head turns"
    last = steps[-1]
    if last.outcome in _FAILED_TURNS:
        return f"{turns}, the last {_FAILED_TURNS[last.outcome]}: {_relief(last)}, {_residual([last])}"
    if not passed:
        return turns
    weakest = min(passed, key=_confirmed)
    return f"{turns}, at least {_relief(weakest)}, {_residual(passed)}"


def _confirmed(step: StepEvidence) -> float:
    """What the limit of the relief is held against: the parallax less its error; nothing is less than any."""
    sure = math.nan if step.parallax is None or step.error is None else step.parallax - step.error
    return sure if math.isfinite(sure) else -math.inf


def _relief(step: StepEvidence) -> str:
    if not math.isfinite(_confirmed(step)):
        return "relief not measurable"
    return f"relief {step.parallax:.3f} ± {step.error:.3f}"


def _residual(steps: list[StepEvidence]) -> str:
    known = [step.residual for step in steps if step.residual is not None and math.isfinite(step.residual)]
    return f"residual {min(known):.3f}" if known else "residual not measurable"


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision for machines: stable words, handles but no names, no number that JSON does not know."""
    evidence = decision.liveness
    return {
        "outcome": "granted" if decision.granted else "denied",
        "reason": str(decision.reason),
        "person": decision.person,
        "claimed": decision.claimed,
        "similarity": _number(decision.similarity),
        "runner_up": _number(decision.runner_up),
        "votes": decision.votes,
        "track": decision.track,
        "frame_number": decision.frame_number,
        "captured_s": _number(decision.captured_s),
        "decided_s": _number(decision.decided_s),
        "first_usable_s": _number(decision.first_usable_s),
        "claimed_s": _number(decision.claimed_s),
        "quality": [str(reason) for reason in decision.quality],
        "liveness": None
        if evidence is None
        else {
            "method": evidence.method,
            "level": evidence.level,
            "samples": evidence.samples,
            "passive": None
            if evidence.passive is None
            else {
                "verdict": str(evidence.passive.verdict),
                "samples": evidence.passive.samples,
                "live": evidence.passive.live,
                "median": _number(evidence.passive.median),
            },
            "doubts": [str(doubt) for doubt in evidence.doubts],
            "blinks": evidence.blinks,
            "steps": [
                {
                    "prompt": str(step.prompt),
                    "outcome": step.outcome,
                    "angle_deg": _number(step.angle_deg),
                    "response_s": _number(step.response_s),
                    "residual": _number(step.residual),
                    "parallax": _number(step.parallax),
                    "error": _number(step.error),
                }
                for step in evidence.steps
            ],
        },
    }


def _number(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None
