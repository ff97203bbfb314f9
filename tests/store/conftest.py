"""A state directory, its keys, and databases that are closed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.keys import StateKeys
from device.store.database import Database

OpenStore = Callable[..., Database]


@pytest.fixture
def keys() -> StateKeys:
    """The keys of this device."""
    return StateKeys.derive(b"k" * 32)


@pytest.fixture
def other_keys() -> StateKeys:
    """The keys of another device."""
    return StateKeys.derive(b"o" * 32)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def open_store(state: Path, keys: StateKeys) -> Iterator[OpenStore]:
    """Open the database of ``state``; closed at the end of the test."""
    opened: list[Database] = []

    def open_it(
        directory: Path = state,
        *,
        keys: StateKeys = keys,
        quota_mb: int = 8,
        reserve_pages: int = 64,
        create: bool = True,
    ) -> Database:
        database = Database.open(directory, keys=keys, quota_mb=quota_mb, reserve_pages=reserve_pages, create=create)
        opened.append(database)
        return database

    yield open_it
    for database in opened:
        database.close()
