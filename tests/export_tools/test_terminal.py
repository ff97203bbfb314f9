"""Names out of files that others made reach no terminal as escape sequences."""

from __future__ import annotations

import io
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from device.keys import KeyFile, StateKeys
from device.vision.manifest import Manifest
from device.vision.pack import MAC_NAME, MANIFEST_NAME, load_pack, write_manifest
from export_tools.cli import run
from export_tools.commands.progress import CountingReporter, TerminalReporter, TerminalSteps
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


MARKUP = "[/red][link=http://example.invalid]MIT"


def test_words_of_a_pack_are_no_markup_in_what_verify_prints(
    tmp_path: Path, door_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A licence is any text, and so is what a runtime says of a model that it cannot load."""
    state = tmp_path / "[red]state"
    folder = state / "packs" / "door"
    shutil.copytree(door_state / "packs" / "door", folder)
    shutil.copy(door_state / "state.key", state)
    key = StateKeys.derive(KeyFile(state / "state.key").load()).pack_mac
    tree = load_pack(folder, mac_key=key).manifest.model_dump()
    tree["models"]["embedder"]["source"]["licence"]["id"] = f"{MARKUP}\x1b[2J"
    for name in (MANIFEST_NAME, MAC_NAME):
        (folder / name).unlink()
    write_manifest(folder, Manifest.model_validate(tree), mac_key=key)
    assert run(["verify", "--state", str(state)]) == 0
    told = capsys.readouterr().out
    assert "[red]state" in told
    assert "\x1b" not in told
    words = "".join(told.split()).replace("│", "")
    assert all(part in words for part in ("[/re", "[link"))


def test_a_bar_shows_a_name_as_it_is() -> None:
    """On a terminal, where markup would be obeyed or end the program."""
    reporters: tuple[Callable[[Console], TerminalReporter | CountingReporter], ...]
    reporters = (TerminalReporter, CountingReporter)
    for make in reporters:
        screen = io.StringIO()
        reporter = make(Console(file=screen, force_terminal=True, width=100))
        reporter.begin("[/red]file", total=1, done=0)
        reporter.end()
        assert "[/red]file" in screen.getvalue()
    screen = io.StringIO()
    steps = TerminalSteps(Console(file=screen, force_terminal=True, width=100))
    steps.begin(2)
    steps.step("[/red]good\x1b]0;OWNED\x07")
    steps.end()
    assert "[/red]good" in screen.getvalue()
    assert "\x1b]0;" not in screen.getvalue()
