"""The audit trail of this device: joins the store and the chain, so that "apply and audit" is one transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator

from device.audit.chain import GENESIS, SALT_BYTES, Anchor, Verdict, seal, verify
from device.audit.entry import Moment, Record, entry_body
from device.audit.records import PersonErased
from device.interfaces import Clock
from device.store.audit_rows import append_row, erase_rows, head_row, read_rows
from device.store.database import Database
from device.types import AuditEntry

#: Entries are read in such portions, so that a long export does not keep a visitor's entry waiting.
_PORTION = 500


class Ledger:
    """Appends, reads, verifies and erases audit entries. Safe to use from several threads.

    Args:
        database: The open database.
        clock: Both clocks.
        boot_id: Random word of this start of the program.
    """

    def __init__(self, database: Database, *, clock: Clock, boot_id: str) -> None:
        self._database = database
        self._clock = clock
        self._boot_id = boot_id

    def record(self, record: Record, *, urgent: bool) -> AuditEntry:
        """Append an entry. Returned means committed, or part of the caller's open unit and committed with it.

        Args:
            record: What happened.
            urgent: May use the reserve: granted decisions, what the door answered, alarms.

        Raises:
            FullError: No space left, for urgent ones not even in the reserve.
            StateError: It could not be committed.
            AuditError: The record has no canonical form.
        """
        moment = Moment(
            boot_id=self._boot_id,
            monotonic_s=self._clock.monotonic(),
            wall=self._clock.wall(),
            wall_trusted=self._clock.wall_trusted(),
        )
        body = entry_body(record, moment=moment)
        personal = record.personal()
        with self._database.unit(urgent=urgent) as unit:
            head = head_row(unit)
            previous = GENESIS if head is None else Anchor(*head)
            entry = seal(body, personal=personal, salt=os.urandom(SALT_BYTES), previous=previous)
            append_row(unit, entry, person=record.person)
        return entry

    def erase_person(self, handle: str, *, by_uid: int | None = None) -> int:
        """Erase the personal fields of every entry about a person, record that, return how many there were.

        Joins an open unit, so that removal and erasure are one transaction.

        Raises:
            StateError: It could not be committed; nothing was erased.
        """
        with self._database.unit(urgent=True) as unit:
            count = erase_rows(unit, person=handle)
            self.record(PersonErased(entries=count, by_uid=by_uid), urgent=True)
        return count

    def head(self) -> Anchor:
        """The chain's end."""
        head = head_row(self._database)
        return GENESIS if head is None else Anchor(*head)

    def entries(self, *, since: int = 0, limit: int | None = None) -> Iterator[AuditEntry]:
        """Entries with numbers above ``since``, in order, at most ``limit``; read as they are asked for."""
        left = limit
        while left is None or left > 0:
            portion = read_rows(self._database, after=since, limit=_PORTION if left is None else min(_PORTION, left))
            if not portion:
                return
            yield from portion
            since = portion[-1].seq
            if left is not None:
                left -= len(portion)

    def verify(self, *, anchor: Anchor | None = None) -> Verdict:
        """Check the whole chain; with an anchor known from elsewhere also against truncation and rewriting."""
        return verify(self.entries(), anchor=anchor)
