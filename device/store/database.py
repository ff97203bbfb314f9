"""The open database: transactions, quota and reserve, integrity, traces of what was erased.

Measured: with WAL and synchronous=FULL no acknowledged commit was lost in 600 simulated power cuts; with NORMAL up to
25 were. A full disk refuses deletes and checkpoints too, hence the quota (``max_page_count``) and the ballast.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.errors import ConfigError, CorruptError, FullError, StateError
from device.keys import StateKeys
from device.store.creation import open_state_files
from device.store.driver import (
    WAL_PAGES,
    Row,
    Value,
    change,
    configure,
    connect,
    full_error,
    make_database,
    migrate,
    run,
)
from device.store.files import BALLAST_NAME, DATABASE_NAME, Ballast, write_check
from device.store.schema import schema_steps

PAGES_PER_MB = 256
#: An urgent unit that finds less free disk than this lets the ballast go: one log of full length, twice.
_SCARCE_BYTES = 2 * WAL_PAGES * 4096


@dataclass(frozen=True, slots=True)
class Space:
    """How full the database is.

    Attributes:
        used_pages: Pages of 4 KiB that hold something.
        ordinary_pages: Ordinary entries end here.
        quota_pages: Urgent entries end here.
        ballast: Whether the disk space for urgent entries is held back.
    """

    used_pages: int
    ordinary_pages: int
    quota_pages: int
    ballast: bool

    @property
    def share(self) -> float:
        """Used part of what ordinary entries may use, 0..1 and above."""
        return self.used_pages / self.ordinary_pages


class Unit:
    """One transaction; made by :meth:`Database.unit`, dead once it ends."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.urgent = False
        self.scrub = False
        self.doomed = False

    def execute(self, sql: str, *values: Value) -> int:
        """Run one statement, return the number of rows it changed. Raises StateError and its kinds."""
        return self._run(sql, values)[1]

    def rows(self, sql: str, *values: Value) -> list[Row]:
        """Run one query, see also the unit's own changes. Raises StateError and its kinds."""
        return self._run(sql, values)[0]

    def erase_traces(self) -> None:
        """After the commit, overwrite what this unit deleted wherever the files still hold it."""
        self.scrub = True

    def _run(self, sql: str, values: tuple[Value, ...]) -> tuple[list[Row], int]:
        # After some errors SQLite has rolled back on its own: whatever came next would be committed by itself.
        if self.doomed:
            raise StateError("this transaction is over", hint="start the operation again")
        try:
            return change(self._connection, sql, *values)
        except StateError:
            self.doomed = True
            raise


