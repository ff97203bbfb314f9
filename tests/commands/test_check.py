"""`doorward check` as a whole: every part has its line, and exit code 0 means that none failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def outcomes(told: Any) -> dict[str, str]:
    """Outcome by part."""
    return {each["name"]: each["outcome"] for each in told["checks"]}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose camera is a folder of pictures."""
    from PIL import Image as Pillow

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        Pillow.new("RGB", (640, 480), (100 + number, 100, 100)).save(pictures / f"{number}.png")
    path = tmp_path / "doorward.yaml"
    path.write_text(f"camera: {{source: {pictures}, fps: 30}}\n")
    return path


def test_a_good_set_up_is_ready(doorward: Any, state_with_pack: Path, config: Path) -> None:
    """Nothing fails; what is weak or simulated is amber."""
    done = doorward("check", "--json", before=("--config", str(config)))
    told = outcomes(done.json)
    assert done.code == 0, done.json
    assert done.json["ok"] is True
    assert "fail" not in told.values()
    for part in (
        "python",
        "configuration",
        "state",
        "disk",
        "database",
        "audit",
        "gallery",
        "pack",
        "models",
        "camera",
    ):
        assert told[part] == "pass", part
    for part in ("key", "liveness", "relay", "platform"):
        assert told[part] == "amber", part


def test_one_damaged_model_fails_and_the_rest_is_still_tested(
    doorward: Any, state_with_pack: Path, config: Path
) -> None:
    """One bit of one model; the database behind it is looked at all the same."""
    model = state_with_pack / "packs" / "door" / "landmarks.onnx"
    damaged = bytearray(model.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    model.write_bytes(bytes(damaged))
    done = doorward("check", "--json", before=("--config", str(config)))
    told = outcomes(done.json)
    assert done.code == 1
    assert told["pack"] == "fail"
    assert told["database"] == told["audit"] == "pass"


def test_a_state_without_a_pack_and_camera_says_what_to_do(doorward: Any) -> None:
    """A fresh machine: a table, exit code 1, advice beside each fail."""
    done = doorward("check", "--json")
    assert done.code == 1
    assert all(each["advice"] for each in done.json["checks"] if each["outcome"] == "fail")
    assert outcomes(done.json)["pack"] == "fail"
    table = doorward("check")
    assert table.code == 1
    assert "not ready" in table.out


def test_an_invalid_configuration_is_a_line_not_a_crash(doorward: Any, tmp_path: Path) -> None:
    """Nothing that depends on it is tested."""
    config = tmp_path / "c.yaml"
    config.write_text("nonsense: 1\n")
    done = doorward("check", "--json", before=("--config", str(config)))
    assert done.code == 1
    assert outcomes(done.json)["configuration"] == "fail"


def test_the_pulse_needs_a_yes(doorward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer nothing is pulsed."""
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert doorward("check", "--pulse").code == 64


def test_a_test_pulse_is_in_the_audit_before_the_relay_moves(
    doorward: Any, state_with_pack: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No audit, no door: not for the installer either."""
    monkeypatch.setattr("device.commands.check.time.sleep", lambda _: None)
    doorward("check", "--pulse", "--yes", "--json", before=("--config", str(config)))
    entries = doorward("audit", "list", "--json").json["entries"]
    assert [entry["kind"] for entry in entries] == ["relay_test"]
