"""What an evaluation found: frozen values that become one JSON file, and tables that become CSV files.

Every rate carries the counts behind it and an interval; a rate without trials is ``null``, never 0. Nothing in here is
NaN or infinite: JSON knows neither.
"""

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


# ---- Verification


class Confusion(Result):
    """Decisions against the truth; positive is "the same person"."""

    true_positive: Count
    false_positive: Count
    true_negative: Count
    false_negative: Count


class OperatingFigures(Result):
    """Everything that follows from one threshold."""

    threshold: float
    """Cosine from which two faces match."""
    accuracy: Share
    precision: Share | None
    """Null where nothing matched."""
    recall: Share | None
    """Null without genuine pairs."""
    f1: Share | None
    confusion: Confusion
    far: Rate
    """False accepts among impostor pairs."""
    frr: Rate
    """False rejects among genuine pairs."""


class TarAtFar(Result):
    """How many genuine pairs match where at most ``target_far`` of the impostor pairs do."""

    target_far: Share
    threshold: float | None
    """The lowest score at which the target is kept; null where even the highest score breaks it."""
    far: Rate
    """What is really reached there."""
    tar: Rate
    resolved: bool
    """Whether one impostor pair is at most the target: without, the figure says only that no impostor was accepted."""


class Fold(Result):
    """One fold, judged at the threshold that was best on all the others."""

    number: Count
    pairs: Count
    threshold: float
    accuracy: Share


class Folds(Result):
    """Cross-validated accuracy, as is customary for LFW (Huang et al. 2007, view 2)."""

    accuracy: Share
    """Mean over the folds."""
    standard_error: Annotated[float, Field(ge=0)]
    """Standard deviation over the folds (n - 1) divided by the square root of their number."""
    folds: tuple[Fold, ...]


class ErrorCurve(Result):
    """FAR and FRR over the threshold, highest threshold first; three columns of one length."""

    threshold: tuple[float, ...]
    far: tuple[Share, ...]
    frr: tuple[Share, ...]


class Histogram(Result):
    """How scores are distributed; bin i runs from ``edges[i]`` to ``edges[i + 1]``."""

    edges: tuple[float, ...]
    genuine: tuple[Count, ...]
    impostor: tuple[Count, ...]


class VerificationFigures(Result):
    """All figures of one set of scored pairs."""

    genuine: Count
    impostor: Count
    without_score: Count
    """Pairs that cannot be compared (no face, or a score that is not a number): they never match."""
    folds: Folds | None
    """Null where the pairs come without folds."""
    auc: Share | None
    """Area under the ROC curve; a pair without score ranks below every score."""
    eer: Share | None
    """Where FAR and FRR cross, interpolated."""
    at_threshold: OperatingFigures
    """At the threshold that the caller named: the pack's, which may be meant for templates of several photographs and
    for votes of several frames; single pictures against single pictures do worse."""
    at_best: OperatingFigures
    """At the threshold of the best accuracy on these very pairs: flattering, see ``folds``."""
    tar_at_far: tuple[TarAtFar, ...]
    curve: ErrorCurve
    histogram: Histogram


class MirrorGain(Result):
    """What averaging chip and mirrored chip brings: the same pairs scored without the mirrored chip."""

    without: VerificationFigures
    best_accuracy: float
    """Gain in accuracy at the best threshold, as a share (0.004 is 0.4 points)."""
    fold_accuracy: float | None
    auc: float | None
    eer: float | None
    """Below 0 where the mirrored chip lowers the equal error rate."""
    tar: tuple[float, ...]
    """Gains of ``tar_at_far``, one by one."""


class Acquisition(Result):
    """Pictures in which no face was found, or none that the door would compare."""

    pictures: Rate
    """Failure to acquire."""
    genuine_pairs: Count
    impostor_pairs: Count
    """Pairs with at least one such picture."""
    refused_at_door: Count
    """Pictures whose face the door's own gates (size, sharpness, exposure, pose) would not compare."""
    files: tuple[str, ...]
    """The first of them, by name."""


