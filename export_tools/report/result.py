"""What a report of packs found: frozen values that become one JSON file, and from it the page, without measuring again.

The parts follow :mod:`export_tools.evaluate.results`: no unknown keys, no NaN, null where something was not measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError, model_validator

from device.errors import UsageError
from device.vision.manifest import Precision, Role, Target
from export_tools.evaluate.results.common import Count, Result, Share
from export_tools.evaluate.results.latency import LatencyRow
from export_tools.whole import read_limited

_MAX_BYTES: Final = 16 << 20

NotNegative = Annotated[float, Field(ge=0)]


class Library(Result):
    """One piece of software behind the figures."""

    name: str
    version: str


class Machine(Result):
    """Where it was measured."""

    processor: str
    architecture: str
    cores: Count
    """Processors that this process may use."""
    flags: tuple[str, ...]
    """Of the processor's features, those that decide about the speed of the precisions."""
    system: str
    libraries: tuple[Library, ...]


class Backend(Result):
    """One runtime, and whether it was measured."""

    name: Target
    measured: bool
    note: str
    """Its version, or why it did not run."""


class HeldOut(Result):
    """What the artefacts are compared on: seen by no calibration of this split."""

    description: str
    sources: Count
    """Photographs and clips."""
    pictures: Count
    calibration_sources: Count
    """Photographs and clips on the other side of the split."""


class Conversion(Result):
    """The FP32 file against the runtime that the model was published for."""

    runtime: str
    max_abs: NotNegative
    reach: NotNegative
    """What the outputs reach."""
    set: str
    """What both were run on."""


class Distribution(Result):
    """One error per input; bin i runs from ``edges[i]`` to ``edges[i + 1]``, the first also holds everything below."""

    edges: tuple[NotNegative, ...]
    counts: tuple[Count, ...]

    @model_validator(mode="after")
    def _bins(self) -> Distribution:
        if len(self.edges) != len(self.counts) + 1 or list(self.edges) != sorted(self.edges):
            raise ValueError("edges must rise and be one more than the counts")
        return self


class OutputError(Result):
    """How far one output moved."""

    name: str
    max_abs: NotNegative
    mean_abs: NotNegative
    span: NotNegative
    """Greatest minus least value that FP32 gave."""


class EmbeddingError(Result):
    """Cosine between each embedding and its FP32 twin."""

    embeddings: Count
    cosine_mean: float
    cosine_min: float


class DetectionError(Result):
    """Faces that FP32 finds, found again."""

    reference: Count
    lost: Count
    invented: Count
    iou_mean: Share | None
    """Null without a pair."""
    iou_min: Share | None
    score_max: Share


class PointsError(Result):
    """Landmarks moved, in percent of the distance between the outer corners of the eyes."""

    faces: Count
    mean_percent: NotNegative
    max_percent: NotNegative


class LivenessError(Result):
    """Probability of a live face moved."""

    faces: Count
    max_change: Share
    flipped: Count
    """Faces that came to lie on the other side of 0.5."""


class Drift(Result):
    """An artefact against FP32 on the held-out inputs; parts that do not belong to its role are null."""

    inputs: Count
    outputs: tuple[OutputError, ...]
    distribution: Distribution
    """The embedder: 1 - cosine. Every other model: greatest change of any output as a share of that output's span."""
    embedding: EmbeddingError | None = None
    detection: DetectionError | None = None
    points: PointsError | None = None
    liveness: LivenessError | None = None


class PrecisionFigures(Result):
    """One model at one precision."""

    precision: Precision
    excluded: str | None
    """Why no pack holds it; null where packs may. Where it can be made it is measured all the same, so that the reason
    can be seen; all other parts are null where it cannot."""
    size_bytes: Count | None = None
    sha256: str | None = None
    drift: Drift | None = None
    latency: tuple[LatencyRow, ...] = ()

    def speed(self, backend: Target) -> float | None:
        """How many times as fast as FP32; None where it did not run there."""
        return next((row.ratio for row in self.latency if row.backend == backend), None)


class ModelFigures(Result):
    """One model at every precision; packs may share it."""

    name: str
    role: Role
    family: str
    parameters: Count
    licence: str
    conversion: Conversion | None
    """Null where nobody compared."""
    ranges: str | None
    """What the activation ranges of INT8 were recorded from; null where there are none."""
    precisions: tuple[PrecisionFigures, ...]

    def at(self, precision: Precision) -> PrecisionFigures:
        """The figures of one precision. Raises UsageError where the result holds none."""
        for figures in self.precisions:
            if figures.precision == precision:
                return figures
        raise UsageError(
            f"the result holds no {precision} of {self.name}", hint="measure again: doorward-export report"
        )


class AlignmentFigures(Result):
    """How well five landmarks of the held-out faces fit the template of the embedder's chip."""

    template: str
    faces: Count
    residual_median_px: NotNegative
    """Root mean square distance of a face's points from the template, in pixels of the chip."""
    residual_p90_px: NotNegative
    side_px: Count


class PairFigures(Result):
    """The demo's photographs of two people at one precision; one face each."""

    precision: Precision
    mirrored: bool
    """Whether chip and mirrored chip are averaged, as the door does."""
    same: Count
    """Pairs of one person."""
    different: Count
    least_same: float
    """Least cosine among them."""
    greatest_different: float


class Choice(Result):
    """What one target runs, and why."""

    role: Role
    model: str
    target: Target
    precision: Precision
    reason: str


class PackFigures(Result):
    """One pack."""

    pack: str
    choices: tuple[Choice, ...]
    alignment: AlignmentFigures | None
    pairs: tuple[PairFigures, ...]
    match_cosine: float | None
    """From where two faces match; null where the embedder was never calibrated."""


class ReportResult(Result):
    """Both packs on one machine: `doorward-export report`."""

    kind: Literal["report"] = "report"
    format: Literal[1] = 1
    measured_on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    command: str
    elapsed_s: NotNegative
    machine: Machine
    threads: Count
    warm_up: Count
    rounds: Count
    backends: tuple[Backend, ...]
    held_out: HeldOut
    models: tuple[ModelFigures, ...]
    packs: tuple[PackFigures, ...]

    def model(self, name: str) -> ModelFigures:
        """The figures of one model. Raises UsageError where the result holds none."""
        for figures in self.models:
            if figures.name == name:
                return figures
        raise UsageError(f"the result holds no model {name}", hint="measure again: doorward-export report")


def read_report(path: Path) -> ReportResult:
    """A result that `doorward-export report --json` wrote. Raises NotFoundError, UsageError."""
    data = read_limited(path, limit=_MAX_BYTES, hint="measure again: doorward-export report")
    try:
        return ReportResult.model_validate_json(data)
    except ValidationError as exc:
        first = exc.errors()[0]
        if first["type"] == "json_invalid":
            raise UsageError(
                f"{path} is no result of a report: it is no JSON",
                hint="name a result that doorward-export report --json wrote",
            ) from exc
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UsageError(
            f"{path} is no result of a report: {place}: {first['msg']}", hint="measure again: doorward-export report"
        ) from exc
