"""A wrong key, a damaged file, a planted file and a missing file are told apart, and none of them is changed."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlcipher3 import dbapi2  # type: ignore[import-untyped,import-not-found,unused-ignore]

from device.errors import BusyError, ConfigError, CorruptError, DoorwardError, StateError, WrongKeyError
from device.keys import StateKeys
from device.store.database import Database
from device.store.driver import make_database, migrate
from device.store.files import CHECK_NAME, DATABASE_NAME, check_private_file
from device.store.schema import SchemaStep, schema_steps
from tests.store.conftest import OpenStore


def _flip(path: Path, offset: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 0x10
    path.write_bytes(raw)


def _fill(database: Database) -> None:
    with database.unit() as unit:
        for number in range(200):
            unit.execute(
                "INSERT INTO people (handle, name, enabled, enrolled_at) VALUES (?, ?, 1, '')",
                f"{number:032x}",
                "x" * 180,
            )


def test_what_was_written_is_there_after_reopening(open_store: OpenStore) -> None:
    """The plainest promise."""
    first = open_store()
    _fill(first)
    first.close()
    assert open_store(create=False).rows("SELECT count(*) FROM people") == [(200,)]


def test_no_file_holds_plaintext_and_all_are_private(open_store: OpenStore, state: Path) -> None:
    """Neither the table's text nor SQLite's own header can be read from the disk."""
    database = open_store()
    _fill(database)
    for path in state.iterdir():
        raw = path.read_bytes()
        assert b"SQLite format 3" not in raw
        assert b"xxxxxxxx" not in raw
        assert path.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_state_directory_of_somebody_else_is_refused(
    open_store: OpenStore, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode 0700 says nothing where the owner is not us. Seen with another user's eyes: giving away takes root."""
    open_store().close()
    ours = state.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    with pytest.raises(StateError, match="belongs to user id"):
        open_store(create=False)


def test_a_database_of_somebody_else_is_refused(
    open_store: OpenStore, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a directory of ours."""
    open_store().close()
    ours = state.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    with pytest.raises(StateError, match="belongs to user id"):
        check_private_file(state / DATABASE_NAME)


def test_each_promised_setting_is_in_force(open_store: OpenStore) -> None:
    """Durability and erasure hang on these."""
    database = open_store()
    settings = {
        name: database.rows(f"PRAGMA {name}")[0][0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "temp_store", "trusted_schema")
    }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "temp_store": 2,
        "trusted_schema": 0,
    }
    assert database.rows("PRAGMA cipher_version")[0][0]


def test_another_devices_key_is_a_wrong_key_not_damage(open_store: OpenStore, other_keys: StateKeys) -> None:
    """State copied to another device refuses to open, and says why."""
    open_store().close()
    with pytest.raises(WrongKeyError) as refused:
        open_store(keys=other_keys)
    assert refused.value.exit_code == 77


@pytest.mark.parametrize("offset", [0, 15, 16, 100, 2000, 4090])
def test_a_flipped_bit_in_the_first_page_is_damage_not_a_wrong_key(
    open_store: OpenStore, state: Path, offset: int
) -> None:
    """SQLCipher's own message is the same for both."""
    database = open_store()
    _fill(database)
    database.close()
    _flip(state / DATABASE_NAME, offset)
    with pytest.raises(CorruptError) as refused:
        open_store()
    assert type(refused.value) is CorruptError


def test_a_flipped_bit_in_any_other_page_is_found_by_the_integrity_check(open_store: OpenStore, state: Path) -> None:
    """Each page carries its own authentication."""
    database = open_store()
    _fill(database)
    database.close()
    pages = (state / DATABASE_NAME).stat().st_size // 4096
    for page in range(1, pages):
        _flip(state / DATABASE_NAME, page * 4096 + 1234)
        damaged = open_store()
        assert damaged.integrity()
        damaged.close()
        _flip(state / DATABASE_NAME, page * 4096 + 1234)
    assert open_store().integrity() == ()


def test_reading_a_damaged_page_raises_and_returns_no_row(open_store: OpenStore, state: Path) -> None:
    """Broken is an exception."""
    database = open_store()
    _fill(database)
    root = database.rows("SELECT rootpage FROM sqlite_master WHERE name = 'people'")[0][0]
    database.close()
    _flip(state / DATABASE_NAME, (root - 1) * 4096 + 50)
    with pytest.raises(CorruptError):
        open_store().rows("SELECT * FROM people")


@pytest.mark.parametrize("size", [0, 1, 4095])
def test_a_database_cut_short_is_damage_not_a_new_database(open_store: OpenStore, state: Path, size: int) -> None:
    """An empty file would be taken for a fresh gallery without anybody in it."""
    open_store().close()
    path = state / DATABASE_NAME
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptError):
        open_store()


