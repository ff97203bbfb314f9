"""The numbered schema files, in order and without gaps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

from device.errors import StateError

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """One schema file: takes a database of ``version - 1`` to ``version``; run inside one transaction."""

    version: int
    sql: str


def schema_steps() -> tuple[SchemaStep, ...]:
    """All steps that this version of the program knows. Raises StateError when the installation has gaps."""
    steps = []
    for entry in resources.files("device.store").joinpath("schema").iterdir():
        match = _FILE_NAME.fullmatch(entry.name)
        if match is not None:
            steps.append(SchemaStep(version=int(match[1]), sql=entry.read_text(encoding="utf-8")))
    steps.sort(key=lambda step: step.version)
    if not steps or [step.version for step in steps] != list(range(1, len(steps) + 1)):
        raise StateError("the schema files of this installation are incomplete", hint="install Doorward again")
    return tuple(steps)
