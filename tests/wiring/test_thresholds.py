"""Which cosines are in force: the pack's, or stricter ones of the owner's; never one that nobody measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.commands import owner_checks
from device.commands.checks import Outcome, check_threshold
from device.config import Config, parse_config
from device.errors import ConfigError, PackError
from device.keys import StateKeys
from device.vision.manifest import Manifest
from device.vision.pack import Pack, load_pack
from device.wiring.models import match_threshold, same_face_threshold


@pytest.fixture(scope="module")
def pack(door_pack: Path, door_keys: StateKeys) -> Pack:
    """The built pack ``door``."""
    return load_pack(door_pack, mac_key=door_keys.pack_mac)


def _config(*, threshold: float | None = None, same_face: float | None = None) -> Config:
    text = f"gallery: {{threshold: {threshold or 'null'}}}\naccess: {{same_face: {same_face or 'null'}}}\n"
    return parse_config(text.encode(), origin="test")


def test_without_a_word_of_the_owners_the_packs_own_hold(pack: Pack) -> None:
    """The default rate to match, the loosest to be the same face."""
    assert match_threshold(pack, Config()) == pack.thresholds.match_cosine
    assert same_face_threshold(pack, Config()) == pack.thresholds.match[0].cosine


@given(st.floats(0.01, 1.0))
def test_no_number_written_by_hand_is_looser_than_what_was_measured(pack: Pack, cosine: float) -> None:
    """It holds from the loosest point on, and is refused below."""
    loosest = pack.thresholds.match[0].cosine
    for config, read in (
        (_config(threshold=cosine), match_threshold),
        (_config(same_face=cosine), same_face_threshold),
    ):
        if cosine >= loosest:
            assert read(pack, config) == cosine
            continue
        with pytest.raises(ConfigError, match="another embedder") as caught:
            read(pack, config)
        assert "calibrate" in caught.value.hint


def test_a_pack_that_was_not_calibrated_has_no_threshold_whatever_is_configured(pack: Pack) -> None:
    """A number written by hand is no measurement."""
    unmeasured = Pack(pack.directory, Manifest.model_validate({**dict(pack.manifest), "thresholds": None}))
    for config in (Config(), _config(threshold=0.99, same_face=0.99)):
        for read in (match_threshold, same_face_threshold):
            with pytest.raises(PackError) as caught:
                read(unmeasured, config)
            assert caught.value.reason == "uncalibrated"


def test_check_tells_a_number_written_by_hand(pack: Pack) -> None:
    """Amber, with the key, the number and the pack's own."""
    own = check_threshold(Config(), pack, match=0.9547, same_face=0.9312)
    assert own.outcome is Outcome.PASS
    assert "published" in own.detail
    told = check_threshold(_config(threshold=0.97), pack, match=0.97, same_face=0.9312)
    assert told.outcome is Outcome.AMBER
    assert "gallery.threshold 0.97" in told.detail
    assert "0.9547" in told.detail
    assert "same_face" not in told.detail


def test_check_tells_who_waits_and_why_nobody_can_be_compared() -> None:
    """With a pack: how many, and the command; without one: that there is none."""
    gallery = {"people": 3, "enabled": 3, "needs_template": ["a", "b"], "model": "new-1"}
    told = owner_checks.check_gallery({"closest_pair": None}, {"gallery": gallery, "threshold": None})
    assert told.outcome is Outcome.AMBER
    assert "2 without a template of new-1" in told.detail
    assert "people reenroll" in told.advice
    told = owner_checks.check_gallery(
        {"closest_pair": None}, {"gallery": {**gallery, "model": None}, "threshold": None}
    )
    assert told.outcome is Outcome.AMBER
    assert "without a pack" in told.detail
