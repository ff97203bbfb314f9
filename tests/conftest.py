"""What every test may ask for, and the line that says what the run had to do without.

A test that lacks a part of the machine skips with a reason that begins with ``needs``: the last line of a run counts
the skipped tests by what they needed; with ``--doorward-fail-on-missing`` (or DOORWARD_FAIL_ON_MISSING=1) they fail it.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.keys import KeyFile, StateKeys

# Tests that load the runtime without the product's own backend must not report to its vendor either.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("DOORWARD_SHARED", ROOT.parent / "shared"))
SHARED_REASON = "needs ../shared"
FAIL_ON_MISSING = "DOORWARD_FAIL_ON_MISSING"


# ---- What the run had to do without


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option under which a skipped test fails the run."""
    parser.addoption(
        "--doorward-fail-on-missing",
        action="store_true",
        default=os.environ.get(FAIL_ON_MISSING, "0") not in {"", "0"},
        help=f"fail the run when a test was skipped because a part is missing (also: {FAIL_ON_MISSING}=1)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the fixture ``shared``, and skip what is so marked where the folder is absent."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")
        if item.get_closest_marker("shared") is not None and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason=SHARED_REASON))


def _needs(report: Any) -> str:
    """Return what a skipped test lacked: its reason without pytest's ``Skipped: needs``."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(reason).removeprefix("Skipped: ").removeprefix("needs ").partition("\n")[0]


def _skip_line(lacking: Counter[str]) -> str:
    """Return the last line of a run."""
    if not lacking:
        return "skipped: 0, nothing was missing"
    parts = (f"{count} need{'s' * (count == 1)} {what}" for what, count in lacking.most_common())
    return f"skipped: {lacking.total()} ({'; '.join(parts)})"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Fail the run if asked to, and write the line after everything that pytest itself has to say."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    lacking = Counter(_needs(report) for report in reporter.getreports("skipped")) if reporter else Counter()
    fails = bool(lacking) and session.config.getoption("--doorward-fail-on-missing")
    if fails and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    yield
    if reporter:
        verdict = ": this run may not do without them" if fails else ""
        reporter.ensure_newline()
        reporter.write_line(_skip_line(lacking) + verdict)


# ---- Every log record is one that can be written


class _RecordCheck(logging.Handler):
    """Formats every record of the project, whatever its level, and keeps what is wrong with it."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        values = record.args.values() if isinstance(record.args, dict) else record.args or ()
        if any(isinstance(value, np.ndarray) for value in values):
            self.faults.append(f"{record.name}:{record.lineno} logs an array: a picture or a template may be in it")
        try:
            record.getMessage()
        except (TypeError, ValueError, KeyError) as error:
            self.faults.append(f"{record.name}:{record.lineno} cannot be formatted: {record.msg!r}: {error}")


@pytest.fixture(autouse=True)
def every_log_record_is_sound() -> Iterator[None]:
    """Fail a test in which a record of the project cannot be formatted, or carries an array."""
    check = _RecordCheck()
    root = logging.getLogger()
    # A command that runs in this process points the log at a standard error that ends with its test.
    before = root.handlers[:], root.level
    loggers = [logging.getLogger(name) for name in ("device", "export_tools")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(check)
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(check)
        logger.setLevel(level)
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    if check.faults:
        pytest.fail("\n".join(check.faults), pytrace=False)


# ---- Parts


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of recorded clips and upstream files; tests that ask for it are marked and skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(SHARED_REASON)
    return SHARED


def _build(pack: str, *options: str) -> None:
    """Run `doorward-export build` as a user does."""
    command = ["-c", "from export_tools.cli import main; main()", "build", "--pack", pack, *options]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"the pack cannot be built:\n{done.stdout}{done.stderr}", pytrace=False)


def is_default_door(state: Path) -> bool:
    """Whether a state directory holds the pack ``door`` as the default recipe builds it from this checkout.

    An owner may have built it with another embedder or precision, or have calibrated it: then it answers otherwise.
    """
    from device.vision.manifest import Manifest
    from export_tools.recipe import BuildOptions, make_recipe

    try:
        manifest = Manifest.model_validate_json((state / "packs" / "door" / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    recipe = make_recipe("door", BuildOptions())
    return manifest.inputs_sha256 == recipe.inputs_sha256 and manifest.thresholds == recipe.card.thresholds


@pytest.fixture(scope="session")
def door_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State directory that holds the built pack ``door`` and the key it is vouched for with; not to be written to.

    install.sh has built it below the checkout; DOORWARD_PACK_STATE names another one; else, and where that pack is not
    the default one of this checkout, it is built for this run.
    """
    for state in (os.environ.get("DOORWARD_PACK_STATE"), ROOT / ".doorward"):
        if state and is_default_door(Path(state)):
            return Path(state)
    state = tmp_path_factory.mktemp("state")
    _build("door", "--target", "onnxruntime", "--state", str(state))
    return state


@pytest.fixture(scope="session")
def door_pack(door_state: Path) -> Path:
    """Folder of the built pack ``door``; not to be written to."""
    return door_state / "packs" / "door"


@pytest.fixture(scope="session")
def door_plus_state(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State directory with the built pack ``door-plus``; its upstream files come from the shared folder."""
    state = tmp_path_factory.mktemp("plus")
    options = ["--target", "onnxruntime", "--mirror", str(shared / "models"), "--state", str(state)]
    _build("door-plus", *options)
    return state


@pytest.fixture(scope="session")
def door_plus_pack(door_plus_state: Path) -> Path:
    """Folder of the built pack ``door-plus``; not to be written to."""
    return door_plus_state / "packs" / "door-plus"


@pytest.fixture(scope="session")
def door_plus_keys(door_plus_state: Path) -> StateKeys:
    """The keys that vouch for ``door_plus_pack``."""
    return StateKeys.derive(KeyFile(door_plus_state / "state.key").load())


@pytest.fixture(scope="session")
def door_keys(door_state: Path) -> StateKeys:
    """The keys that vouch for ``door_pack``."""
    return StateKeys.derive(KeyFile(door_state / "state.key").load())


@pytest.fixture(scope="session")
def demo_photos() -> dict[str, bytes]:
    """Photographs of the demo, JPEG bytes by file name (``obama.jpg`` ...), out of the cached archive."""
    from export_tools.sources.fetch import Fetcher, default_cache, fetch_photos

    return fetch_photos(fetcher=Fetcher(cache=default_cache()))
