"""install.sh looks before it writes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TOOLS = ("awk", "basename", "cat", "cut", "df", "dirname", "grep", "head", "id", "sed", "sha256sum", "sort", "tail")
MISSING = 3


@dataclass
class Newcomer:
    """A copy of what install.sh reads, with a search path of its own."""

    checkout: Path
    tools: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run install.sh with nothing of this process's environment."""
        variables = {"PATH": str(self.tools), "HOME": str(self.home), **self.variables}
        command = [self._bash(), str(self.checkout / "install.sh"), *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, cwd=self.folder)

    def tool(self, name: str, script: str) -> None:
        """Put a program on the search path."""
        path = self.tools / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!{self._bash()}\n{script}\n")
        path.chmod(0o755)

    def written(self) -> set[str]:
        """Whatever is there that a checkout does not bring."""
        brought = {"install.sh", "pyproject.toml", "config"}
        return {path.name for path in (*self.checkout.iterdir(), *self.home.iterdir())} - brought

    @staticmethod
    def _bash() -> str:
        found = shutil.which("bash")
        assert found
        return found


@pytest.fixture
def newcomer(tmp_path: Path, root: Path) -> Newcomer:
    """Someone with a fresh checkout, an empty home and no Python."""
    newcomer = Newcomer(tmp_path / "doorward", tmp_path / "bin", tmp_path / "home")
    for folder in (newcomer.checkout, newcomer.tools, newcomer.home):
        folder.mkdir()
    for name in ("install.sh", "pyproject.toml"):
        shutil.copy(root / name, newcomer.checkout)
    shutil.copytree(root / "config" / "lock", newcomer.checkout / "config" / "lock")
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (newcomer.tools / tool).symlink_to(found)
    return newcomer


def _with_this_python(newcomer: Newcomer) -> None:
    newcomer.variables["DOORWARD_PYTHON"] = os.path.realpath(sys.executable)


def test_without_python_one_apt_line_says_what_to_do(newcomer: Newcomer) -> None:
    """The line can be pasted as it stands, and nothing has been written."""
    done = newcomer.install("demo")
    assert done.returncode == MISSING
    assert "sudo apt install python3 python3-venv" in done.stderr.splitlines()
    assert not newcomer.written()


def test_a_python_without_venv_is_named_in_the_apt_line(newcomer: Newcomer) -> None:
    """Debian splits venv off; each Python has its own package."""
    newcomer.tool("python3.12", '[ "$1" = -Ic ] || printf "%s\\n" cp312-x86_64 glibc 2.39 ""')
    done = newcomer.install("demo")
    assert done.returncode == MISSING
    assert "sudo apt install python3.12-venv" in done.stderr.splitlines()
    assert not newcomer.written()


def test_a_python_that_is_too_old_is_not_taken(newcomer: Newcomer) -> None:
    """Its version is said."""
    newcomer.tool("python3", '[ "$1" = --version ] && echo Python 3.9.2 || exit 1')
    done = newcomer.install("test")
    assert done.returncode == MISSING
    assert "python3 is Python 3.9.2" in done.stderr


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ("cp311-armv7l glibc 2.36", "a 32-bit Pi OS is not enough"),
        ("cp311-aarch64 glibc 2.31", "glibc 2.34 or newer is needed, this system has glibc 2.31"),
        ("cp311-x86_64 '' ''", "this system has another C library"),
    ],
)
def test_a_machine_without_wheels_is_refused_with_the_reason(newcomer: Newcomer, facts: str, said: str) -> None:
    """No apt line helps there."""
    newcomer.tool("python3", f'[ "$1" = -Ic ] || printf "%s\\n" {facts} ""')
    done = newcomer.install("demo")
    assert done.returncode == MISSING
    assert said in done.stderr


def test_a_full_disk_is_noticed_before_it_is_written_to(newcomer: Newcomer) -> None:
    """How much is needed, and where, is said."""
    newcomer.tool("df", 'printf "%s\\n" head "/dev/sda1 1000000 900000 102400 90% /"')
    done = newcomer.install("demo")
    assert done.returncode == MISSING
    assert "/ has 100 MB free" in done.stderr
    assert not newcomer.written()


