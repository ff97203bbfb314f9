"""Results in a few lines, for the person before the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from export_tools.evaluate.results.any import EvaluationResult
from export_tools.evaluate.results.common import Rate
from export_tools.evaluate.results.detection import DetectionResult
from export_tools.evaluate.results.latency import LatencyResult
from export_tools.evaluate.results.pad import PadResult
from export_tools.evaluate.results.recognition import (
    IdentificationResult,
    OperatingFigures,
    VerificationFigures,
    VerificationResult,
)


def told(result: EvaluationResult) -> Iterator[str]:
    """What was found, line by line."""
    if isinstance(result, VerificationResult):
        yield from _verification(result)
    elif isinstance(result, IdentificationResult):
        yield from _identification(result)
    elif isinstance(result, PadResult):
        yield from _pad(result)
    elif isinstance(result, DetectionResult):
        yield from _detection(result)
    else:
        yield from _latency(result)


def percent(rate: Rate) -> str:
    """A rate with what is behind it."""
    if rate.value is None or rate.interval is None:
        return "not measured"
    low, high = rate.interval.lower, rate.interval.upper
    return f"{_share(rate.value)} ({rate.count} of {rate.trials}; 95 %: {_share(low)} to {_share(high)})"


def _share(value: float) -> str:
    return f"{100 * value:.2f} %"


def _maybe(value: float | None) -> str:
    return "not measured" if value is None else _share(value)


def _verification(result: VerificationResult) -> Iterator[str]:
    figures, effort = result.all_pairs, result.effort
    yield (
        f"verification  {figures.genuine} genuine and {figures.impostor} impostor pairs, {effort.pictures} pictures"
        f" ({effort.cached} cached), {effort.elapsed_s:.1f} s"
    )
    yield f"embedder      {result.source.embedder} of the pack {result.source.pack}"
    yield f"no face       {percent(result.acquisition.pictures)}; {result.acquisition.refused_at_door} poor for a door"
    yield "all pairs (FAR, FRR: a picture without a face fails its pair)"
    yield from _figures(figures)
    if result.detected_pairs is not None and figures.without_score:
        yield "pairs with two faces (FMR, FNMR)"
        yield from _figures(result.detected_pairs)
    gain = result.mirror_gain
    if gain is not None:
        accuracy = gain.best_accuracy if gain.fold_accuracy is None else gain.fold_accuracy
        parts = [f"accuracy {100 * accuracy:+.2f}"]
        parts += [
            f"TAR at FAR {point.target_far:g} {100 * more:+.2f}"
            for point, more in zip(figures.tar_at_far, gain.tar, strict=True)
        ]
        yield f"mirrored chip {', '.join(parts)} points"


def _figures(figures: VerificationFigures) -> Iterator[str]:
    if figures.folds is not None:
        folds = figures.folds
        error = _share(folds.standard_error)
        yield f"  {len(folds.folds)}-fold accuracy {_share(folds.accuracy)}, standard error {error}"
    yield f"  AUC {_maybe(figures.auc)}, EER {_maybe(figures.eer)}"
    for point in figures.tar_at_far:
        too_few = "" if point.resolved else "; too few impostor pairs to tell"
        yield f"  TAR at FAR {point.target_far:g}: {percent(point.tar)}{too_few}"
    yield from _operating("at the threshold", figures.at_threshold)
    yield from _operating("at the best one ", figures.at_best)


def _operating(name: str, figures: OperatingFigures) -> Iterator[str]:
    confusion = figures.confusion
    yield (
        f"  {name} {figures.threshold:.4f}: accuracy {_share(figures.accuracy)}, precision {_maybe(figures.precision)},"
        f" recall {_maybe(figures.recall)}, F1 {_maybe(figures.f1)}; TP {confusion.true_positive}"
        f" FP {confusion.false_positive} TN {confusion.true_negative} FN {confusion.false_negative}"
    )
    yield f"    FAR {percent(figures.far)}, FRR {percent(figures.frr)}"


def _identification(result: IdentificationResult) -> Iterator[str]:
    yield (
        f"identification {result.people} people, {result.mated} probes of them, {result.strangers} of strangers,"
        f" {result.effort.elapsed_s:.1f} s"
    )
    yield f"embedder       {result.source.embedder} of the pack {result.source.pack}"
    yield f"not enrolled   {percent(result.not_enrolled)}"
    yield f"without face   {result.mated_without_face} of enrolled people, {result.strangers_without_face} of strangers"
    yield f"rank 1         {percent(result.rank1)}"
    for point in result.fnir_at_fpir:
        too_few = "" if point.resolved else "; too few strangers to tell"
        yield f"FNIR at FPIR {point.target_fpir:g}: {percent(point.fnir)}{too_few}"
    at = result.at_threshold
    yield f"at the threshold {at.threshold:.4f}: FPIR {percent(at.fpir)}, FNIR {percent(at.fnir)}"


def _pad(result: PadResult) -> Iterator[str]:
    yield f"attacks  {len(result.clips)} clips, {result.rule} of the frames, P(live) from {result.threshold:g}"
    for each in result.species:
        yield f"APCER {each.species}: {percent(each.apcer)}; no response {percent(each.apnrr)}"
    yield f"worst    {result.worst or 'not measured'}, APCER {_maybe(result.worst_apcer)}"
    yield f"BPCER    {percent(result.bpcer)}; no response {percent(result.bpnrr)}"
    yield f"ACER     {_maybe(result.acer)}"


def _detection(result: DetectionResult) -> Iterator[str]:
    yield f"detection  {result.detector}, {result.faces} faces in {result.pictures} pictures, {result.elapsed_s:.1f} s"
    for each in result.bins:
        if each.recall.trials:
            limit = "and more" if each.to_px is None else f"to {each.to_px:g}"
            eyes = "" if each.eye_error is None else f"; eyes off by {_share(each.eye_error)} of their distance"
            yield f"{each.from_px:g} {limit} px: {percent(each.recall)}{eyes}"
    yield f"false positives {result.false_positives}"


def _latency(result: LatencyResult) -> Iterator[str]:
    yield f"latency  {result.rounds} rounds in turns, {result.machine}"
    for row in result.rows:
        ratio = "" if row.ratio is None else f", {row.ratio:.2f} x as fast as FP32"
        yield f"{row.label}: {row.median_ms:.3f} ms ({row.p10_ms:.3f} to {row.p90_ms:.3f}){ratio}"
