"""What `check` says about a door's own calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from device.commands.checks import CheckResult, Outcome, check_threshold
from device.config import Config, parse_config
from device.keys import StateKeys
from device.vision.manifest import OperatingPoint, ScoringRule, Thresholds
from device.vision.pack import Pack, load_pack


def _check(door_pack: Path, door_keys: StateKeys, config: Config, **changes: Any) -> CheckResult:
    """With thresholds calibrated from a million comparisons by the door's own rule, but for the changes."""
    pack = load_pack(door_pack, mac_key=door_keys.pack_mac)
    rule = {"votes": config.access.votes, "window": config.access.vote_window, **changes.pop("rule", {})}
    thresholds = Thresholds(
        rule=ScoringRule(model_id=pack.model("embedder").model_id, mirrored=True, template="mean", photos=3, **rule),
        origin="calibrated",
        measurement="a test",
        comparisons=changes.pop("comparisons", 1_000_000),
        default_fmr=1e-5,
        match=[OperatingPoint(fmr=1e-5, cosine=0.95, fmr_upper_95=1.7e-5)],
    )
    manifest = pack.manifest.model_copy(update={"thresholds": thresholds})
    return check_threshold(config, Pack(pack.directory, manifest), match=0.95, same_face=0.95)


def test_a_calibration_for_this_door_passes_with_its_bound(door_pack: Path, door_keys: StateKeys) -> None:
    """Comparisons and bound are told."""
    result = _check(door_pack, door_keys, Config())
    assert result.outcome is Outcome.PASS
    assert "calibrated, 1,000,000 comparisons, at most 1.7e-05 with 95 % confidence" in result.detail


def test_a_calibration_for_other_votes_is_amber(door_pack: Path, door_keys: StateKeys) -> None:
    """Its rate belongs to another rule."""
    result = _check(door_pack, door_keys, Config(), rule={"votes": 1, "window": 1})
    assert result.outcome is Outcome.AMBER
    assert "calibrated for 1 of 1 frames, the door counts 3 of 5" in result.detail
    strict = parse_config(b"access: {votes: 4, vote_window: 6}", origin="test")
    assert _check(door_pack, door_keys, strict).outcome is Outcome.PASS
    assert "--votes 4 --window 6" in _check(door_pack, door_keys, strict, rule={"votes": 3}).advice


@pytest.mark.parametrize(("comparisons", "outcome"), [(99_999, Outcome.AMBER), (100_000, Outcome.PASS)])
def test_a_rate_that_is_not_proven_is_amber(
    door_pack: Path, door_keys: StateKeys, comparisons: int, outcome: Outcome
) -> None:
    """Fewer comparisons than one false match needs."""
    assert _check(door_pack, door_keys, Config(), comparisons=comparisons).outcome is outcome
