"""The demo: real video, photographs that are missing, a state that is its own; the rendered scene as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device.commands.demo import Scene, default_photos
from device.errors import CameraError
from device.types import Reason
from tests.commands.test_wording import decision


@pytest.fixture
def photos(tmp_path: Path, demo_photos: dict[str, bytes]) -> Path:
    """The demo's photographs in a folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in demo_photos.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_demo_runs_on_real_video(state_with_pack: Path, doorward: Any, photos: Path, shared: Path) -> None:
    """Whoever is seen is decided about; the state that it was called with is left alone."""
    before = {path.name: path.read_bytes() for path in state_with_pack.iterdir() if path.is_file()}
    clip = shared / "clips" / "intel_asl_thanks.mkv"
    done = doorward("demo", "--photos", photos, "--source", clip, "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["simulated"] is True
    assert told["rendered_visitors"] is False
    assert told["audit"]["sound"] is True
    assert told["ok"] is True
    assert all(made["outcome"] == "denied" for visit in told["visits"] for made in visit["decisions"])
    assert Path(told["state"]) == state_with_pack / "demo"
    assert {path.name: path.read_bytes() for path in state_with_pack.iterdir() if path.is_file()} == before
    again = doorward("demo", "--photos", photos, "--source", clip, "--json")
    assert again.code == 0, again.err
    assert again.json["audit"]["entries"] == told["audit"]["entries"]


def test_a_cameras_password_is_not_shown(
    state_with_pack: Path, doorward: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terminals are recorded and shown to others; the host tells which camera it is."""

    def unplugged(*_: object, **__: object) -> None:
        raise CameraError("no such camera", hint="plug it in")

    monkeypatch.setattr("device.wiring.daemon.open_daemon", unplugged)
    done = doorward("demo", "--photos", photos, "--source", "rtsp://user:S3cret@door/1?key=S3cret")
    assert done.code == CameraError.exit_code
    assert "rtsp://door/..." in done.out
    assert "S3cret" not in done.out + done.err


@pytest.mark.slow
def test_the_rendered_demo_shows_what_it_says(state_with_pack: Path, doorward: Any, photos: Path) -> None:
    """An enrolled person in, a stranger and a print not, by their reasons; the audit is named and verified."""
    done = doorward("demo", "--photos", photos, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["rendered_visitors"] is True
    reasons = [visit["decisions"][0]["reason"] for visit in told["visits"]]
    assert reasons == ["granted", "no_match", "not_live"]
    assert "SIMULATED" in done.err
    assert "audit list" in done.err


def test_missing_photographs_are_named_with_the_command_that_fetches_them(
    state_with_pack: Path, doorward: Any, tmp_path: Path
) -> None:
    """66."""
    done = doorward("demo", "--photos", tmp_path / "nothing")
    assert done.code == 66
    assert "doorward-export photos" in done.err


def test_the_demo_needs_a_pack(state: Path, doorward: Any, photos: Path) -> None:
    """Without one it says how to get it."""
    done = doorward("demo", "--photos", photos)
    assert done.code in (70, 74)
    assert "hint: " in done.err


def test_a_real_door_plays_no_demo(state_with_pack: Path, doorward: Any, photos: Path, tmp_path: Path) -> None:
    """64 on another platform."""
    real = tmp_path / "real.yaml"
    real.write_text("platform: pi\ndoor: {relay: gpiozero}\n")
    assert doorward("demo", "--photos", photos, before=("--config", str(real))).code == 64


def test_photographs_lie_in_the_one_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The named one, else the user's."""
    monkeypatch.setenv("DOORWARD_CACHE", str(tmp_path))
    assert default_photos() == tmp_path / "demo-photos"
    monkeypatch.delenv("DOORWARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_photos() == tmp_path / "x" / "doorward" / "demo-photos"


def test_a_scene_is_as_expected_by_its_first_decision_and_no_other_grant() -> None:
    """A grant that comes after the expected denial is not as expected."""
    denied, granted = decision(Reason.NOT_LIVE), decision(Reason.GRANTED)
    assert Scene("print", Reason.NOT_LIVE, [denied, denied]).as_expected
    assert not Scene("print", Reason.NOT_LIVE, [denied, granted]).as_expected
    assert not Scene("print", Reason.NOT_LIVE, []).as_expected
    assert not Scene("friend", Reason.GRANTED, [denied, granted]).as_expected
