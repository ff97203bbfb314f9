"""Why a target runs the precision it runs: rules as data, each a condition and a sentence over measured figures.

A sentence follows from figures alone. Where the description chooses what no rule supports, the sentence says that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from device.vision.manifest import Precision, Target, Thresholds
from export_tools.cards import ModelCard
from export_tools.report.result import DetectionError, Drift, ModelFigures, PrecisionFigures

FASTER: Final = 1.15
"""From this ratio a precision counts as faster: medians of interleaved runs on a busy machine repeat to 5 percent."""
SLOWER: Final = 0.9
MOVED: Final = 0.05
"""From this share of its range an output counts as damaged: three of the 64 pixels that the iris model sees."""
_MB: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One precision of one model on one target."""

    figures: PrecisionFigures
    fp32: PrecisionFigures
    model: ModelFigures
    target: Target
    thresholds_model: str | None
    """Model id whose embeddings the pack's thresholds belong to."""
    why: str
    """What the description says about its choice for this target; empty where it says nothing."""

    @property
    def speed(self) -> float | None:
        """Times as fast as FP32."""
        return self.figures.speed(self.target)

    @property
    def lost(self) -> int:
        """Faces that are not found any more."""
        drift = self.figures.drift
        return drift.detection.lost if drift is not None and drift.detection is not None else 0

    @property
    def flipped(self) -> int:
        """Faces that change between live and not."""
        drift = self.figures.drift
        return drift.liveness.flipped if drift is not None and drift.liveness is not None else 0

    @property
    def moved(self) -> float:
        """Greatest change as a share of the output's range, where the role has no measure of its own."""
        drift = self.figures.drift
        if drift is None or any((drift.embedding, drift.detection, drift.points, drift.liveness)):
            return 0.0
        return greatest_share(drift)

    @property
    def foreign_thresholds(self) -> bool:
        """Whether the thresholds were measured with another precision of this embedder."""
        return self.model.role == "embedder" and self.thresholds_model == f"{self.model.name}-fp32"

    @property
    def fields(self) -> dict[str, str]:
        """What the sentences may name."""
        size, reference = self.figures.size_bytes or 0, self.fp32.size_bytes or 0
        return {
            "excluded": first_clause(self.figures.excluded or ""),
            "speed": f"{self.speed:.1f}" if self.speed is not None else "",
            "error": error_words(self.figures.drift),
            "size": f"{size / _MB:.1f} instead of {reference / _MB:.1f} MB",
            "lost": str(self.lost),
            "flipped": str(self.flipped),
            "moved": f"{100 * self.moved:.0f}",
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """A sentence and when it is true; of a list, the first that is true speaks."""

    name: str
    holds: Callable[[Case], bool]
    sentence: str


CHOSEN: Final = (
    Rule("reference", lambda case: case.figures.precision == "fp32", ""),
    Rule("untimed", lambda case: case.speed is None, "{size}, {error}; not timed on this machine"),
    Rule("faster", lambda case: (case.speed or 0) >= FASTER, "{speed} times as fast as fp32, {error}"),
    Rule("smaller", lambda _: True, "not faster than fp32 on this processor ({speed} times), {size}, {error}"),
)
"""For the precision that a target runs."""
AGAINST: Final = (
    Rule("excluded", lambda case: case.figures.excluded is not None, "{is} excluded because {excluded}"),
    Rule(
        "zero points",
        lambda case: case.target == "tensorrt" and case.figures.precision == "int8-u8",
        "{has} zero points, which TensorRT refuses",
    ),
    Rule("loses faces", lambda case: case.lost > 0, "{loses} {lost} of the faces that fp32 finds"),
    Rule("turns decisions", lambda case: case.flipped > 0, "{turns} {flipped} of the decisions on a live face"),
    Rule("moves", lambda case: case.moved >= MOVED, "{moves} an output by up to {moved} % of its range"),
    Rule("untimed", lambda case: case.speed is None, "{is} not timed on this machine ({error})"),
    Rule("slower", lambda case: (case.speed or 0) < SLOWER, "{is} slower on this processor ({speed} times as fast)"),
    Rule("as fast", lambda case: (case.speed or 0) < FASTER, "{is} not faster on this processor"),
    Rule("told", lambda case: bool(case.why), "{is} {speed} times as fast ({error})"),
    Rule("unexplained", lambda _: True, "{is} {speed} times as fast ({error}); the pack description leaves it out"),
)
"""For a precision that it does not run."""
_VERBS: Final = {"is": "are", "has": "have", "loses": "lose", "turns": "turn", "moves": "move"}


def explain(card: ModelCard, figures: ModelFigures, *, target: Target, thresholds: Thresholds | None) -> str:
    """Why this target runs what the description says, in one sentence that begins with the precision.

    Args:
        card: The model's description.
        figures: What was measured.
        target: Which runtime.
        thresholds: Those of the pack.

    Raises:
        UsageError: The figures lack a precision.
    """
    chosen = card.precision[target]
    fp32 = figures.at("fp32")

    def case(precision: Precision) -> Case:
        return Case(
            figures=figures.at(precision),
            fp32=fp32,
            model=figures,
            target=target,
            thresholds_model=thresholds.rule.model_id if thresholds is not None else None,
            why=card.why.get(target, ""),
        )

    words = _first(CHOSEN, case(chosen)).format(**case(chosen).fields)
    if words and case(chosen).foreign_thresholds:
        words += f"; the thresholds were measured with {case(chosen).thresholds_model}"
    others = [each.precision for each in figures.precisions if each.precision not in (chosen, "fp32")]
    told: dict[str, list[Precision]] = {}
    for other in others:
        sentence = _first(AGAINST, case(other))
        # Whole sentence as the key, verbs still open: two precisions with one fate are told together.
        told.setdefault(_fill(sentence, case(other).fields), []).append(other)
    told_words = [
        _conjugate(sentence, names) + _measured([figures.at(name) for name in names])
        for sentence, names in told.items()
    ]
    return f"{chosen}: " + "; ".join(each for each in (words, *told_words, case(chosen).why) if each)


def error_words(drift: Drift | None) -> str:
    """What a precision costs, in the words of its role."""
    if drift is None:
        return "not compared"
    if drift.embedding is not None:
        found = drift.embedding
        return (
            f"cosine {found.cosine_mean:.4f} on average, {found.cosine_min:.4f} at least"
            f" on {found.embeddings} held-out chips"
        )
    if drift.detection is not None:
        return _detection_words(drift.detection)
    if drift.points is not None:
        return (
            f"points moved by {drift.points.mean_percent:.2g} % of the distance between the eyes on average,"
            f" by {drift.points.max_percent:.2g} % at most, on {drift.points.faces} held-out inputs"
        )
    if drift.liveness is not None:
        return f"P(live) moved by at most {drift.liveness.max_change:.2g} on {drift.liveness.faces} held-out faces"
    return (
        f"greatest change {100 * greatest_share(drift):.2g} % of the output's range on {drift.inputs} held-out inputs"
    )


def _detection_words(found: DetectionError) -> str:
    words = f"{found.reference - found.lost} of {found.reference} faces found again"
    if found.invented:
        words += f", {found.invented} invented"
    if found.iou_mean is not None and found.iou_min is not None:
        words += f", overlap {found.iou_mean:.3f} on average, {found.iou_min:.3f} at least"
    return words


def first_clause(reason: str) -> str:
    """What was seen, without what explains it after a colon or in brackets; that stands beside the figures."""
    return re.split(r": | \(", reason, maxsplit=1)[0]


def greatest_share(drift: Drift) -> float:
    """Greatest change of any output as a share of its range in FP32."""
    return max((each.max_abs / each.span if each.span else each.max_abs) for each in drift.outputs)


def _first(rules: tuple[Rule, ...], case: Case) -> str:
    return next(rule.sentence for rule in rules if rule.holds(case))


def _fill(sentence: str, fields: dict[str, str]) -> str:
    """Everything but the verbs, which depend on how many share the sentence."""
    open_verbs = {verb: f"\0{verb}\0" for verb in _VERBS}
    return sentence.format(**fields, **open_verbs)


def _measured(figures: Sequence[PrecisionFigures]) -> str:
    """What excluded precisions would cost; empty where they could not be made, or are not excluded."""
    shown = [each for each in figures if each.excluded is not None and each.drift is not None]
    if not shown:
        return ""
    return " (measured: " + "; ".join(f"{each.precision} {error_words(each.drift)}" for each in shown) + ")"


def _conjugate(sentence: str, names: list[Precision]) -> str:
    for one, many in _VERBS.items():
        sentence = sentence.replace(f"\0{one}\0", one if len(names) == 1 else many)
    return f"{' and '.join(names)} {sentence}"
