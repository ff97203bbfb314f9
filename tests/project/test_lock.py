"""The lock files hold what pyproject.toml asks for, and nothing unpinned."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomli
from packaging.requirements import Requirement

from export_tools.lock import MACHINES, MAY_LACK_A_WHEEL, PYTHONS, SOURCES, Target, requirement_name, requirements

TARGETS = [Target(python, machine) for python in PYTHONS for machine in MACHINES]
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9A-Za-z.+!]+) --hash=sha256:[0-9a-f]{64}")


def _pins(path: Path) -> dict[str, str]:
    """Versions by name; every line that is no remark must be a whole pin."""
    pins = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            match = PIN.fullmatch(line)
            assert match, f"{path.name}: {line}"
            pins[match["name"]] = match["version"]
    return pins


@pytest.fixture(scope="session")
def record(root: Path) -> dict[str, Any]:
    """What the last resolution recorded."""
    loaded: dict[str, Any] = json.loads((root / "config" / "lock" / "results.json").read_text())
    return loaded


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_lock_covers_every_requirement_of_its_target(root: Path, record: dict[str, Any], target: Target) -> None:
    """Each requirement is pinned at a version it allows; what is left out is on record and may be left out."""
    pins = _pins(root / "config" / "lock" / f"{target.name}.txt")
    left_out = set(record["targets"][target.name]["left_out"])
    assert left_out <= MAY_LACK_A_WHEEL
    wanted = requirements(target.machine)
    for item in (*wanted.firm, *wanted.optional):
        requirement, name = Requirement(item), requirement_name(item)
        if name in left_out:
            assert name not in pins
        else:
            assert requirement.specifier.contains(pins[name]), item


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_record_tells_of_this_lock(root: Path, record: dict[str, Any], target: Target) -> None:
    """The record and the files come from the same resolution."""
    path = root / "config" / "lock" / f"{target.name}.txt"
    entry = record["targets"][target.name]
    assert entry["packages"] == len(_pins(path))
    assert path.read_text().splitlines()[0].endswith(f"glibc >= {entry['glibc']}")


@pytest.mark.parametrize("extra", SOURCES)
def test_sources_are_pinned_at_the_version_the_extra_names(root: Path, extra: str) -> None:
    """What is built is known by its hash before it is unpacked."""
    pins = _pins(root / "config" / "lock" / f"{extra}.txt")
    assert pins == dict(SOURCES[extra])
    project = tomli.loads((root / "pyproject.toml").read_text())["project"]
    for item in project["optional-dependencies"][extra]:
        name = requirement_name(item)
        assert name not in pins or Requirement(item).specifier.contains(pins[name])


def test_pip_itself_is_pinned(root: Path) -> None:
    """The installer is part of what is installed."""
    assert set(_pins(root / "config" / "lock" / "pip.txt")) == {"pip"}
