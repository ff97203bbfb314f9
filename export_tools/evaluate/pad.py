"""Presentation attack detection, in the terms of ISO/IEC 30107-3:2023 (clauses 3.2 and 13).

The unit is the presentation: a clip. Its frames are joined into one score by a stated rule, the score is compared with
a threshold, and every rate is of clips. APCER is told for each attack type (PAI species) and never averaged over types:
the worst one counts. What gets no response (no face that could be scored) is neither accepted nor rejected: it is told
as APNRR and BPNRR, and APCER and BPCER are of the presentations that got a response.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, get_args

import numpy as np

from device.errors import ModelError, UsageError
from device.types import Box, Image
from export_tools.evaluate.intervals import rate_of
from export_tools.evaluate.presentations import Presentation, frames_of
from export_tools.evaluate.results.common import Rate
from export_tools.evaluate.results.pad import ClipDecision, PadResult, SpeciesFigures, SubjectFigures
from export_tools.sources.download import Reporter, Silent

Rule = Literal["median", "mean", "min"]
RULES: Final[tuple[Rule, ...]] = get_args(Rule)
_JOIN: Final[dict[Rule, Callable[[Sequence[float]], float]]] = {
    "median": statistics.median,
    "mean": statistics.fmean,
    "min": min,
}
_ROUNDING: Final = 0.01


class LiveScorer(Protocol):
    """Passive liveness on one face of one picture."""

    def __call__(self, image: Image, box: Box, /) -> float:
        """P(live), 0..1. ``image`` is uint8 BGR. Raises ModelError."""


class FaceFinder(Protocol):
    """What finds the face to be scored."""

    def __call__(self, image: Image, /) -> Box | None:
        """The nearest face's box in pixels, None without one. Raises ModelError."""


def run_pad(
    presentations: Sequence[Presentation],
    *,
    scorer: LiveScorer,
    find_face: FaceFinder,
    name: str,
    threshold: float,
    rule: Rule = "median",
    reporter: Reporter | None = None,
) -> PadResult:
    """Score every clip, decide on it once, tell the rates.

    Args:
        presentations: The clips.
        scorer: Passive liveness.
        find_face: Finds the face to be scored.
        name: What to call the scorer.
        threshold: P(live), 0..1, from which a clip counts as bona fide.
        rule: How the frames of a clip are joined.
        reporter: Who is told how far it is.

    Raises:
        UsageError: No clips, or a threshold outside 0..1.
        PhotoError, CameraError: A file cannot be read; nothing is told then.
        ModelError: A model failed.
    """
    _check_threshold(threshold)
    started = time.monotonic()
    reporter = reporter or Silent()
    clips = []
    reporter.begin("clips", total=len(presentations), done=0)
    try:
        for presentation in presentations:
            frames, scores = 0, []
            for image in frames_of(presentation):
                frames += 1
                box = find_face(image)
                score = math.nan if box is None else scorer(image, box)
                if math.isfinite(score):
                    scores.append(_probability(score, name=name))
            clips.append(decide(presentation, frames=frames, scores=scores, threshold=threshold, rule=rule))
            reporter.at(len(clips))
    finally:
        reporter.end()
    return summarise(clips, name=name, threshold=threshold, rule=rule, elapsed_s=time.monotonic() - started)


def decide(
    presentation: Presentation, *, frames: int, scores: Sequence[float], threshold: float, rule: Rule
) -> ClipDecision:
    """One decision per clip; a clip without any score gets no response."""
    joined = _JOIN[rule](scores) if scores else None
    if joined is None:
        decision: Literal["bona_fide", "attack", "no_response"] = "no_response"
    else:
        decision = "bona_fide" if math.isfinite(joined) and joined >= threshold else "attack"
    return ClipDecision(
        subject=presentation.subject,
        clip=presentation.clip,
        species=presentation.species,
        frames=frames,
        scored=len(scores),
        score=joined,
        decision=decision,
    )


def summarise(clips: Sequence[ClipDecision], *, name: str, threshold: float, rule: Rule, elapsed_s: float) -> PadResult:
    """All rates of decided clips. Raises UsageError for none, or a threshold outside 0..1."""
    if not clips:
        raise UsageError("there are no presentations to judge", hint="the manifest needs a row per clip or frame")
    _check_threshold(threshold)
    bona_fide = [clip for clip in clips if clip.species is None]
    answered = [clip for clip in bona_fide if clip.decision != "no_response"]
    figures = tuple(
        _species([clip for clip in clips if clip.species == kind], kind)
        for kind in sorted({clip.species for clip in clips if clip.species is not None})
    )
    rated = [(each.apcer.value, each.species) for each in figures if each.apcer.value is not None]
    worst_apcer, worst = max(rated, default=(None, None))
    bpcer = _rate(answered, lambda clip: clip.decision == "attack")
    return PadResult(
        scorer=name,
        threshold=threshold,
        rule=rule,
        species=figures,
        worst=worst,
        worst_apcer=worst_apcer,
        bpcer=bpcer,
        bpnrr=_rate(bona_fide, lambda clip: clip.decision == "no_response"),
        turned_away=_rate(bona_fide, lambda clip: clip.decision != "bona_fide"),
        acer=(worst_apcer + bpcer.value) / 2 if worst_apcer is not None and bpcer.value is not None else None,
        subjects=tuple(
            _subject([clip for clip in clips if clip.subject == subject], subject)
            for subject in sorted({clip.subject for clip in clips})
        ),
        clips=tuple(clips),
        elapsed_s=elapsed_s,
    )


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise UsageError(f"the threshold {threshold} is not a probability", hint="give a number from 0 to 1")


def _probability(score: float, *, name: str) -> float:
    """In half precision three probabilities may sum to a hair more than 1. Raises ModelError for anything else."""
    if not -_ROUNDING <= score <= 1 + _ROUNDING:
        raise ModelError(f"{name} gave {score}, which is no probability", hint="build the pack again")
    return min(max(score, 0.0), 1.0)


def _species(clips: Sequence[ClipDecision], species: str) -> SpeciesFigures:
    answered = [clip for clip in clips if clip.decision != "no_response"]
    return SpeciesFigures(
        species=species,
        presentations=len(clips),
        subjects=len({clip.subject for clip in clips}),
        apcer=_rate(answered, lambda clip: clip.decision == "bona_fide"),
        apnrr=_rate(clips, lambda clip: clip.decision == "no_response"),
    )


def _subject(clips: Sequence[ClipDecision], subject: str) -> SubjectFigures:
    bona_fide = [clip for clip in clips if clip.species is None]
    attacks = [clip for clip in clips if clip.species is not None]
    return SubjectFigures(
        subject=subject,
        bona_fide=len(bona_fide),
        bona_fide_rejected=sum(clip.decision == "attack" for clip in bona_fide),
        attacks=len(attacks),
        attacks_accepted=sum(clip.decision == "bona_fide" for clip in attacks),
        no_response=sum(clip.decision == "no_response" for clip in clips),
    )


def _rate(clips: Sequence[ClipDecision], is_event: Callable[[ClipDecision], bool]) -> Rate:
    number = {subject: place for place, subject in enumerate(sorted({clip.subject for clip in clips}))}
    return rate_of(
        np.array([is_event(clip) for clip in clips], np.bool_),
        subjects=np.array([number[clip.subject] for clip in clips], np.int64),
    )