def test_a_planted_plaintext_database_is_refused(open_store: OpenStore, state: Path) -> None:
    """Somebody else's gallery does not open the door."""
    open_store().close()
    path = state / DATABASE_NAME
    path.unlink()
    with sqlite3.connect(path) as planted:
        planted.execute("CREATE TABLE people (handle TEXT)")
    planted.close()
    path.chmod(0o600)
    with pytest.raises(StateError, match="plaintext"):
        open_store()


def test_a_missing_database_beside_its_key_check_is_not_made_anew(open_store: OpenStore, state: Path) -> None:
    """Deleting the gallery must not lead to an empty one that nobody notices."""
    open_store().close()
    (state / DATABASE_NAME).unlink()
    with pytest.raises(StateError, match="gone"):
        open_store(create=True)
    assert not (state / DATABASE_NAME).exists()


def test_a_log_without_its_database_is_not_replayed_into_a_new_one(open_store: OpenStore, state: Path) -> None:
    """SQLite would."""
    state.mkdir(mode=0o700)
    (state / f"{DATABASE_NAME}-wal").write_bytes(b"old")
    with pytest.raises(StateError, match="gone"):
        open_store(create=True)


def test_without_create_nothing_is_made(open_store: OpenStore, state: Path) -> None:
    """A reader does not leave an empty state behind."""
    with pytest.raises(StateError):
        open_store(create=False)
    assert not state.exists()


def test_a_making_cut_short_before_the_key_check_is_completed(open_store: OpenStore, state: Path) -> None:
    """The database opened, so the key is right."""
    open_store().close()
    (state / CHECK_NAME).unlink()
    open_store(create=False).close()
    assert (state / CHECK_NAME).exists()


def test_without_key_check_and_with_another_key_nobody_claims_to_know_why(
    open_store: OpenStore, state: Path, other_keys: StateKeys
) -> None:
    """Wrong key or damage cannot be told apart then, and no key check is written."""
    open_store().close()
    (state / CHECK_NAME).unlink()
    with pytest.raises(StateError, match="missing") as refused:
        open_store(keys=other_keys)
    assert not isinstance(refused.value, CorruptError | WrongKeyError)
    assert not (state / CHECK_NAME).exists()


@pytest.mark.parametrize("content", [b"", b"doorward-kcv-1 00\n", b"\x00" * 80, b"doorward-kcv-1 " + b"g" * 64 + b"\n"])
def test_a_damaged_key_check_is_named(open_store: OpenStore, state: Path, content: bytes) -> None:
    """It is the file to restore, not the database."""
    open_store().close()
    (state / CHECK_NAME).write_bytes(content)
    with pytest.raises(CorruptError, match=CHECK_NAME):
        open_store()


@pytest.mark.parametrize("name", [DATABASE_NAME, CHECK_NAME])
def test_a_file_open_to_others_is_refused_with_the_command_that_helps(
    open_store: OpenStore, state: Path, name: str
) -> None:
    """A backup restored without its modes."""
    open_store().close()
    (state / name).chmod(0o644)
    with pytest.raises(StateError) as refused:
        open_store()
    assert refused.value.hint == f"chmod 600 {state / name}"


