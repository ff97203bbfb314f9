"""The command line as a function: arguments in, exit code and both streams out."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from device.cli import run


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for machines."""
        return json.loads(self.out)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with nothing in it yet."""
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def doorward(state: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """Run `doorward --state ... ARGUMENTS`; what a command does to logging ends with the test, like its streams."""
    root, ours = logging.getLogger(), logging.getLogger("device")
    before = root.handlers[:], root.level, ours.level

    def call(*arguments: str | Path, before: tuple[str, ...] = ()) -> Done:
        capsys.readouterr()
        code = run(["--state", str(state), *before, *map(str, arguments)])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    yield call
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.fixture
def state_with_pack(state: Path, door_state: Path) -> Path:
    """A state of its own with the built pack ``door``."""
    shutil.copy2(door_state / "state.key", state / "state.key")
    shutil.copytree(door_state / "packs", state / "packs")
    return state
