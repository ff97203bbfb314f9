"""Why a target runs what it runs: each sentence follows from figures."""

from __future__ import annotations

import pytest

from device.vision.manifest import Precision
from export_tools.cards import MODELS_DIRECTORY, ModelCard, PackCard, load_pack_card
from export_tools.report.conversion import CONVERSIONS
from export_tools.report.explain import AGAINST, CHOSEN, FASTER, error_words, explain, first_clause
from export_tools.report.result import (
    DetectionError,
    Drift,
    LivenessError,
    ModelFigures,
    PointsError,
    PrecisionFigures,
)
from tests.export_tools import report_samples as samples


@pytest.fixture(scope="module")
def plus() -> PackCard:
    """The pack whose embedder runs in INT8."""
    return load_pack_card("door-plus")[0]


@pytest.fixture(scope="module")
def door() -> PackCard:
    """The pack whose embedder runs in FP32."""
    return load_pack_card("door")[0]


def with_precision(figures: ModelFigures, changed: PrecisionFigures) -> ModelFigures:
    """The same model with other figures at one precision."""
    return figures.model_copy(
        update={
            "precisions": tuple(changed if each.precision == changed.precision else each for each in figures.precisions)
        }
    )


def told(card: ModelCard, figures: ModelFigures, pack: PackCard) -> str:
    """On ONNX Runtime."""
    return explain(card, figures, target="onnxruntime", thresholds=pack.thresholds)


def test_a_faster_precision_is_explained_by_speed_and_cost(plus: PackCard) -> None:
    """In the words of the role."""
    sentence = told(plus.models["embedder"], samples.embedder(), plus)
    cost = "cosine 0.9995 on average, 0.9989 at least on 84 held-out chips"
    assert sentence.startswith(f"int8-u8: 2.7 times as fast as fp32, {cost}")
    assert "the thresholds were measured with dlib-resnet29-v1-fp32" in sentence
    assert "fp16 is not faster on this processor" in sentence
    assert "int8-s8 is slower on this processor (0.8 times as fast)" in sentence
    assert sentence.endswith(plus.models["embedder"].why["onnxruntime"])


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(1.14, "not faster than fp32 on this processor (1.1 times)"), (1.16, "1.2 times as fast as fp32")],
)
def test_a_precision_is_called_faster_only_where_it_was_measured_to_be(
    plus: PackCard, ratio: float, words: str
) -> None:
    """Chosen or not, on either side of the limit."""
    figures = samples.embedder()
    before = figures.at("int8-u8")
    row = before.latency[0].model_copy(update={"ratio": ratio})
    figures = with_precision(figures, before.model_copy(update={"latency": (row,)}))
    assert told(plus.models["embedder"], figures, plus).startswith(f"int8-u8: {words}")
    other = plus.models["embedder"].model_copy(update={"precision": {"onnxruntime": "fp32", "tensorrt": "fp16"}})
    assert ("fp16 and int8-u8 are not faster" in told(other, figures, plus)) == (ratio < FASTER)


def test_published_rates_are_those_that_are_recorded() -> None:
    """Both packs tell one story, and models/README.md the same."""
    rates = {
        "fp32": "95.4, 83.2 and 59.2 %",
        "int8": "95.4, 82.9 and 58.3 %",
    }
    for name in ("door", "door-plus"):
        why = load_pack_card(name)[0].models["embedder"].why["onnxruntime"]
        assert f"FP32 passes {rates['fp32']}" in why
        assert f"INT8 u8 {rates['int8']}" in why
    recorded = (MODELS_DIRECTORY / "README.md").read_text()
    assert "95.4 / 83.2 / 59.2 %" in recorded
    assert "95.4 / 82.9 / 58.3 %" in recorded


def test_what_would_be_faster_is_not_passed_over_in_silence(door: PackCard) -> None:
    """FP32 was chosen; INT8 would be faster, and the sentence says so and what the choice rests on."""
    sentence = told(door.models["embedder"], samples.embedder(), door)
    assert sentence.startswith("fp32: ")
    assert (
        "int8-u8 is 2.7 times as fast (cosine 0.9995 on average, 0.9989 at least on 84 held-out chips); "
        "int8-s8 is slower on this processor (0.8 times as fast); this pack keeps the form" in sentence
    )


def test_a_choice_that_no_rule_supports_is_called_that(door: PackCard) -> None:
    """Where the description says nothing, the sentence does not make something up."""
    silent = door.models["embedder"].model_copy(update={"why": {}})
    sentence = told(silent, samples.embedder(), door)
    assert "int8-u8 is 2.7 times as fast" in sentence
    assert "the pack description leaves it out" in sentence


def test_two_precisions_with_one_fate_are_told_together(door: PackCard) -> None:
    """With the verb of two."""
    figures = samples.embedder()
    for precision in ("int8-u8", "int8-s8"):
        figures = with_precision(figures, PrecisionFigures(precision=precision, excluded="it loses {every} face"))
    sentence = told(door.models["embedder"], figures, door)
    assert "int8-u8 and int8-s8 are excluded because it loses {every} face;" in sentence


