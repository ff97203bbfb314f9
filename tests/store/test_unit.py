"""A unit of work is committed as a whole or not at all."""

from __future__ import annotations

import threading

import pytest

from device.errors import StateError
from device.store.database import Database, Unit
from tests.store.conftest import OpenStore


def _add(unit: Unit, number: int) -> None:
    unit.execute("INSERT INTO people (handle, name, enabled, enrolled_at) VALUES (?, 'A', 1, '')", f"{number:032x}")


def _count(database: Database) -> int:
    return int(database.rows("SELECT count(*) FROM people")[0][0])


def test_an_exception_rolls_everything_back(open_store: OpenStore) -> None:
    """Whatever raised it."""
    database = open_store()

    def fail_late() -> None:
        with database.unit() as unit:
            _add(unit, 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail_late()
    assert _count(database) == 0


def test_an_inner_unit_is_committed_with_the_outer_one(open_store: OpenStore) -> None:
    """Apply and audit is one transaction."""
    database = open_store()

    def fail_outside() -> None:
        with database.unit() as unit:
            with database.unit() as inner:
                _add(inner, 1)
            _add(unit, 2)
            raise KeyError

    with pytest.raises(KeyError):
        fail_outside()
    assert _count(database) == 0


def test_swallowing_an_inner_failure_does_not_commit_a_half(open_store: OpenStore) -> None:
    """The outer unit refuses."""
    database = open_store()

    def fail_inside() -> None:
        with database.unit():
            raise KeyError

    def swallow() -> None:
        with database.unit() as unit:
            _add(unit, 1)
            with pytest.raises(KeyError):
                fail_inside()

    with pytest.raises(StateError):
        swallow()
    assert _count(database) == 0


def test_after_a_failed_statement_nothing_more_is_written(open_store: OpenStore) -> None:
    """SQLite may have rolled back by itself: the next statement would be committed alone."""
    database = open_store()

    def go_on() -> None:
        with database.unit() as unit:
            _add(unit, 1)
            with pytest.raises(StateError):
                _add(unit, 1)
            _add(unit, 2)

    with pytest.raises(StateError):
        go_on()
    assert _count(database) == 0


def test_a_unit_is_dead_once_it_has_ended(open_store: OpenStore) -> None:
    """Kept by mistake, it writes nothing."""
    database = open_store()
    with database.unit() as unit:
        _add(unit, 1)
    with pytest.raises(StateError):
        _add(unit, 2)
    assert _count(database) == 1


def test_threads_share_the_connection_without_seeing_each_others_halves(open_store: OpenStore) -> None:
    """Readers wait for the writer's end."""
    database = open_store()
    seen: list[int] = []
    inside = threading.Event()

    def read() -> None:
        inside.wait()
        seen.append(_count(database))

    reader = threading.Thread(target=read)
    reader.start()
    with database.unit() as unit:
        _add(unit, 1)
        inside.set()
        _add(unit, 2)
    reader.join()
    assert seen == [2]


def test_many_threads_lose_nothing(open_store: OpenStore) -> None:
    """Four writers, 25 rows each."""
    database = open_store()

    def write(first: int) -> None:
        for number in range(first, first + 25):
            with database.unit() as unit:
                _add(unit, number)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _count(database) == 100
    assert database.integrity() == ()
