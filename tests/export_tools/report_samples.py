"""Results to make pages from: every kind, small, with figures as a measurement gives them."""

from __future__ import annotations

import numpy as np

from device.vision.manifest import Precision
from export_tools.cards import ModelCard, load_pack_card
from export_tools.evaluate.intervals import counted
from export_tools.evaluate.metrics import ScoredPairs, verification_figures
from export_tools.evaluate.pad import summarise
from export_tools.evaluate.results.any import EvaluationResult
from export_tools.evaluate.results.common import Effort, Source
from export_tools.evaluate.results.detection import DetectionBin, DetectionResult
from export_tools.evaluate.results.latency import LatencyResult, LatencyRow
from export_tools.evaluate.results.pad import ClipDecision
from export_tools.evaluate.results.recognition import (
    Acquisition,
    FnirAtFpir,
    IdentificationAt,
    IdentificationCurve,
    IdentificationResult,
    VerificationResult,
)
from export_tools.evaluate.verification import compare_mirror
from export_tools.report.conditions import Conditions
from export_tools.report.errors import EDGES
from export_tools.report.explain import explain
from export_tools.report.result import (
    AlignmentFigures,
    Backend,
    Choice,
    Distribution,
    Drift,
    EmbeddingError,
    HeldOut,
    Library,
    Machine,
    ModelFigures,
    OutputError,
    PackFigures,
    PairFigures,
    PrecisionFigures,
    ReportResult,
)


def row(precision: Precision, median_ms: float, *, model: str = "m", backend: str = "onnxruntime") -> LatencyRow:
    """One line of a latency table; FP32 takes 6 ms."""
    return LatencyRow(
        label=f"{model} {precision}",
        model=model,
        precision=precision,
        backend=backend,
        threads=1,
        batch=2,
        runs=100,
        median_ms=median_ms,
        p10_ms=0.9 * median_ms,
        p90_ms=1.3 * median_ms,
        ratio=6 / median_ms,
    )


def embedding_drift(cosine_min: float) -> Drift:
    """Errors of 84 chips in one bin."""
    counts = [0] * (len(EDGES) - 1)
    counts[int(np.searchsorted(EDGES, 1 - cosine_min)) - 1] = 84
    return Drift(
        inputs=84,
        outputs=(OutputError(name="embedding", max_abs=0.01, mean_abs=0.002, span=1.0),),
        distribution=Distribution(edges=EDGES, counts=tuple(counts)),
        embedding=EmbeddingError(embeddings=84, cosine_mean=0.9995, cosine_min=cosine_min),
    )


def embedder(name: str = "dlib-resnet29-v1") -> ModelFigures:
    """INT8 u8 is 2.7 times as fast, s8 slower, FP16 the same."""
    speeds: dict[Precision, float] = {"fp32": 6.0, "fp16": 5.95, "int8-u8": 6 / 2.7, "int8-s8": 8.0}
    drifts: dict[Precision, Drift | None] = {
        "fp32": None,
        "fp16": embedding_drift(0.999999),
        "int8-u8": embedding_drift(0.9989),
        "int8-s8": embedding_drift(0.9977),
    }
    sizes: dict[Precision, int] = {"fp32": 22_400_000, "fp16": 11_200_000, "int8-u8": 5_700_000, "int8-s8": 5_600_000}
    return ModelFigures(
        name=name,
        role="embedder",
        family="dlib-resnet",
        parameters=5_607_488,
        licence="CC0-1.0",
        conversion=None,
        ranges="a test",
        precisions=tuple(
            PrecisionFigures(
                precision=precision,
                excluded=None,
                size_bytes=sizes[precision],
                sha256="0" * 64,
                drift=drifts[precision],
                latency=(row(precision, speeds[precision], model=name),),
            )
            for precision in speeds
        ),
    )


def report(*, name: str = "dlib-resnet29-v1", command: str = "doorward-export report --packs door") -> ReportResult:
    """One pack with one model, which may be called anything."""
    card, _ = load_pack_card("door-plus")
    figures = embedder(name)
    reason = explain(card.models["embedder"], figures, target="onnxruntime", thresholds=card.thresholds)
    return ReportResult(
        measured_on="2026-01-02",
        command=command,
        elapsed_s=46.0,
        machine=Machine(
            processor="A processor",
            architecture="x86_64",
            cores=2,
            flags=("avx512_vnni",),
            system="Linux 6",
            libraries=(Library(name="onnxruntime", version="1.31.1"),),
        ),
        threads=1,
        warm_up=10,
        rounds=100,
        backends=(
            Backend(name="onnxruntime", measured=True, note="1.31.1"),
            Backend(name="tensorrt", measured=False, note="not run on this machine"),
        ),
        held_out=HeldOut(description="a test", sources=7, pictures=73, calibration_sources=15),
        models=(figures,),
        packs=(
            PackFigures(
                pack="door-plus",
                choices=(
                    Choice(role="embedder", model=name, target="onnxruntime", precision="int8-u8", reason=reason),
                    Choice(role="embedder", model=name, target="tensorrt", precision="fp16", reason="fp16: smaller"),
                ),
                alignment=AlignmentFigures(
                    template="dlib-150", faces=41, residual_median_px=3.0, residual_p90_px=4.0, side_px=150
                ),
                pairs=(
                    PairFigures(
                        precision="fp32", mirrored=True, same=3, different=3, least_same=0.96, greatest_different=0.81
                    ),
                ),
                match_cosine=0.9547,
            ),
        ),
    )


SOURCE = Source(pack="door", embedder="dlib-resnet29-v1-fp32", precision="fp32", scoring="cosine", identity="0" * 64)
EFFORT = Effort(pictures=600, cached=10, elapsed_s=12.5, workers=2)


