"""A pack is asked for by name: a whole sealed folder put in another one's place is not it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from device import cli
from device.config import Config, parse_config
from device.errors import PackError
from device.keys import KeyFile, StateKeys
from device.wiring.models import open_pack
from export_tools import cli as export_cli


@pytest.fixture
def state(tmp_path: Path, door_state: Path) -> Path:
    """A state directory in which the pack `door` lies under the name `other` as well."""
    copy = tmp_path / "state"
    copy.mkdir(mode=0o700)
    for name in ("door", "other"):
        shutil.copytree(door_state / "packs" / "door", copy / "packs" / name)
    shutil.copy(door_state / "state.key", copy)
    return copy


def test_a_pack_under_another_packs_name_is_refused(state: Path) -> None:
    """Reason ``wrong_pack``; under its own name it is loaded."""
    keys = StateKeys.derive(KeyFile(state / "state.key").load())
    assert open_pack(state, Config(), keys).manifest.pack == "door"
    with pytest.raises(PackError, match="is the pack 'door', not 'other'") as caught:
        open_pack(state, parse_config(b"models: {pack: other}", origin="test"), keys)
    assert caught.value.reason == "wrong_pack"
    assert "--pack other" in caught.value.hint


def test_no_command_takes_it_for_the_pack_that_was_asked_for(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon, and what verifies, measures and calibrates; nothing is measured before that is seen."""
    (tmp_path / "config.yaml").write_text("models: {pack: other}\n", encoding="utf-8")
    assert cli.run(["--state", str(state), "--config", str(tmp_path / "config.yaml"), "run"]) == 70
    asked = ["--state", str(state), "--pack", "other"]
    calls = (
        ["verify", *asked],
        ["calibrate", *asked, "--images", str(tmp_path), "--target-fmr", "0.1"],
        ["evaluate", "detection", *asked, "--sweep", str(tmp_path / "portrait.jpg")],
    )
    for call in calls:
        assert export_cli.run(call) == 70, call
    assert capsys.readouterr().err.count("is the pack 'door', not 'other'") == 1 + len(calls)
