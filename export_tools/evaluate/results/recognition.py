"""Verification and identification: what comparing faces was found to do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from export_tools.evaluate.results.common import Count, Effort, Gates, Rate, Result, Share, Source


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
