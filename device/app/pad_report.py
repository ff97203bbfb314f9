"""The report on a walk: what was tried, under which settings, and what came of it.

Scores are in it; no picture, no template, no name and no handle. :mod:`device.app.pad_seal` writes, signs and reads it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from device.app.pad_figures import Figures, figures_of
from device.app.pad_settings import Settings
from device.app.pad_test import Outcome, TryResult, Walk
from device.audit.entry import json_number
from device.types import Decision, LivenessEvidence

#: Version of the report's form.
FORM: Final = 2
#: How each try was judged, for whoever reads the report.
METHOD: Final = (
    "Each try was judged alone, by the door's own rules: a door also remembers faces and locks out, and refuses more.",
    "No relay was constructed: the door was not opened, whatever a try came to.",
    "APCER, IAPAR and BPCER are of tries with a response: a frame of them was compared. The others are of all tries.",
    "A door with stricter gates answers fewer attacks: read APCER beside APNRR.",
    "Whoever may run this test can read the device's key, and so sign any report.",
    "The signature shows whose key signed, and that nothing was changed since; not that the tries were made as told.",
    "The device's audit log has each walk's start before its first try, and each end with counts and report's SHA-256.",
    "`doorward pad-report` on the device itself looks there for this report; ask for those of earlier walks too.",
    "Bounds are Clopper and Pearson's at 95 %, one-sided where nothing or everything was counted.",
)

Number = float | Literal["not_finite"] | None
Positive = Annotated[int, Field(ge=1, le=2**53 - 1)]
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    """A part of the report: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelRow(_Strict):
    """One model that was in use."""

    role: str
    model_id: str
    sha256: Hex32


class EarlierRow(_Strict):
    """The tries of one species in all earlier walks that came to an end."""

    species: str
    tries: int
    no_response: int
    alive: int


class WalkRow(_Strict):
    """Which walk of the device this is, as its audit log counts them; rendered walks are counted by themselves.

    ``number`` is 1 for the first. Of the earlier ones ``earlier_reported`` ended with a report, ``earlier_untried``
    before a first try. ``start_seq`` and ``start_sha256`` are number and hash of the entry about this walk's start;
    ``begun`` is more than there are tries where one was broken off.
    """

    number: Positive
    earlier_reported: int
    earlier_untried: int
    earlier_tries: tuple[EarlierRow, ...]
    start_seq: Positive
    start_sha256: Hex32
    begun: int


class About(_Strict):
    """Where, when and under which settings the tries were made.

    ``enrolled`` tells how many people were, ``named`` whether the living were one of them by name. The three sections
    are all of their settings as they were in force; ``config_sha256`` is over the whole configuration, see
    :func:`device.app.pad_settings.config_sha256`.
    """

    form: Literal[2] = FORM
    method: tuple[str, ...] = METHOD
    public_key: Hex32
    walk: WalkRow
    made_at: str
    clock_trusted: bool
    version: str
    platform: str
    simulated: bool
    camera: str
    width: int
    height: int
    pack: str
    models: tuple[ModelRow, ...]
    config_sha256: Hex32
    liveness: Settings
    vision: Settings
    access: Settings
    threshold: float
    enrolled: int
    named: bool
    complete: bool
    planned: dict[str, int]
    skipped: dict[str, int]


class StepRow(_Strict):
    """One head turn that was asked for."""

    prompt: str
    outcome: str
    angle_deg: Number
    response_s: Number
    residual: Number
    parallax: Number
    error: Number


class TryRow(_Strict):
    """One try: outcome and scores."""

    species: str
    number: int
    outcome: Outcome
    reason: str
    granted: bool
    as_named: bool | None
    seconds: Number
    similarity: Number
    quality: tuple[str, ...]
    method: str | None
    samples: int
    passive_verdict: str | None
    passive_samples: int
    passive_median: Number
    doubts: tuple[str, ...]
    steps: tuple[StepRow, ...]


class Report(_Strict):
    """All of it; the figures are counted from the tries."""

    about: About
    figures: Figures
    tries: tuple[TryRow, ...]


def report_on(walk: Walk, about: About) -> Report:
    """The report on a walk, as far as it has come."""
    return Report(
        about=about,
        figures=figures_of(walk.results, enrolled=about.enrolled > 0),
        tries=tuple(_row(result) for result in walk.results),
    )


def _row(result: TryResult) -> TryRow:
    made: Decision = result.decision
    evidence: LivenessEvidence | None = made.liveness
    passive = evidence.passive if evidence is not None else None
    return TryRow(
        species=result.planned.species,
        number=result.planned.number,
        outcome=result.outcome,
        reason=str(made.reason),
        granted=made.granted,
        as_named=result.as_named,
        seconds=_number(result.seconds),
        similarity=_number(made.similarity),
        quality=tuple(str(reason) for reason in made.quality),
        method=evidence.method if evidence is not None else None,
        samples=evidence.samples if evidence is not None else 0,
        passive_verdict=str(passive.verdict) if passive is not None else None,
        passive_samples=passive.samples if passive is not None else 0,
        passive_median=_number(passive.median) if passive is not None else None,
        doubts=tuple(str(doubt) for doubt in evidence.doubts) if evidence is not None else (),
        steps=tuple(
            StepRow(
                prompt=str(step.prompt),
                outcome=step.outcome,
                angle_deg=_number(step.angle_deg),
                response_s=_number(step.response_s),
                residual=_number(step.residual),
                parallax=_number(step.parallax),
                error=_number(step.error),
            )
            for step in (evidence.steps if evidence is not None else ())
        ),
    )


def _number(value: float | None) -> Number:
    number = json_number(None if value is None else round(value, 6))
    return number if isinstance(number, float) or number is None else "not_finite"