def test_a_making_that_fails_leaves_nothing_behind(
    open_store: OpenStore, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole or not at all."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fail)
        with pytest.raises(StateError, match="No space"):
            open_store()
    assert list(state.iterdir()) == []
    open_store()


def test_a_key_of_another_length_is_refused_before_it_becomes_a_passphrase(
    open_store: OpenStore, state: Path, keys: StateKeys
) -> None:
    """SQLCipher would stretch it without a word."""
    with pytest.raises(StateError, match="32 bytes"):
        open_store(keys=replace(keys, database=b"short"))
    assert not (state / DATABASE_NAME).exists()


def test_a_newer_schema_is_refused_and_not_touched(open_store: OpenStore, state: Path, keys: StateKeys) -> None:
    """An old program does not write into what it does not understand."""
    open_store().close()
    connection = dbapi2.connect(str(state / DATABASE_NAME), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{keys.database.hex()}'\"")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (state / DATABASE_NAME).read_bytes()
    with pytest.raises(StateError, match="schema 99"):
        open_store()
    assert (state / DATABASE_NAME).read_bytes() == before


def test_an_old_database_is_taken_through_each_step_it_lacks(tmp_path: Path, keys: StateKeys) -> None:
    """Rows of the old version are still there."""
    path = tmp_path / "old.db"
    make_database(path, keys=keys, steps=schema_steps())
    newer = (*schema_steps(), SchemaStep(version=len(schema_steps()) + 1, sql="CREATE TABLE extra (a TEXT) STRICT;"))
    connection = dbapi2.connect(str(path), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{keys.database.hex()}'\"")
    connection.execute("INSERT INTO people (handle, name, enabled, enrolled_at) VALUES (?, 'A', 1, '')", ("a" * 32,))
    migrate(connection, steps=newer)
    migrate(connection, steps=newer)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(newer),)
    assert connection.execute("SELECT count(*) FROM people, (SELECT count(*) FROM extra)").fetchone() == (1,)
    connection.close()


def test_a_step_that_fails_half_way_changes_nothing(tmp_path: Path, keys: StateKeys) -> None:
    """Schema and version move together or not at all."""
    path = tmp_path / "old.db"
    make_database(path, keys=keys, steps=schema_steps())
    broken = SchemaStep(
        version=len(schema_steps()) + 1, sql="CREATE TABLE extra (a TEXT); CREATE TABLE people (b TEXT);"
    )
    connection = dbapi2.connect(str(path), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{keys.database.hex()}'\"")
    with pytest.raises(StateError):
        migrate(connection, steps=(*schema_steps(), broken))
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema_steps()),)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
    connection.close()


def test_a_second_writer_is_refused_at_once(open_store: OpenStore) -> None:
    """The state lock keeps others out; should it not, nobody waits and nothing is written twice."""
    first, second = open_store(), open_store()
    with first.unit(), pytest.raises(BusyError), second.unit():
        pytest.fail("two writers")


def test_a_reserve_that_leaves_no_room_is_a_mistake_of_the_configuration(open_store: OpenStore) -> None:
    """Named with both keys."""
    with pytest.raises(ConfigError, match=r"audit\.reserve_pages.*audit\.quota_mb"):
        open_store(quota_mb=1, reserve_pages=256)


def test_every_error_of_opening_says_what_to_do(open_store: OpenStore, state: Path, other_keys: StateKeys) -> None:
    """No error without a hint, no key in a message."""
    open_store().close()
    attempts: tuple[dict[str, Any], ...] = (
        {"keys": other_keys},
        {"directory": state / "none", "create": False},
        {"directory": state / DATABASE_NAME, "create": False},
    )
    for attempt in attempts:
        with pytest.raises(DoorwardError) as refused:
            open_store(**attempt)
        assert refused.value.hint
        assert other_keys.database.hex() not in str(refused.value)
