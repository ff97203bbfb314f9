"""Which artefacts may be made, and by whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from device.errors import PackError
from device.vision.manifest import Precision
from export_tools.cards import MODELS_DIRECTORY, ModelCard, load_pack_card
from export_tools.precision.artefact import make_artefact, make_excluded_for_measuring
from export_tools.precision.calibration import record_ranges
from tests.export_tools import precision_models as small

ROOT = MODELS_DIRECTORY.parent


@pytest.fixture
def card() -> ModelCard:
    """The detector of `door`, which may not run in INT8."""
    return load_pack_card("door")[0].models["detector"]


@pytest.mark.parametrize("precision", ["int8-u8", "int8-s8"])
def test_an_excluded_precision_is_made_for_measuring_only(card: ModelCard, precision: Precision) -> None:
    """A build is refused with the one sentence of the description, given ranges or not."""
    net = small.residual_net()
    ranges = record_ranges(net, small.inputs(4), name="small", description="noise")
    with pytest.raises(PackError, match="is not built as int8") as caught:
        make_artefact(card, net, precision, ranges=ranges)
    assert caught.value.reason == "precision"
    assert caught.value.message == card.exclusion(precision) == card.refusal(precision, target="onnxruntime")
    assert make_excluded_for_measuring(card, net, precision, ranges=ranges) != net


def test_what_is_not_excluded_is_not_made_by_the_back_door(card: ModelCard) -> None:
    """There is one way to each artefact."""
    with pytest.raises(PackError, match="is not excluded"):
        make_excluded_for_measuring(card, small.residual_net(), "fp16")


def test_nobody_but_the_report_makes_excluded_artefacts() -> None:
    """No module that writes a pack so much as imports the function."""
    users = [
        path.relative_to(ROOT).as_posix()
        for folder in ("device", "export_tools")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if _imports(path, "make_excluded_for_measuring")
    ]
    assert users == ["export_tools/report/runner.py"]


def _imports(path: Path, name: str) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        alias.name == name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    )


def test_reasons_for_an_exclusion_hold_no_figures_that_could_go_stale() -> None:
    """The report measures them; `INT8` is a name."""
    for name in ("door", "door-plus"):
        for model in load_pack_card(name)[0].models.values():
            for reason in model.excluded.values():
                assert not any(letter.isdigit() for letter in reason.replace("INT8", ""))
