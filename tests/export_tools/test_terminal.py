"""Names out of files that others made reach no terminal as escape sequences."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from export_tools.cli import run
from export_tools.commands.counting import CountingReporter
from export_tools.commands.report import TerminalSteps
from export_tools.commands.shared import TerminalReporter
from tests.standins.embedder import sface_like

HOSTILE = "fc\x1b]0;OWNED\x07\x1b[2J\x9b31mgood\u202e"


def _is_inert(text: str) -> bool:
    return not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"} and "good" in text


def _describe(model: bytes, folder: Path, *, file: str = "model.onnx") -> int:
    (folder / file).write_bytes(model)
    return run(
        ["describe-embedder", str(folder / file), "--name", "mine", "--licence", "MIT", "--commercial-use", "yes",
         "--out", str(folder / "card.yaml")]
    )  # fmt: skip


def test_an_output_name_out_of_a_model_drives_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the model is described, the name is told, and its escapes are not."""
    _describe(sface_like(output=HOSTILE), tmp_path)
    told = capsys.readouterr()
    assert _is_inert(told.out + told.err)


def test_the_command_that_comes_next_can_be_pasted_whatever_the_folder_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell sees one argument, and runs nothing out of a name."""
    folder = tmp_path / "a; touch owned; $(touch too) 'b'"
    folder.mkdir()
    assert _describe(sface_like(), folder) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("next")]
    words = shlex.split(line)[1:]
    assert words == ["doorward-export", "build", f"--embedder={folder / 'card.yaml'}", f"--mirror={folder}"]


def test_an_error_about_a_model_drives_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither its message nor its hint."""
    assert _describe(sface_like(output=HOSTILE, dimension=64), tmp_path) != 0
    assert _is_inert(capsys.readouterr().err)


def test_an_error_about_a_file_drives_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder may be called anything."""
    assert run(["describe-embedder", str(tmp_path / HOSTILE), "--name", "mine", "--licence", "MIT",
                "--commercial-use", "no"]) != 0  # fmt: skip
    assert _is_inert(capsys.readouterr().err)


def test_notes_and_steps_drive_no_terminal() -> None:
    """Whoever reports them."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=False)
    TerminalReporter(console).note(f"1 {HOSTILE}")
    CountingReporter(console).note(f"2 {HOSTILE}")
    TerminalSteps(console).step(f"3 {HOSTILE}")
    assert screen.getvalue().count("good") == 3
    assert _is_inert(screen.getvalue())
