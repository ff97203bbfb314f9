"""Returned means committed; apply and audit is one transaction; a person is erased without breaking the chain."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from device.app.ledger import Ledger
from device.audit.chain import GENESIS, Anchor, Fault
from device.audit.records import DecisionMade, Started, Stopped
from device.errors import StateError
from device.keys import StateKeys
from device.sim.clock import ManualClock
from device.store.database import Database
from device.types import Reason
from tests.audit.samples import HANDLE, NAME, decision


@pytest.fixture
def open_database(tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Open the database of one state directory; closed at the end of the test."""
    opened: list[Database] = []

    def open_it() -> Database:
        keys = StateKeys.derive(b"k" * 32)
        opened.append(Database.open(tmp_path / "state", keys=keys, quota_mb=8, reserve_pages=64, create=True))
        return opened[-1]

    yield open_it
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    """An open database."""
    return open_database()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def ledger(database: Database, clock: ManualClock) -> Ledger:
    """An empty ledger."""
    return Ledger(database, clock=clock, boot_id="boot-1")


def test_entries_are_numbered_chained_and_found_again(ledger: Ledger) -> None:
    """What record returns is what is stored."""
    written = [ledger.record(Stopped("orderly"), urgent=False) for _ in range(5)]
    assert list(ledger.entries()) == written
    assert [entry.seq for entry in written] == [1, 2, 3, 4, 5]
    assert ledger.head() == Anchor(5, written[-1].hash)
    assert ledger.verify(anchor=ledger.head()).sound


def test_an_empty_ledger_is_sound_and_begins_at_the_root(ledger: Ledger) -> None:
    """Nothing happened yet."""
    assert ledger.head() == GENESIS
    assert ledger.verify().sound
    assert list(ledger.entries()) == []


def test_the_chain_goes_on_after_a_restart(open_database: Callable[[], Database]) -> None:
    """With another boot id."""
    first = open_database()
    Ledger(first, clock=ManualClock(), boot_id="boot-1").record(Started("a"), urgent=False)
    first.close()
    again = Ledger(open_database(), clock=ManualClock(), boot_id="boot-2")
    again.record(Started("b"), urgent=False)
    assert [json.loads(entry.body)["boot_id"] for entry in again.entries()] == ["boot-1", "boot-2"]
    assert again.verify().sound


def test_what_was_rolled_back_leaves_neither_entry_nor_gap(database: Database, ledger: Ledger) -> None:
    """Apply and audit: one transaction."""
    ledger.record(Started("a"), urgent=False)

    def fail() -> None:
        with database.unit():
            ledger.record(Stopped("error"), urgent=True)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert ledger.record(Stopped("orderly"), urgent=False).seq == 2
    assert ledger.verify().sound


def test_when_the_commit_fails_nothing_is_returned(database: Database, ledger: Ledger) -> None:
    """No audit, no door: an exception, and no entry."""
    database.close()
    with pytest.raises(StateError):
        ledger.record(DecisionMade(decision()), urgent=True)


def test_entries_can_be_asked_for_in_parts(database: Database, ledger: Ledger) -> None:
    """After a number, at most so many; also more than one portion."""
    with database.unit():
        for _ in range(1203):
            ledger.record(Stopped("orderly"), urgent=False)
    assert [entry.seq for entry in ledger.entries(since=1198)] == [1199, 1200, 1201, 1202, 1203]
    assert [entry.seq for entry in ledger.entries(since=2, limit=2)] == [3, 4]
    assert len(list(ledger.entries(limit=700))) == 700
    assert list(ledger.entries(since=9999)) == []
    assert list(ledger.entries(limit=0)) == []
    assert ledger.verify().entries == 1203


