"""The pages of verification and identification."""

from __future__ import annotations

from typing import Final

from export_tools.evaluate.results.common import Gates
from export_tools.evaluate.results.recognition import (
    IdentificationResult,
    MirrorGain,
    OperatingFigures,
    VerificationFigures,
    VerificationResult,
)
from export_tools.report.markup import Child, Markup, element
from export_tools.report.page import listing, page, paragraph, plots, section, table
from export_tools.report.recognition_plots import (
    Curve,
    curve_of,
    histogram_plot,
    roc_plot,
    threshold_plot,
    trade_off_plot,
)
from export_tools.report.words import bounds, many, rate, share, source_entries, threshold

_GATES: Final[dict[Gates, str]] = {"none": "are compared all the same", "door": "count as not found"}

_ZERO: Final = (
    "A logarithmic axis has no place for a rate of zero: lines end where one falls to zero, and below one trial nothing"
    " is known."
)


def verification_page(result: VerificationResult, *, conditions: Markup) -> str:
    """One person against one."""
    figures, detected = result.all_pairs, result.detected_pairs
    at = figures.at_threshold
    point = (at.far.value or 0.0, at.frr.value or 0.0)
    curves = [curve_of(figures.curve, label="all pairs", impostors=figures.impostor)]
    if detected is not None:
        curves.append(curve_of(detected.curve, label="pairs with two faces", impostors=detected.impostor))
    names = ("FAR", "FRR")
    effort, lacking = result.effort, result.acquisition
    return page(
        f"Doorward verification: {result.source.embedder}",
        element("h1", "Verification"),
        paragraph(
            f"{figures.genuine:,} genuine and {figures.impostor:,} impostor pairs of {result.pairs_file}, "
            f"{effort.pictures:,} pictures.",
            soft="soft",
        ),
        table(
            ("Figure", "All pairs", "Pairs with two faces"),
            _summary(figures, detected),
        ),
        section(
            "Curves",
            plots(
                (
                    "Misses over false accepts (DET)",
                    trade_off_plot(curves, point=point, names=names, key="det"),
                ),
                ("True over false accepts (ROC)", roc_plot(curves, point=point, key="roc")),
                (
                    "Both errors over the threshold, all pairs",
                    threshold_plot(curves[0], at=at.threshold, names=names, key="errors"),
                ),
                ("Scores", histogram_plot(figures.histogram, at=at.threshold, key="scores")),
            ),
            paragraph(_ZERO, soft="soft"),
        ),
        section("At the threshold", _operating(figures.at_threshold), _confusion(figures.at_threshold)),
        section("At the threshold of the best accuracy on these very pairs", _operating(figures.at_best)),
        section("True accepts at a given rate of false accepts", _tar(figures, detected)),
        _folds(figures),
        _mirror(result.mirror_gain, figures),
        section(
            "Pictures without a face",
            listing(
                [
                    ("No face found", f"{rate(lacking.pictures)}, 95 %: {bounds(lacking.pictures)}"),
                    (
                        "Pairs with such a picture",
                        f"{lacking.genuine_pairs} genuine, {lacking.impostor_pairs} impostor",
                    ),
                    ("Too poor for a door", f"{lacking.refused_at_door} pictures"),
                    ("First of them", ", ".join(lacking.files) or "none"),
                ]
            ),
        ),
        section(
            "How it was measured",
            listing(
                [
                    *source_entries(result.source),
                    ("Faces the door would refuse", _GATES[result.gates]),
                    ("Pictures", f"{effort.pictures:,}, {effort.cached:,} of them from the cache"),
                    ("Time", f"{effort.elapsed_s:.1f} s with {many(effort.workers, 'worker')}"),
                ]
            ),
        ),
        conditions,
    )


def _summary(figures: VerificationFigures, detected: VerificationFigures | None) -> list[list[Child]]:
    def row(name: str, first: str, second: str | None) -> list[Child]:
        return [name, first, second if second is not None else "not measured"]

    def folds(found: VerificationFigures) -> str:
        if found.folds is None:
            return "the pairs have no folds"
        return f"{share(found.folds.accuracy)} ± {share(found.folds.standard_error)}"

    return [
        row("Accuracy, cross-validated", folds(figures), None if detected is None else folds(detected)),
        row("Area under the ROC curve", _plain(figures.auc), None if detected is None else _plain(detected.auc)),
        row("Equal error rate", share(figures.eer), None if detected is None else share(detected.eer)),
        row("Pairs without a score", str(figures.without_score), None if detected is None else "0"),
    ]


def _plain(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.5f}"


def _operating(at: OperatingFigures) -> Markup:
    return listing(
        [
            ("Threshold", f"{at.threshold:.4f}"),
            ("FAR", f"{rate(at.far)}, 95 %: {bounds(at.far)}"),
            ("FRR", f"{rate(at.frr)}, 95 %: {bounds(at.frr)}"),
            ("Accuracy", share(at.accuracy)),
            ("Precision", share(at.precision)),
            ("Recall", share(at.recall)),
            ("F1", share(at.f1)),
        ]
    )


