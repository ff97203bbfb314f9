"""The last line of a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import logging
import numpy as np
import pytest

def test_that_runs():
    pass

@pytest.mark.parametrize("number", [1, 2])
def test_with_clips(shared, number):
    pass

def test_with_a_part():
    pytest.importorskip("no_such_part", reason="needs a C++ compiler for hnswlib")
"""
LEAKING = """
import logging
import numpy as np

def test_an_array_in_a_debug_record():
    logging.getLogger("device.vision").debug("seen %s", np.zeros(128))
"""


def _run(folder: Path, root: Path, suite: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a suite of its own under the project's conftest, with no clips beside it."""
    tests = folder / "tests"
    tests.mkdir()
    shutil.copy(root / "tests" / "conftest.py", tests)
    (tests / "test_suite.py").write_text(suite)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  shared: x\n")
    variables = {**os.environ, "DOORWARD_SHARED": str(folder / "absent"), "DOORWARD_FAIL_ON_MISSING": "0"}
    variables["PYTHONPATH"] = str(root)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_the_last_line_counts_what_was_skipped_by_what_it_lacked(tmp_path: Path, root: Path) -> None:
    """A run that had to do without something passes, and says so at its very end."""
    done = _run(tmp_path, root, SUITE)
    last = done.stdout.splitlines()[-1]
    assert last == "skipped: 3 (2 need ../shared; 1 needs a C++ compiler for hnswlib)"
    assert done.returncode == 0


def test_a_run_that_must_be_complete_fails_when_a_test_was_skipped(tmp_path: Path, root: Path) -> None:
    """Nothing else has to go wrong."""
    done = _run(tmp_path, root, SUITE, "--doorward-fail-on-missing")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "this run may not do without them" in done.stdout.splitlines()[-1]


def test_a_log_record_with_an_array_fails_its_test(tmp_path: Path, root: Path) -> None:
    """Even below the level that anybody reads: it may be a template."""
    done = _run(tmp_path, root, LEAKING)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "logs an array" in done.stdout