def test_erasing_a_person_keeps_reasons_and_times_and_the_chain(ledger: Ledger) -> None:
    """And is itself recorded, without saying whose entries they were."""
    ledger.record(DecisionMade(decision(), name=NAME), urgent=True)
    ledger.record(DecisionMade(decision(Reason.NOT_LIVE, claimed="f" * 32), name="Bob"), urgent=False)
    assert ledger.erase_person(HANDLE, by_uid=1000) == 1
    entries = list(ledger.entries())
    assert (entries[0].personal, entries[0].salt) == (None, None)
    assert json.loads(entries[0].body)["data"]["reason"] == "granted"
    assert b"Bob" in (entries[1].personal or b"")
    assert json.loads(entries[2].body)["data"] == {"entries": 1, "by_uid": 1000}
    assert HANDLE.encode() not in b"".join(entry.body for entry in entries)
    verdict = ledger.verify()
    assert (verdict.sound, verdict.erased) == (True, 1)


def test_the_wall_clock_is_kept_with_the_word_whether_to_trust_it(ledger: Ledger, clock: ManualClock) -> None:
    """A clock in 2020 does not stop the audit."""
    clock.set_wall(datetime(2020, 1, 1, tzinfo=timezone.utc))
    clock.trusted = False
    clock.advance(5.0)
    body = json.loads(ledger.record(Stopped("orderly"), urgent=False).body)
    assert (body["wall"], body["wall_trusted"], body["monotonic_s"]) == ("2020-01-01T00:00:05.000+00:00", False, 5.0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = X'7B7D' WHERE seq = 2",
        "UPDATE audit SET hash = zeroblob(32) WHERE seq = 2",
        "UPDATE audit SET seq = 9 WHERE seq = 2",
        "UPDATE audit SET personal = X'7B7D' WHERE seq = 2",
        "UPDATE audit SET salt = zeroblob(32) WHERE seq = 2",
        "UPDATE audit SET personal = NULL WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "INSERT INTO audit (seq, body, hash) VALUES (7, X'7B7D', zeroblob(32))",
        "INSERT INTO audit (seq, body, hash) VALUES (2, X'7B7D', zeroblob(32))",
        "INSERT OR REPLACE INTO audit (seq, body, hash) VALUES (2, X'7B7D', zeroblob(32))",
    ],
)
def test_a_mistake_in_the_program_cannot_alter_the_chain(database: Database, ledger: Ledger, statement: str) -> None:
    """The table refuses."""
    for _ in range(3):
        ledger.record(DecisionMade(decision(), name=NAME), urgent=True)
    with pytest.raises(StateError), database.unit() as unit:
        unit.execute(statement)
    assert ledger.verify().entries == 3


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE audit SET body = X'7B7D' WHERE seq = 2", Fault.ALTERED_BODY),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 2", Fault.WRONG_HASH),
        ("DELETE FROM audit WHERE seq = 2", Fault.GAP),
        ("UPDATE audit SET salt = zeroblob(32) WHERE seq = 2", Fault.COMMITMENT_MISMATCH),
        ("DELETE FROM audit WHERE seq > 2", Fault.TRUNCATED),
        ("UPDATE audit SET personal = NULL, salt = NULL, person = NULL WHERE seq = 1", Fault.ERASED_UNRECORDED),
    ],
)
def test_an_attacker_with_the_key_is_found_out(
    database: Database, ledger: Ledger, statement: str, fault: Fault
) -> None:
    """Triggers dropped, rows altered in the real database: named by the verification."""
    for _ in range(4):
        ledger.record(DecisionMade(decision(), name=NAME), urgent=True)
    anchor = ledger.head()
    with database.unit() as unit:
        for trigger in ("audit_without_gaps", "audit_unalterable", "audit_undeletable"):
            unit.execute(f"DROP TRIGGER {trigger}")
        unit.execute(statement)
    verdict = ledger.verify(anchor=anchor)
    assert verdict.fault is fault


def test_many_threads_write_one_chain(ledger: Ledger) -> None:
    """No fork, no gap."""

    def write() -> None:
        for _ in range(25):
            ledger.record(Stopped("orderly"), urgent=False)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.verify().entries == 100