class Database:
    """The open database; one connection, one lock, any number of threads. Made by :meth:`open`."""

    def __init__(self, connection: Any, *, directory: Path, ordinary_pages: int, quota_pages: int) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._unit: Unit | None = None
        self._ordinary_pages = ordinary_pages
        self._quota_pages = quota_pages
        self._scrub_pending = False
        reserve = quota_pages - ordinary_pages
        self._ballast = Ballast(directory / BALLAST_NAME, size=4096 * (reserve + 2 * WAL_PAGES))
        self._ballast.fill()

    @classmethod
    def open(cls, directory: Path, *, keys: StateKeys, quota_mb: int, reserve_pages: int, create: bool) -> Database:
        """Open the database of a state directory, migrating it where it is older than the program.

        The caller holds the :class:`device.store.lock.StateLock`.

        Args:
            directory: The state directory, mode 0700; made when ``create``.
            keys: Its keys.
            quota_mb: The database never grows beyond so many MiB.
            reserve_pages: Pages of 4 KiB that only urgent units may use.
            create: Make the database where there is none.

        Raises:
            WrongKeyError: The key does not belong to this database.
            CorruptError: The key does, and the file is damaged.
            FullError: No space to open or make it.
            ConfigError: The reserve leaves no room for anything else.
            StateError: Missing, plaintext, open to other users, made by a newer version.
        """
        quota_pages = quota_mb * PAGES_PER_MB
        ordinary_pages = quota_pages - reserve_pages
        if ordinary_pages < PAGES_PER_MB // 2:
            raise ConfigError(
                f"audit.reserve_pages ({reserve_pages}) leaves too little of audit.quota_mb ({quota_mb})",
                hint="a page has 4 KiB: raise audit.quota_mb or lower audit.reserve_pages",
            )
        steps = schema_steps()
        path = directory / DATABASE_NAME
        check = open_state_files(
            directory,
            check=keys.check,
            create=(lambda aside: make_database(aside, keys=keys, steps=steps)) if create else None,
        )
        connection = connect(path, keys=keys)
        try:
            try:
                configure(connection)
                migrate(connection, steps=steps)
            except CorruptError as exc:
                if check.exists():
                    raise
                raise StateError(
                    f"{path} does not open, and the key-check file that could tell why is missing",
                    hint="either the key is another one or the file is damaged: restore both files from their backup",
                ) from exc
            if not check.exists():
                # The database opened, so the key is right: making it was cut short just before this file.
                try:
                    write_check(check, check=keys.check)
                except OSError as exc:
                    raise StateError(f"cannot write {check}: {exc.strerror}", hint="check the disk") from exc
            return cls(connection, directory=directory, ordinary_pages=ordinary_pages, quota_pages=quota_pages)
        except BaseException:
            connection.close()
            raise

    @contextmanager
    def unit(self, *, urgent: bool = False) -> Iterator[Unit]:
        """One transaction: committed when the block ends, rolled back when it raises; an inner unit joins the outer.

        Args:
            urgent: May use the reserve: granted entries, alarms, erasure. Joined from inside, the whole unit is urgent.

        Raises:
            FullError: No space; nothing has changed.
            StateError: Anything else that kept it from being committed; nothing has changed.
        """
        with self._lock:
            if self._unit is not None:
                if urgent:
                    self._use_reserve(self._unit)
                try:
                    yield self._unit
                except BaseException:
                    self._unit.doomed = True
                    raise
                return
            unit = Unit(self._connection)
            self._begin(unit, urgent=urgent)
            self._unit = unit
            try:
                yield unit
                self._commit(unit)
            except BaseException:
                unit.doomed = True
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise
            finally:
                unit.doomed = True
                self._unit = None
            if unit.scrub or self._scrub_pending:
                self._scrub()

    def rows(self, sql: str, *values: Value) -> list[Row]:
        """Run one query outside or inside a unit. Raises StateError and its kinds."""
        with self._lock:
            return run(self._connection, sql, *values)

    def integrity(self) -> tuple[str, ...]:
        """Every problem found by checking each page's authentication and the whole structure; empty when sound.

        Reads the whole file and keeps everybody else waiting meanwhile: not for a daemon with a visitor at the door.
        """
        with self._lock:
            try:
                problems = [str(row[0]) for row in run(self._connection, "PRAGMA cipher_integrity_check")]
                problems += [str(row[0]) for row in run(self._connection, "PRAGMA integrity_check")]
                problems += [
                    f"foreign key: {row[0]} {row[1]}" for row in run(self._connection, "PRAGMA foreign_key_check")
                ]
            except CorruptError as exc:
                return (exc.message,)
        return tuple(problem for problem in problems if problem != "ok")

    def space(self) -> Space:
        """How full it is."""
        with self._lock:
            return Space(
                used_pages=self._used_pages(),
                ordinary_pages=self._ordinary_pages,
                quota_pages=self._quota_pages,
                ballast=self._ballast.whole,
            )

    @property
    def scrub_pending(self) -> bool:
        """Whether traces of something erased still wait to be overwritten (tried again with each commit)."""
        return self._scrub_pending

    def close(self) -> None:
        """Close it; harmless when closed already."""
        with self._lock:
            self._connection.close()

    def _begin(self, unit: Unit, *, urgent: bool) -> None:
        if urgent:
            self._use_reserve(unit)
        else:
            if not self._ballast.fill():
                raise FullError(
                    "the disk is full: only urgent entries are still written",
                    hint="make room on the disk that holds the state directory",
                )
            self._limit(self._ordinary_pages)
        run(self._connection, "BEGIN IMMEDIATE")

    def _use_reserve(self, unit: Unit) -> None:
        if unit.urgent:
            return
        unit.urgent = True
        self._limit(self._quota_pages)
        if self._ballast.whole and self._ballast.free_bytes() < _SCARCE_BYTES:
            try:
                self._ballast.release()
            except OSError as exc:
                raise StateError(f"cannot free the reserve: {exc.strerror}", hint="check the disk") from exc

    def _commit(self, unit: Unit) -> None:
        if unit.doomed:
            raise StateError("a part of this transaction failed", hint="see the error before this one")
        # max_page_count cannot go below the present size, so what urgent units took would leave their half-filled
        # pages to ordinary ones.
        if not unit.urgent and self._used_pages() > self._ordinary_pages:
            raise full_error()
        run(self._connection, "COMMIT")

    def _scrub(self) -> None:
        # secure_delete has zeroed the cells in the newest version of each page; older versions lie in the log.
        # What cannot be done now is no reason to report a committed unit as failed.
        try:
            busy = run(self._connection, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
            self._scrub_pending = bool(busy)
        except StateError:
            self._scrub_pending = True

    def _limit(self, pages: int) -> None:
        run(self._connection, f"PRAGMA max_page_count = {pages:d}")

    def _used_pages(self) -> int:
        pages = int(run(self._connection, "PRAGMA page_count")[0][0])
        return pages - int(run(self._connection, "PRAGMA freelist_count")[0][0])
