"""The only module that knows the database driver: keyed connections, settings, migrations, its errors in our words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

# The driver comes without types.
from sqlcipher3 import dbapi2 as driver  # type: ignore[import-untyped,import-not-found,unused-ignore]

from device.errors import BusyError, CorruptError, FullError, StateError
from device.keys import StateKeys
from device.store.schema import SchemaStep

#: The write-ahead log is folded into the database after so many pages: 0.25 MiB, some sixteen entries. SQLite's own
#: 1000 pages would let the log outgrow the ballast.
WAL_PAGES = 64

_RAW_KEY = re.compile(r"x'[0-9a-f]{64}'")
_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26

Value = None | int | float | str | bytes
Row = tuple[Any, ...]


def migrate(connection: Any, *, steps: tuple[SchemaStep, ...]) -> None:
    """Apply the steps that a database lacks, each in one transaction. Raises StateError for a newer schema."""
    version = int(run(connection, "PRAGMA user_version")[0][0])
    if version > len(steps):
        raise StateError(
            f"the database has schema {version}, this program knows {len(steps)}",
            hint="install the version of Doorward that wrote it, or a newer one",
        )
    for step in steps[version:]:
        _apply(connection, step=step)


def _apply(connection: Any, *, step: SchemaStep) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{step.sql}\nPRAGMA user_version = {step.version:d};\nCOMMIT;")
    except driver.Error as exc:
        if connection.in_transaction:
            connection.rollback()
        raise translate(exc) from exc


def translate(error: Exception) -> StateError:
    """The project's own error for one of the driver's."""
    code = int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == _FULL:
        return full_error()
    if code in (_CORRUPT, _NOTADB):
        return CorruptError(f"the database is damaged: {error}", hint="restore the state directory from its backup")
    if code in (_BUSY, _LOCKED):
        return BusyError("the database is in use by another process", hint="stop the other process")
    if code in (_IOERR, _READONLY, _CANTOPEN):
        # A full disk shows so too, where it keeps the shared memory or the log from being made.
        return StateError(
            f"the database cannot be read or written: {error}", hint="check the disk: full, read-only or failing"
        )
    return StateError(f"the database refused: {error}", hint="this is a mistake in the program: report it")


def full_error() -> FullError:
    """No space, be it the quota or the disk."""
    return FullError(
        "the database has used up its quota or the disk",
        hint="raise audit.quota_mb or make room on the disk that holds the state directory",
    )


def run(connection: Any, sql: str, *values: Value) -> list[Row]:
    """Run one statement, return its rows. Raises StateError and its kinds."""
    return change(connection, sql, *values)[0]


def change(connection: Any, sql: str, *values: Value) -> tuple[list[Row], int]:
    """Run one statement, return its rows and how many rows it changed. Raises StateError and its kinds."""
    try:
        cursor = connection.execute(sql, values)
        return list(cursor.fetchall()), int(cursor.rowcount)
    except driver.Error as exc:
        raise translate(exc) from exc


def connect(path: Path, *, keys: StateKeys) -> Any:
    """Open a file with its key, nothing read yet. Raises StateError."""
    raw_key = f"x'{keys.database.hex()}'"
    # A key of any other form would be taken for a passphrase, without a word.
    if _RAW_KEY.fullmatch(raw_key) is None:
        raise StateError("the database key has not 32 bytes", hint="restore the state key from its backup")
    try:
        connection = driver.connect(str(path), isolation_level=None, check_same_thread=False, timeout=0)
    except driver.Error as exc:
        raise translate(exc) from exc
    try:
        run(connection, f'PRAGMA key = "{raw_key}"')
        # It would otherwise write page numbers and errors to standard error.
        run(connection, "PRAGMA cipher_log_level = NONE")
        _check_encrypts(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_encrypts(connection: Any) -> None:
    version = run(connection, "PRAGMA cipher_version")
    if not version or not version[0][0]:
        raise StateError("the database driver cannot encrypt", hint="install sqlcipher3, not sqlite3")


def configure(connection: Any) -> None:
    """Read the first page and set what is promised, verified one by one. Raises CorruptError, StateError."""
    run(connection, "SELECT count(*) FROM sqlite_master")
    for name, value, expected in (
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", 2),
        ("foreign_keys", "ON", 1),
        ("secure_delete", "ON", 1),
        ("temp_store", "MEMORY", 2),
        ("trusted_schema", "OFF", 0),
        ("wal_autocheckpoint", str(WAL_PAGES), WAL_PAGES),
    ):
        run(connection, f"PRAGMA {name} = {value}")
        if run(connection, f"PRAGMA {name}")[0][0] != expected:
            raise StateError(f"the database does not accept {name} = {value}", hint="use a local file system")


def make_database(path: Path, *, keys: StateKeys, steps: tuple[SchemaStep, ...]) -> None:
    """Make an encrypted database with the newest schema in an empty file. Raises StateError."""
    connection = connect(path, keys=keys)
    try:
        run(connection, "PRAGMA synchronous = FULL")
        migrate(connection, steps=steps)
    finally:
        connection.close()
