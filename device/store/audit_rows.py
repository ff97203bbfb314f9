"""The audit table: rows in, rows out; hashing and meaning are others' business."""

from __future__ import annotations

from device.store.database import Database, Unit
from device.store.driver import Row
from device.types import AuditEntry

_COLUMNS = "seq, body, hash, personal, salt"


def head_row(source: Unit | Database) -> tuple[int, bytes] | None:
    """Number and hash of the last entry; None in an empty table."""
    rows = source.rows("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    return (rows[0][0], rows[0][1]) if rows else None


def append_row(unit: Unit, entry: AuditEntry, *, person: str | None) -> None:
    """Add one entry; ``person`` finds it again when that person is erased.

    Raises:
        FullError: No space.
        StateError: The number is not the next one.
    """
    unit.execute(
        "INSERT INTO audit (seq, body, hash, personal, salt, person) VALUES (?, ?, ?, ?, ?, ?)",
        entry.seq,
        entry.body,
        entry.hash,
        entry.personal,
        entry.salt,
        person if entry.personal is not None else None,
    )


def erase_rows(unit: Unit, *, person: str) -> int:
    """Empty personal fields and salts of all entries about a person, return how many there were."""
    unit.erase_traces()
    return unit.execute("UPDATE audit SET personal = NULL, salt = NULL, person = NULL WHERE person = ?", person)


def read_rows(database: Database, *, after: int, limit: int) -> tuple[AuditEntry, ...]:
    """At most ``limit`` entries with numbers above ``after``, in order."""
    rows = database.rows(f"SELECT {_COLUMNS} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)  # noqa: S608
    return tuple(_entry(row) for row in rows)


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(seq=row[0], body=row[1], hash=row[2], personal=row[3], salt=row[4])