class VerificationResult(Result):
    """One person against one: `evaluate verification`."""

    kind: Literal["verification"] = "verification"
    source: Source
    pairs_file: str
    gates: Gates = "none"
    all_pairs: VerificationFigures
    """FAR and FRR: a picture without a face fails its genuine pair."""
    detected_pairs: VerificationFigures | None
    """FMR and FNMR: only pairs with two faces; null where there are none of one kind."""
    acquisition: Acquisition
    mirror_gain: MirrorGain | None
    effort: Effort


# ---- Identification


class FnirAtFpir(Result):
    """How many enrolled people are missed where at most ``target_fpir`` of the strangers are taken for somebody."""

    target_fpir: Share
    threshold: float | None
    fpir: Rate
    fnir: Rate
    resolved: bool
    """Whether one stranger is at most the target."""


class IdentificationAt(Result):
    """One threshold."""

    threshold: float
    fpir: Rate
    fnir: Rate


class IdentificationCurve(Result):
    """FPIR and FNIR over the threshold, highest first; three columns of one length."""

    threshold: tuple[float, ...]
    fpir: tuple[Share, ...]
    fnir: tuple[Share, ...]


class IdentificationResult(Result):
    """One person against everybody enrolled, strangers among the probes: `evaluate identification`."""

    kind: Literal["identification"] = "identification"
    source: Source
    gates: Gates = "none"
    people: Count
    """N: people of the gallery who could be enrolled."""
    not_enrolled: Rate
    """Failure to enrol: people of the gallery without one usable photograph; their probes count as missed."""
    photos_per_person: Count
    """At most so many photographs make a template."""
    mated: Count
    """Probes of people of the gallery."""
    strangers: Count
    """Probes of other people."""
    mated_without_face: Count
    strangers_without_face: Count
    rank1: Rate
    """Mated probes whose best candidate is the right person, whatever the score."""
    at_threshold: IdentificationAt
    fnir_at_fpir: tuple[FnirAtFpir, ...]
    curve: IdentificationCurve
    effort: Effort


# ---- Presentation attack detection


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


# ---- Detection


class DetectionBin(Result):
    """Faces of one size."""

    from_px: Annotated[float, Field(ge=0)]
    to_px: Annotated[float, Field(gt=0)] | None
    """Null: without limit."""
    recall: Rate
    eye_error: Annotated[float, Field(ge=0)] | None
    """Median distance of the found eyes from the true ones, in distances between the eyes; null where not known."""
    eye_error_p90: Annotated[float, Field(ge=0)] | None


class DetectionResult(Result):
    """How large a face must be to be found: `evaluate detection`."""

    kind: Literal["detection"] = "detection"
    detector: str
    measured: Literal["annotations", "sweep"]
    size: Literal["face_width", "eye_distance"]
    """What ``from_px`` and ``to_px`` measure."""
    min_overlap: Share
    """Intersection over union from which a detection is the annotated face."""
    pictures: Count
    faces: Count
    recall: Rate
    false_positives: Count
    false_positives_per_picture: Annotated[float, Field(ge=0)] | None
    bins: tuple[DetectionBin, ...]
    elapsed_s: Annotated[float, Field(ge=0)]


# ---- Latency


class LatencyRow(Result):
    """One model in one precision on one backend with so many threads."""

    label: str
    model: str
    precision: str
    backend: str
    threads: Count
    batch: Count
    runs: Count
    median_ms: Annotated[float, Field(ge=0)]
    p10_ms: Annotated[float, Field(ge=0)]
    p90_ms: Annotated[float, Field(ge=0)]
    ratio: Annotated[float, Field(ge=0)] | None
    """Median of the reference (FP32, same model, backend and threads) over this one: 2 is twice as fast."""


class LatencyResult(Result):
    """How long models take, interleaved in one run: `evaluate latency`. Only ratios carry over to other machines."""

    kind: Literal["latency"] = "latency"
    machine: str
    warm_up: Count
    rounds: Count
    inputs: Count
    """Different real inputs that took turns."""
    rows: tuple[LatencyRow, ...]
    elapsed_s: Annotated[float, Field(ge=0)]


EvaluationResult = VerificationResult | IdentificationResult | PadResult | DetectionResult | LatencyResult
