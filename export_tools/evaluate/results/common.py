"""What all results share: counts, rates with their intervals, and where they come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Gates = Literal["none", "door"]
"""Whether a face that the door's quality gates refuse counts as one that was not found."""


class Result(BaseModel):
    """Base of everything in a result: frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Interval(Result):
    """Where a rate lies with 95 % confidence."""

    lower: Share
    upper: Share
    method: Literal["clopper-pearson", "rule-of-three", "subject-bootstrap"]


class Rate(Result):
    """``count`` events in ``trials`` trials."""

    count: Count
    trials: Count
    value: Share | None
    """count / trials; null without trials."""
    interval: Interval | None
    """Over trials, as if they were independent; null without trials."""
    by_subject: Interval | None = None
    """Over people, drawn with all their trials: the honest one where a person has several; null where not measured."""


class Source(Result):
    """What made the scores."""

    pack: str
    embedder: str
    """Model id of the embedder."""
    precision: str
    scoring: str
    """The rule by which a score is made, in words."""
    identity: str
    """SHA-256 over models and pipeline: results of the same value may be compared picture by picture."""


class Effort(Result):
    """What it took."""

    pictures: Count
    cached: Count
    """Pictures whose embedding came from the cache."""
    elapsed_s: Annotated[float, Field(ge=0)]
    workers: Count
