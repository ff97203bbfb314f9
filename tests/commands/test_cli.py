"""One place where errors end: message, hint, exit code of the class, never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import device.cli
import export_tools.cli
from device.app.requests import MAX_ATTACHMENT_BYTES
from device.errors import DoorwardError


def test_every_verb_explains_itself(doorward: Any) -> None:
    """--help works for each verb and exits 0."""
    for verb in ("status", "check", "enroll", "people", "audit"):
        done = doorward(verb, "--help")
        assert done.code == 0
        assert "Usage: doorward" in done.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nonsense",), 64),
        (("status", "--nonsense"), 64),
        (("enroll", "Ada"), 64),
        (("audit", "export"), 64),
        (("audit", "export", "--csv", "--json"), 64),
        (("audit", "list", "--last", "0"), 64),
        (("audit", "list", "--since", "yesterday"), 64),
        (("people", "show", "Ada"), 66),
        (("people", "show", ""), 64),
        (("people", "show", "\x1b[31m"), 64),
        (("people", "remove", "Ada", "--yes"), 66),
        (("people", "validity", "Ada", "--from", "31.1.2026"), 64),
        (("enroll", "Ada", "/nonexistent.jpg"), 66),
        (("enroll", "Ada", "/"), 66),
        (("enroll", "Ada\nEve", "/nonexistent.jpg"), 66),
        (("enroll", "\u202e", __file__), 64),
        (("enroll", "Ada", __file__, "--valid-from", "soon"), 64),
        (("enroll", "Ada", __file__, "--valid-until", "2026-02-30"), 64),
        (("enroll", "Ada", *([__file__] * 21)), 64),
    ],
)
def test_a_wrong_call_ends_with_message_hint_and_code(doorward: Any, arguments: tuple[str, ...], code: int) -> None:
    """64 for a wrong call, 66 for what does not exist; nothing on standard output."""
    done = doorward(*arguments)
    assert done.code == code, done.err
    assert done.err.startswith("error: ")
    assert "hint: " in done.err
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    assert not done.out


@pytest.mark.parametrize("words", [(), ("people",), ("audit",)])
def test_a_group_without_a_verb_explains_itself(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """64 and its help, which is no error message."""
    assert device.cli.run(list(words)) == 64
    told = capsys.readouterr()
    assert told.err.startswith(f"Usage: {' '.join(('doorward', *words))} ")
    assert "error: " not in told.err
    assert not told.out


@pytest.mark.parametrize("tool", [device.cli.run, export_tools.cli.run])
def test_the_version_is_told_without_a_verb(tool: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone on standard output, 0."""
    with suppress(SystemExit):  # of argparse, with 0
        assert tool(["--version"]) == 0
    told = capsys.readouterr()
    assert re.fullmatch(r"doorward(-export)? (\d+\.\d+\.\d+|\(not installed\))\n", told.out)
    assert not told.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("enroll",), "doorward enroll --help"),
        (("people", "validity"), "doorward people validity --help"),
        (("people", "nonsense"), "doorward people --help"),
        (("nonsense",), "doorward --help"),
    ],
)
def test_a_wrong_call_points_to_the_help_of_its_verb(doorward: Any, arguments: tuple[str, ...], hint: str) -> None:
    """Not to the list of all of them."""
    assert f"hint: {hint}\n" in doorward(*arguments).err


def test_limits_in_time_have_the_same_names_everywhere(doorward: Any) -> None:
    """What was learned for one verb holds for the other."""
    for verb in (("enroll", "Ada", __file__), ("people", "validity", "Ada")):
        for option in ("--from", "--until", "--valid-from", "--valid-until"):
            done = doorward(*verb, option, "soon")
            assert done.code == 64
            assert "No such option" not in done.err
            assert "soon" in done.err


def test_all_configuration_problems_are_told(doorward: Any, tmp_path: Path) -> None:
    """File, key, what is allowed; exit code 78."""
    config = tmp_path / "c.yaml"
    config.write_text("door: {pulse_s: 99}\nnonsense: 1\n")
    done = doorward("status", before=("--config", str(config)))
    assert done.code == 78
    assert "door.pulse_s" in done.err
    assert "nonsense" in done.err


def test_a_wrong_key_has_its_own_code(doorward: Any, state: Path) -> None:
    """77, and the state is left as it was."""
    assert doorward("status").code == 0
    key = state / "state.key"
    key.write_bytes(os.urandom(32))
    before = (state / "doorward.db").read_bytes()
    assert doorward("status").code == 77
    assert (state / "doorward.db").read_bytes() == before


def test_a_damaged_database_has_its_own_code(doorward: Any, state: Path) -> None:
    """74 with a hint, not a traceback."""
    assert doorward("status").code == 0
    database = state / "doorward.db"
    damaged = bytearray(database.read_bytes())
    damaged[2000] ^= 1
    database.write_bytes(bytes(damaged))
    done = doorward("status")
    assert done.code == 74
    assert "backup" in done.err


def test_a_photograph_that_is_too_large_is_not_read_into_memory(doorward: Any, tmp_path: Path) -> None:
    """A sparse file of terabytes is refused by its beginning."""
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(2**40)
    done = doorward("enroll", "Ada", huge)
    assert done.code == 65
    assert f"{MAX_ATTACHMENT_BYTES // 2**20} MiB" in done.err


def test_a_mistake_in_the_program_is_one_line(doorward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """70, the class of the error, and how to report it; with --debug also where."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("device.commands.invocation.open_verbs", broken)
    done = doorward("status")
    assert done.code == 70
    assert "RuntimeError: first line\n" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in doorward("status", before=("--debug",)).err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141)])
def test_an_interruption_is_no_mistake(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    """130 for Ctrl-C, 141 when the reader of a pipe has gone."""

    def interrupted() -> None:
        raise error

    monkeypatch.setattr(device.cli, "build", interrupted)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert device.cli.run([]) == code


@pytest.mark.parametrize(("tool", "needs"), [("device", "typer"), ("export_tools", "onnx")])
def test_an_interruption_while_loading_is_no_traceback(tool: str, needs: str) -> None:
    """Half a second on a small board, in which somebody may have changed their mind."""
    words = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == '{needs}':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        f"from {tool}.__main__ import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "error: interrupted\n"


def test_every_error_of_the_tree_has_a_code() -> None:
    """No class of the tree ends in 0, or in a code that a shell uses itself."""

    def below(kind: type[DoorwardError]) -> set[type[DoorwardError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    assert all(kind.exit_code == 1 or 64 <= kind.exit_code <= 78 for kind in below(DoorwardError))


def test_help_does_not_load_models_or_drivers() -> None:
    """Who asks a daemon, or only for help, does not wait for onnxruntime, OpenCV and the database driver."""
    words = (
        "import sys; from device.cli import run; run(['--help']);"
        "print(sorted({'onnxruntime', 'sqlcipher3', 'gpiozero', 'hnswlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