def test_what_excluded_precisions_cost_stands_behind_the_reason(door: PackCard) -> None:
    """One reason, the figures of each."""
    figures = samples.embedder()
    for precision in ("int8-u8", "int8-s8"):
        changed = figures.at(precision).model_copy(update={"excluded": "it loses every face"})
        figures = with_precision(figures, changed)
    sentence = told(door.models["embedder"], figures, door)
    assert (
        "int8-u8 and int8-s8 are excluded because it loses every face (measured: "
        "int8-u8 cosine 0.9995 on average, 0.9989 at least on 84 held-out chips; "
        "int8-s8 cosine 0.9995 on average, 0.9977 at least on 84 held-out chips)" in sentence
    )


@pytest.mark.parametrize(
    ("reason", "clause"),
    [
        ("it loses faces: its weights are small", "it loses faces"),
        ("it moves P(live) by 0.18 (published: 0.39), no gain", "it moves P(live) by 0.18"),
        ("it loses faces", "it loses faces"),
        ("", ""),
    ],
)
def test_a_verdict_takes_the_first_clause_of_a_reason(reason: str, clause: str) -> None:
    """Never half a bracket."""
    assert first_clause(reason) == clause


def test_conversion_errors_are_those_that_are_recorded() -> None:
    """A report repeats models/README.md, where the measurement is told."""
    lines = (MODELS_DIRECTORY / "README.md").read_text().splitlines()
    for name, conversion in CONVERSIONS.items():
        figure = f"{conversion.max_abs:.1e}".replace("e-0", "e-")
        told = (figure, f"`{name}`", f"({conversion.reach:g})", conversion.runtime.split()[0])
        assert [line for line in lines if all(part in line for part in told)], name


def test_tensorrt_refuses_zero_points_and_is_not_called_fast_unseen(plus: PackCard) -> None:
    """It was not timed here: the reasons are size and error."""
    sentence = explain(plus.models["embedder"], samples.embedder(), target="tensorrt", thresholds=plus.thresholds)
    cost = "cosine 0.9995 on average, 1.0000 at least on 84 held-out chips"
    assert sentence.startswith(f"fp16: 11.2 instead of 22.4 MB, {cost}; not timed")
    assert "int8-u8 has zero points, which TensorRT refuses" in sentence


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (
            {"detection": DetectionError(reference=40, lost=2, invented=0, iou_mean=0.9, iou_min=0.8, score_max=0.1)},
            "int8-u8 loses 2 of the faces that fp32 finds",
        ),
        ({"liveness": LivenessError(faces=40, max_change=0.39, flipped=3)}, "int8-u8 turns 3 of the decisions"),
        ({}, "int8-u8 moves an output by up to 14 % of its range"),
    ],
)
def test_a_precision_that_does_harm_is_refused_before_it_is_called_fast(
    door: PackCard, part: dict[str, object], words: str
) -> None:
    """Lost faces, turned decisions, moved outputs weigh more than speed."""
    figures = samples.embedder()
    before = figures.at("int8-u8")
    assert before.drift is not None
    outputs = (before.drift.outputs[0].model_copy(update={"max_abs": 0.14}),)
    drift = before.drift.model_copy(update={"embedding": None, "outputs": outputs, **part})
    figures = with_precision(figures, before.model_copy(update={"drift": drift}))
    assert words in told(door.models["embedder"], figures, door)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (
            {"detection": DetectionError(reference=42, lost=1, invented=0, iou_mean=None, iou_min=None, score_max=0)},
            "41 of 42 faces found again",
        ),
        (
            {"detection": DetectionError(reference=9, lost=2, invented=3, iou_mean=0.9, iou_min=0.61, score_max=0.1)},
            "7 of 9 faces found again, 3 invented, overlap 0.900 on average, 0.610 at least",
        ),
        (
            {"points": PointsError(faces=65, mean_percent=1.13, max_percent=4)},
            "points moved by 1.1 % of the distance between the eyes on average, by 4 % at most, on 65",
        ),
        ({"liveness": LivenessError(faces=41, max_change=0.0011, flipped=0)}, "P(live) moved by at most 0.0011 on 41"),
        ({}, "greatest change 1 % of the output's range on 84 held-out inputs"),
    ],
)
def test_an_error_is_told_in_the_words_of_the_role(part: dict[str, object], words: str) -> None:
    """A cosine means nothing for a detector."""
    drift: Drift = samples.embedding_drift(0.999).model_copy(update={"embedding": None, **part})
    assert words in error_words(drift)


def test_every_list_of_rules_ends_with_one_that_always_holds() -> None:
    """There is a sentence for whatever was measured."""
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8-u8", "int8-s8")
    assert CHOSEN[-1].name == "smaller"
    assert AGAINST[-1].name == "unexplained"
    assert [each.precision for each in samples.embedder().precisions] == list(precisions)
