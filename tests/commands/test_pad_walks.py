"""A walk cannot be thrown away unseen: its start is in the audit log before its first try, and every report counts."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from device.app.ledger import Ledger
from device.app.trial import Trial
from device.errors import CameraError, FullError
from tests.commands.test_pad_test import EmptyHall

#: A walk whose process is killed within its first try, as by a power cut: nothing of it runs any further.
_KILLED = """
import os, signal, sys
from device.app.trial import Trial
from device.cli import run
from device.wiring import pad_scenes
from tests.commands.test_pad_test import EmptyHall
pad_scenes.open_source = lambda *_, **__: EmptyHall()
Trial.judge = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
run(sys.argv[1:])
"""
PRINT = ("--bona-fide", "0", "--species", "print:1")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the installer will type."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """An empty hall instead of the camera, and tries that end at once."""
    monkeypatch.setattr("device.wiring.pad_scenes.open_source", lambda *_, **__: EmptyHall())
    monkeypatch.setattr("device.wiring.pad_walk.TRY_S", 0.1)
    config = tmp_path / "quick.yaml"
    config.write_text("access: {patience_s: 0.1}\n")
    return ("--config", str(config))


@pytest.fixture
def walk(doorward: Any, typed: Any, quick: tuple[str, str], tmp_path: Path) -> Any:
    """Walk with these answers; how it ended, and its report in JSON where there is one."""

    def made(text: str, name: str = "report.json", *options: str) -> tuple[Any, Any]:
        typed(text)
        done = doorward("pad-test", "--report", tmp_path / name, *(options or PRINT), before=quick)
        there = (tmp_path / name).exists()
        return done, json.loads((tmp_path / name).read_bytes())["report"] if there else None

    return made


def entries(doorward: Any) -> list[Any]:
    """What the audit log holds about walks, once its chain was verified."""
    assert doorward("audit", "verify").code == 0
    return [each for each in doorward("audit", "list", "--json").json["entries"] if each["kind"].startswith("pad_test")]


def refuse(*_: object, **__: object) -> NoReturn:
    """In the place of a part that must not be reached, or that breaks."""
    raise FullError("no space is left", hint="make room")


def test_a_walk_that_is_killed_in_its_first_try_leaves_its_start(
    state_with_pack: Path, doorward: Any, walk: Any, quick: tuple[str, str], tmp_path: Path
) -> None:
    """The attack: kill -9, a power cut, and walk again until the figures please. The next report tells it."""
    words = ["--state", str(state_with_pack), *quick, "pad-test", "--report", str(tmp_path / "never.json"), *PRINT]
    killed = subprocess.run([sys.executable, "-c", _KILLED, *words], input=b"\n", check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "never.json").exists()
    (start,) = entries(doorward)
    assert start["kind"] == "pad_test_start"
    assert start["data"]["planned"] == [{"species": "print", "tries": 1}]
    done, report = walk("\n")
    assert (report["about"]["walk"]["number"], report["about"]["walk"]["earlier_reported"]) == (2, 0)
    assert "walk 2 of this device; 1 of the earlier 1 left no report" in done.out
    shown = doorward("pad-report", tmp_path / "report.json").out
    assert "walk 2 of this device; 1 of the earlier 1 left no report" in shown


def test_a_report_names_its_start_by_number_and_hash(state_with_pack: Path, doorward: Any, walk: Any) -> None:
    """As the chain has it; the first walk says that it is the first."""
    done, report = walk("\n")
    start, end = entries(doorward)
    told = report["about"]["walk"]
    assert (told["start_seq"], told["start_sha256"]) == (start["seq"], start["hash"])
    assert end["data"]["start_seq"] == start["seq"]
    assert "walk 1 of this device" in done.out
    assert start["data"]["config_sha256"] == report["about"]["config_sha256"]


def test_reported_walks_are_told_from_those_without_a_report(state_with_pack: Path, doorward: Any, walk: Any) -> None:
    """Whatever came of them, what they counted is in the next report too."""
    walk("\n", "first.json")
    walk("q\n", "second.json")
    walk("\n", "third.json", "--bona-fide", "2", "--species", "print:1")
    done, report = walk("\n", "fourth.json")
    told = report["about"]["walk"]
    assert (told["number"], told["earlier_reported"], told["earlier_untried"]) == (4, 2, 1)
    assert told["earlier_tries"] == [
        {"species": "print", "tries": 1, "no_response": 1, "alive": 0},
        {"species": "bona_fide", "tries": 1, "no_response": 1, "alive": 0},
    ]
    assert "walk 4 of this device; 1 of the earlier 3 left no report (1 of these before a first try)" in done.out


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CameraError("lost")], ids=["Ctrl-C", "camera"])
def test_a_walk_that_is_broken_off_in_its_first_try_says_so_in_the_log(
    state_with_pack: Path, doorward: Any, walk: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Without a report, and with the try that was not finished."""

    def broken(*_: object, **__: object) -> NoReturn:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Trial, "judge", broken)
        done, report = walk("\n")
    assert (done.code != 0, report) == (True, None)
    _, end = entries(doorward)
    data = end["data"]
    assert (data["begun"], data["tries"], data["complete"], data["report_sha256"]) == (1, [], False, None)


def test_a_try_that_was_broken_off_is_told_in_the_report(
    state_with_pack: Path, doorward: Any, walk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: Ctrl-C as soon as the door asks less than it should. The report has one try begun more than made."""
    judge, calls = Trial.judge, list[int]()

    def second_breaks(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judge(*given, **named)

    monkeypatch.setattr(Trial, "judge", second_breaks)
    done, report = walk("\n\n", "report.json", "--bona-fide", "0", "--species", "print:3")
    assert (report["about"]["walk"]["begun"], len(report["tries"])) == (2, 1)
    assert "broken off in the middle of a try" in done.out


def test_a_walk_whose_start_cannot_be_committed_does_not_begin(
    state_with_pack: Path, doorward: Any, walk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No try, no report."""
    tried: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Trial, "judge", lambda *_, **__: tried.append(1))
        patch.setattr(Ledger, "record", refuse)
        done, report = walk("\n")
    assert (done.code, tried, report) == (FullError.exit_code, [], None)
    assert entries(doorward) == []


def test_a_walk_does_not_count_on_a_broken_log(
    state_with_pack: Path, doorward: Any, walk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """76: somebody who removed the starts of earlier walks walks no more."""
    walk("\n", "first.json")
    whole = Ledger.entries

    def without_the_first(self: Ledger, **given: Any) -> Any:
        return (each for each in whole(self, **given) if each.seq > 1)

    monkeypatch.setattr(Ledger, "entries", without_the_first)
    done, report = walk("\n")
    assert (done.code, report) == (76, None)
    assert "audit log is broken" in done.err