def _confusion(at: OperatingFigures) -> Markup:
    counts = at.confusion
    return table(
        ("Truth", "Taken for the same person", "Taken for another"),
        [
            ["Same person", f"{counts.true_positive:,}", f"{counts.false_negative:,}"],
            ["Another person", f"{counts.false_positive:,}", f"{counts.true_negative:,}"],
        ],
        numbers=(1, 2),
    )


def _tar(figures: VerificationFigures, detected: VerificationFigures | None) -> Markup:
    rows: list[list[Child]] = [
        [
            name,
            f"{each.target_far:g}",
            threshold(each.threshold),
            rate(each.far),
            rate(each.tar),
            bounds(each.tar),
            "" if each.resolved else "fewer impostor pairs than one in this rate: it says only that none was accepted",
        ]
        for name, found in (("all", figures), ("with two faces", detected))
        if found is not None
        for each in found.tar_at_far
    ]
    return table(("Pairs", "Target FAR", "Threshold", "FAR", "TAR", "95 % of TAR", "Note"), rows, numbers=(1, 2))


def _folds(figures: VerificationFigures) -> Markup | None:
    if figures.folds is None:
        return None
    rows: list[list[Child]] = [
        [str(fold.number), f"{fold.pairs:,}", f"{fold.threshold:.4f}", share(fold.accuracy)]
        for fold in figures.folds.folds
    ]
    return section(
        "Folds",
        paragraph("Each fold is judged at the threshold that was best on all the others."),
        table(("Fold", "Pairs", "Threshold", "Accuracy"), rows, numbers=(1, 2, 3)),
    )


def _mirror(gain: MirrorGain | None, figures: VerificationFigures) -> Markup | None:
    if gain is None:
        return None

    def points(value: float | None) -> str:
        return "not measured" if value is None else f"{100 * value:+.2f} points"

    entries: list[tuple[str, Child]] = [
        ("Best accuracy", points(gain.best_accuracy)),
        ("Accuracy, cross-validated", points(gain.fold_accuracy)),
        ("Area under the ROC curve", "not measured" if gain.auc is None else f"{gain.auc:+.5f}"),
        ("Equal error rate", points(gain.eer)),
        *(
            (f"TAR at FAR {each.target_far:g}", points(change))
            for each, change in zip(figures.tar_at_far, gain.tar, strict=False)
        ),
    ]
    return section("What the mirrored chip adds", listing(entries))


def identification_page(result: IdentificationResult, *, conditions: Markup) -> str:
    """One person against everybody enrolled."""
    at, effort = result.at_threshold, result.effort
    curve = Curve(
        label="probes",
        threshold=result.curve.threshold,
        false=result.curve.fpir,
        missed=result.curve.fnir,
        trials=result.strangers,
    )
    point = (at.fpir.value or 0.0, at.fnir.value or 0.0)
    names = ("FPIR", "FNIR")
    rows: list[list[Child]] = [
        [
            f"{each.target_fpir:g}",
            threshold(each.threshold),
            rate(each.fpir),
            rate(each.fnir),
            bounds(each.fnir),
            "" if each.resolved else "fewer strangers than one in this rate: it says only that none was accepted",
        ]
        for each in result.fnir_at_fpir
    ]
    return page(
        f"Doorward identification: {result.source.embedder}",
        element("h1", "Identification"),
        paragraph(
            f"{result.people:,} people, {result.mated:,} probes of them and {result.strangers:,} of strangers.",
            soft="soft",
        ),
        listing(
            [
                ("Threshold", f"{at.threshold:.4f}"),
                ("FPIR", f"{rate(at.fpir)}, 95 %: {bounds(at.fpir)}"),
                ("FNIR", f"{rate(at.fnir)}, 95 %: {bounds(at.fnir)}"),
                ("Rank 1", f"{rate(result.rank1)}, 95 %: {bounds(result.rank1)}"),
                ("Not enrolled", rate(result.not_enrolled)),
                ("Without a face", f"{result.mated_without_face} mated, {result.strangers_without_face} of strangers"),
            ]
        ),
        section(
            "Curves",
            plots(
                ("Missed people over strangers let in", trade_off_plot([curve], point=point, names=names, key="det")),
                ("Both errors over the threshold", threshold_plot(curve, at=at.threshold, names=names, key="errors")),
            ),
            paragraph(_ZERO, soft="soft"),
        ),
        section(
            "Missed people at a given rate of strangers let in",
            table(("Target FPIR", "Threshold", "FPIR", "FNIR", "95 % of FNIR", "Note"), rows, numbers=(1,)),
        ),
        section(
            "How it was measured",
            listing(
                [
                    *source_entries(result.source),
                    ("Faces the door would refuse", _GATES[result.gates]),
                    ("Template", f"mean of at most {result.photos_per_person} photographs"),
                    ("Pictures", f"{effort.pictures:,}, {effort.cached:,} of them from the cache"),
                    ("Time", f"{effort.elapsed_s:.1f} s with {many(effort.workers, 'worker')}"),
                ]
            ),
        ),
        conditions,
    )
