"""The checkout as data."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = (".ci", "config", "device", "docs", "export_tools", "models", "systemd", "tests")
LEFTOVERS = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> tuple[Path, ...]:
    """Every file that is part of the project: those at the top, and all below its folders."""
    top = (path for path in ROOT.iterdir() if path.is_file() and path.name not in {".setup.lock", ".git"})
    below = (
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not LEFTOVERS.intersection(path.parts)
    )
    return (*top, *below)
