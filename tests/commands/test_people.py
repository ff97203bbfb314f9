"""From photographs to people and back to nothing, with the real models, through the command line."""

from __future__ import annotations

import csv
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def photos(tmp_path: Path, demo_photos: dict[str, bytes]) -> Path:
    """The demo's photographs as files."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in demo_photos.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def enrolled(doorward: Any, state_with_pack: Path, photos: Path) -> Any:
    """Somebody enrolled from two photographs."""
    done = doorward("enroll", "Barack", photos / "obama.jpg", photos / "obama2.jpg", "--json")
    assert done.code == 0, done.err
    return done.json


def test_two_photographs_of_one_person_are_enrolled(enrolled: Any, doorward: Any) -> None:
    """Agreement is told, the person is listed with a short handle."""
    assert enrolled["person"]["photos"] == 2
    assert enrolled["agreement"] >= 0.9312
    assert enrolled["warnings"] == []
    handle = enrolled["person"]["handle"]
    table = doorward("people", "list").out
    assert handle[:8] in table
    assert handle[:9] not in table
    assert doorward("people", "list", "--json").json["people"][0]["handle"] == handle


def test_the_same_face_is_not_enrolled_under_another_name(enrolled: Any, doorward: Any, photos: Path) -> None:
    """A third photograph of the same man: refused with code 65, allowed by name."""
    done = doorward("enroll", "Impostor", photos / "obama3.jpg")
    assert done.code == 65
    assert "already enrolled as Barack" in done.err
    assert len(doorward("people", "list", "--json").json["people"]) == 1
    allowed = doorward("enroll", "Impostor", photos / "obama3.jpg", "--allow-duplicate", "--json")
    assert allowed.code == 0
    assert allowed.json["lookalikes"][0]["same"] is True


def test_photographs_of_two_people_are_not_one(doorward: Any, state_with_pack: Path, photos: Path) -> None:
    """The odd one is named, nobody is enrolled."""
    done = doorward("enroll", "Both", photos / "obama.jpg", photos / "obama2.jpg", photos / "biden.jpg")
    assert done.code == 65
    assert "biden.jpg" in done.err
    assert doorward("people", "list", "--json").json["people"] == []


def test_no_face_two_faces_and_no_picture_change_nothing(
    doorward: Any, state_with_pack: Path, photos: Path, tmp_path: Path
) -> None:
    """Each bad photograph beside a good one: code 65, a hint, an empty gallery, an empty audit."""
    from PIL import Image as Pillow

    good = Pillow.open(photos / "obama.jpg").convert("RGB")
    other = Pillow.open(photos / "biden.jpg").convert("RGB").resize(good.size)
    both = Pillow.new("RGB", (good.width * 2, good.height))
    both.paste(good, (0, 0))
    both.paste(other, (good.width, 0))
    bad = {"two.png": both, "none.png": Pillow.new("RGB", (640, 480), (90, 120, 90))}
    for name, picture in bad.items():
        picture.save(tmp_path / name)
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "cut.jpg").write_bytes((photos / "obama.jpg").read_bytes()[:20000])
    (tmp_path / "empty.jpg").touch()
    for name, word in (
        ("two.png", "2 faces"),
        ("none.png", "no face"),
        ("text.jpg", "text.jpg"),
        ("cut.jpg", "cut.jpg"),
        ("empty.jpg", "empty.jpg"),
    ):
        done = doorward("enroll", "Ada", photos / "obama.jpg", tmp_path / name)
        assert done.code == 65, name
        assert word in done.err
        assert "hint: " in done.err
    assert doorward("status", "--json").json["gallery"]["people"] == 0
    assert doorward("audit", "list", "--json").json["entries"] == []


def test_a_person_is_disabled_limited_and_erased(enrolled: Any, doorward: Any, state: Path) -> None:
    """Each change shows, the last leaves no trace of the name."""
    handle = enrolled["person"]["handle"]
    assert doorward("people", "disable", "Barack", "--json").json["enabled"] is False
    assert doorward("people", "enable", handle[:6], "--json").json["enabled"] is True
    limited = doorward("people", "validity", "Barack", "--until", "2030-12-31", "--json").json
    assert limited["valid_until"].startswith(("2030-12-31", "2031-01-01"))
    assert doorward("people", "validity", "Barack", "--from", "2031-01-01", "--until", "2030-01-01").code == 64
    assert doorward("people", "remove", "Barack", "--yes").code == 0
    assert doorward("people", "show", "Barack").code == 66
    assert "Barack" not in doorward("audit", "export", "--json").out
    assert doorward("audit", "verify").code == 0


def test_removal_asks_first(enrolled: Any, doorward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No yes, no removal."""
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert doorward("people", "remove", "Barack").code == 64
    assert doorward("people", "show", "Barack").code == 0


def test_the_own_data_are_written_for_nobody_else(enrolled: Any, doorward: Any, tmp_path: Path) -> None:
    """Mode 0600, never over an existing file."""
    target = tmp_path / "own.json"
    assert doorward("people", "export", "Barack", "--output", target).code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert json.loads(target.read_text())["person"]["name"] == "Barack"
    assert doorward("people", "export", "Barack", "--output", target).code == 64


def test_the_audit_for_spreadsheets_and_machines(enrolled: Any, doorward: Any, tmp_path: Path) -> None:
    """The same entries in both forms; a time filter leaves out what is outside."""
    rows = list(csv.DictReader(io.StringIO(doorward("audit", "export", "--csv").out)))
    lines = [json.loads(line) for line in doorward("audit", "export", "--json").out.splitlines()]
    assert [row["seq"] for row in rows] == [str(line["seq"]) for line in lines] == ["1"]
    assert rows[0]["name"] == "Barack"
    assert doorward("audit", "list", "--since", "2099-01-01", "--json").json["entries"] == []
    assert len(doorward("audit", "list", "--until", "2099-01-01", "--json").json["entries"]) == 1
    target = tmp_path / "audit.csv"
    assert doorward("audit", "export", "--csv", "--output", target).code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