def test_an_index_out_of_reach_is_noticed_before_anything_is_written(newcomer: Newcomer) -> None:
    """Asked through pip itself, so that proxies and mirrors are found as they will be later."""
    _with_this_python(newcomer)
    newcomer.variables["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple"
    newcomer.variables["PIP_CONFIG_FILE"] = os.devnull
    done = newcomer.install("demo")
    assert done.returncode == MISSING
    assert "pip reaches no package index" in done.stderr
    assert not newcomer.written()


def test_no_python_file_in_the_callers_folder_is_run(newcomer: Newcomer, tmp_path: Path) -> None:
    """A download folder may hold anything; with -, -c and -m, Python would look there first."""
    _with_this_python(newcomer)
    newcomer.variables |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull}
    newcomer.folder = tmp_path / "downloads"
    (newcomer.folder / "pip").mkdir(parents=True)
    for name in ("glob.py", "platform.py", "sysconfig.py", "pip/__init__.py", "pip/__main__.py"):
        (newcomer.folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    done = newcomer.install("demo")
    assert done.returncode == MISSING
    assert "pip reaches no package index" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_relative_names_count_from_the_callers_folder(newcomer: Newcomer, tmp_path: Path) -> None:
    """Where the set-up itself works is its own business."""
    newcomer.folder = tmp_path
    newcomer.variables |= {"DOORWARD_PYTHON": "bin/mine", "DOORWARD_CACHE": "kept"}
    newcomer.tool("mine", '[ "$1" = -Ic ] || printf "%s\\n" cp311-armv7l glibc 2.36 ""')
    done = newcomer.install("demo")
    assert f"{tmp_path}/bin/mine has no venv" in done.stderr
    assert f"{tmp_path}/kept" in newcomer.install("--help").stdout


def test_the_demo_runs_in_the_callers_folder(newcomer: Newcomer, tmp_path: Path) -> None:
    """Its arguments may name files there."""
    newcomer.folder = tmp_path / "downloads"
    newcomer.folder.mkdir()
    script = (newcomer.checkout / "install.sh").read_text()
    (newcomer.checkout / "install.sh").write_text(script.replace('    set_up ""\n', "    :\n"))
    commands = newcomer.checkout / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name in ("doorward", "doorward-export"):
        (commands / name).write_text(f'#!{newcomer._bash()}\necho "$PWD $*"\n')
        (commands / name).chmod(0o755)
    assert newcomer.install("demo", "--source", "clip.mp4").stdout == f"{newcomer.folder} demo --source clip.mp4\n"


def _set_up(newcomer: Newcomer) -> None:
    """Pretend that the environment is complete: install.sh compares what it says of itself with its stamp."""
    commands = newcomer.checkout / ".venv" / "bin"
    stamps = newcomer.checkout / ".venv" / "doorward"
    commands.mkdir(parents=True)
    stamps.mkdir()
    python = commands / "python"
    python.write_text(f"#!{newcomer._bash()}\necho cp311-3.11.2\n")
    python.chmod(0o755)
    locks = newcomer.checkout / "config" / "lock"
    digest = hashlib.sha256((locks / "pip.txt").read_bytes() + (locks / "cp311-x86_64.txt").read_bytes()).hexdigest()
    (stamps / "lock").write_text("cp311-x86_64\n")
    (stamps / "environment").write_text(f"{digest} cp311-3.11.2 {newcomer.checkout}\n")


def test_a_cache_that_cannot_be_made_is_said_after_set_up_too(newcomer: Newcomer, tmp_path: Path) -> None:
    """What was writable when it was set up need not be so today."""
    _set_up(newcomer)
    (tmp_path / "file").touch()
    newcomer.variables["DOORWARD_CACHE"] = str(tmp_path / "file" / "cache")
    done = newcomer.install("setup")
    assert done.returncode == MISSING
    assert f"{tmp_path}/file is not a folder (DOORWARD_CACHE names another folder)" in done.stderr
    assert "mkdir" not in done.stderr
    assert newcomer.written() == {".venv"}


def test_a_checkout_that_cannot_be_written_is_said_after_set_up_too(newcomer: Newcomer) -> None:
    """In words, not by whatever fails first."""
    _set_up(newcomer)
    (newcomer.checkout / ".doorward").touch()
    done = newcomer.install("setup")
    assert done.returncode == MISSING
    assert f"{newcomer.checkout}/.doorward is not a folder" in done.stderr
    assert newcomer.written() == {".venv", ".doorward"}


@pytest.mark.parametrize("arguments", [("launch",), ("setup", "everything")])
def test_an_unknown_verb_is_a_wrong_call(newcomer: Newcomer, arguments: tuple[str, ...]) -> None:
    """The wrong word is named, the usage is shown."""
    done = newcomer.install(*arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith(f": {arguments[-1]}")
    assert "usage: ./install.sh demo" in done.stderr
    assert not newcomer.written()


def test_help_names_the_one_folder_outside_the_checkout(newcomer: Newcomer) -> None:
    """Before anything is done, one can read where it goes."""
    done = newcomer.install("--help")
    assert done.returncode == 0
    assert f"{newcomer.home}/.cache/doorward" in done.stdout