def scored_pairs(*, shift: float = 0.0, count: int = 600) -> ScoredPairs:
    """Ten folds; a few pairs have no score."""
    draw = np.random.default_rng(7)
    genuine = np.clip(draw.normal(0.965 - shift, 0.015, count // 2), -1, 1)
    impostor = np.clip(draw.normal(0.85, 0.035, count // 2), -1, 1)
    genuine[:3] = np.nan
    return ScoredPairs(
        scores=np.concatenate([genuine, impostor]),
        same=np.arange(count) < count // 2,
        folds=np.tile(np.arange(10), count // 10),
    )


def verification(*, pairs_file: str = "pairs.txt", count: int = 600) -> VerificationResult:
    """Pairs that mostly can be told apart."""
    pairs = scored_pairs(count=count)
    figures = verification_figures(pairs, threshold=0.9312)
    without = verification_figures(scored_pairs(shift=0.01, count=count), threshold=0.9312)
    return VerificationResult(
        source=SOURCE,
        pairs_file=pairs_file,
        all_pairs=figures,
        detected_pairs=verification_figures(pairs.only(np.isfinite(pairs.scores)), threshold=0.9312),
        acquisition=Acquisition(
            pictures=counted(3, 600), genuine_pairs=3, impostor_pairs=0, refused_at_door=12, files=("a.jpg",)
        ),
        mirror_gain=compare_mirror(figures, without),
        effort=EFFORT,
    )


def identification() -> IdentificationResult:
    """A search among fifty."""
    thresholds = tuple(np.linspace(0.99, 0.8, 40).tolist())
    return IdentificationResult(
        source=SOURCE,
        people=50,
        not_enrolled=counted(1, 51),
        photos_per_person=3,
        mated=150,
        strangers=100,
        mated_without_face=2,
        strangers_without_face=1,
        rank1=counted(147, 150),
        at_threshold=IdentificationAt(threshold=0.93, fpir=counted(2, 100), fnir=counted(20, 150)),
        fnir_at_fpir=(
            FnirAtFpir(target_fpir=0.01, threshold=0.94, fpir=counted(1, 100), fnir=counted(26, 150), resolved=True),
            FnirAtFpir(target_fpir=0.001, threshold=None, fpir=counted(0, 100), fnir=counted(150, 150), resolved=False),
        ),
        curve=IdentificationCurve(
            threshold=thresholds,
            fpir=tuple(round(max(0.0, (0.95 - t) * 6.6) ** 2, 3) for t in thresholds),
            fnir=tuple(min(1.0, max(0.0, (t - 0.85) * 5)) for t in thresholds),
        ),
        effort=EFFORT,
    )


def clip(number: int, species: str | None, score: float | None) -> ClipDecision:
    """One clip, decided at one half."""
    return ClipDecision(
        subject=f"s{number % 4}",
        clip=f"c{number}.mkv",
        species=species,
        frames=30,
        scored=30 if score is not None else 0,
        score=score,
        decision="no_response" if score is None else "bona_fide" if score >= 0.5 else "attack",
    )


def pad(*, species: str = "print") -> EvaluationResult:
    """Live people, prints and replays."""
    draw = np.random.default_rng(3)
    clips = [clip(n, None, float(score)) for n, score in enumerate(draw.uniform(0.4, 1, 25))]
    clips += [clip(n, species, float(score)) for n, score in enumerate(draw.uniform(0, 0.7, 9))]
    clips += [clip(n, "replay", float(score)) for n, score in enumerate(draw.uniform(0, 0.4, 8))]
    clips.append(clip(99, "replay", None))
    return summarise(clips, name="minifasnet pair", threshold=0.5, rule="median", elapsed_s=3.0)


def detection(*, detector: str = "yunet-2026may-fp32") -> DetectionResult:
    """Faces from 30 pixels."""
    edges = (30.0, 37.0, 49.0, 74.0, 99.0, None)
    found = (31, 35, 38, 40, 40)
    return DetectionResult(
        detector=detector,
        measured="annotations",
        size="face_width",
        min_overlap=0.5,
        pictures=100,
        faces=200,
        recall=counted(sum(found), 200),
        false_positives=3,
        false_positives_per_picture=0.03,
        bins=tuple(
            DetectionBin(
                from_px=edges[place] or 0,
                to_px=edges[place + 1],
                recall=counted(found[place], 40),
                eye_error=0.11 - 0.015 * place,
                eye_error_p90=0.2 - 0.02 * place,
            )
            for place in range(5)
        ),
        elapsed_s=9.0,
    )


def latency(*, machine: str = "x86_64, Linux") -> LatencyResult:
    """Two models."""
    taken_ms: dict[Precision, float] = {"fp32": 6.0, "fp16": 5.9, "int8-u8": 2.2}
    return LatencyResult(
        machine=machine,
        warm_up=10,
        rounds=100,
        inputs=16,
        rows=tuple(row(precision, taken_ms[precision], model=model) for model in ("a", "b") for precision in taken_ms),
        elapsed_s=4.0,
    )


def evaluations() -> dict[str, EvaluationResult]:
    """One of each."""
    return {
        "verification": verification(),
        "identification": identification(),
        "pad": pad(),
        "detection": detection(),
        "latency": latency(),
    }


def conditions(*, given: str = "lfw/pairs.txt") -> Conditions:
    """An evaluation's."""
    return Conditions(
        measured_on="2026-01-02",
        pack="door-plus",
        inputs=(("--pairs", given),),
        machine=report().machine,
        command="doorward-export evaluate verification --pairs lfw/pairs.txt",
    )


def card() -> ModelCard:
    """The embedder of `door`."""
    return load_pack_card("door")[0].models["embedder"]
