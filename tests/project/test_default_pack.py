"""Which built pack the tests take: the project's own, never one that an owner has made other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import is_default_door


def _copied(door_state: Path, state: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    tree = json.loads((door_state / "packs" / "door" / "manifest.json").read_bytes())
    change(tree)
    (state / "packs" / "door").mkdir(parents=True)
    (state / "packs" / "door" / "manifest.json").write_text(json.dumps(tree))
    return state


def test_the_pack_of_the_default_recipe_is_taken(door_state: Path) -> None:
    """Wherever it was found or built."""
    assert is_default_door(door_state)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.update(inputs_sha256="0" * 64),
        lambda tree: tree["thresholds"].update(match_cosine=0.99),
        lambda tree: tree.clear(),
    ],
    ids=["another recipe", "calibrated", "no manifest"],
)
def test_an_owners_pack_is_left_alone(
    door_state: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """`build --precision embedder=int8-s8` in the checkout must not fail tests of the FP32 network."""
    assert not is_default_door(_copied(door_state, tmp_path, change))


def test_a_state_without_a_pack_is_no_default_door(tmp_path: Path) -> None:
    """Before anything was built."""
    assert not is_default_door(tmp_path)
