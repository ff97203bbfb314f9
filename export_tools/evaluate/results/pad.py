"""Presentation attack detection: what was found about attacks and about people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from export_tools.evaluate.results.common import Count, Rate, Result, Share


class ClipDecision(Result):
    """One presentation."""

    subject: str
    clip: str
    species: str | None
    """Attack type; null where it is bona fide."""
    frames: Count
    scored: Count
    """Frames in which a face could be scored."""
    score: Share | None
    """P(live), frames joined; null where no frame could be scored."""
    decision: Literal["bona_fide", "attack", "no_response"]


class SpeciesFigures(Result):
    """One attack type."""

    species: str
    presentations: Count
    subjects: Count
    apcer: Rate
    """Attacks taken for bona fide, among those that got a response."""
    apnrr: Rate
    """Attacks without a response, among all."""


class SubjectFigures(Result):
    """One person's presentations."""

    subject: str
    bona_fide: Count
    bona_fide_rejected: Count
    attacks: Count
    attacks_accepted: Count
    no_response: Count


class PadResult(Result):
    """Presentation attack detection: `evaluate pad`. The unit is the clip, never the frame."""

    kind: Literal["pad"] = "pad"
    scorer: str
    threshold: Share
    """P(live) from which a clip counts as bona fide."""
    rule: Literal["median", "mean", "min"]
    """How the scores of the frames of a clip become one."""
    species: tuple[SpeciesFigures, ...]
    worst: str | None
    """The attack type with the highest APCER; null where no attack got a response."""
    worst_apcer: Share | None
    bpcer: Rate
    """Bona fide presentations taken for attacks, among those that got a response."""
    bpnrr: Rate
    """Bona fide presentations without a response, among all."""
    turned_away: Rate
    """Bona fide presentations that were rejected or got no response, among all."""
    acer: Share | None
    """Mean of the worst APCER and BPCER; customary in competitions, not a metric of the standard."""
    subjects: tuple[SubjectFigures, ...]
    clips: tuple[ClipDecision, ...]
    elapsed_s: Annotated[float, Field(ge=0)]
