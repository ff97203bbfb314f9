"""When space runs out, strangers' denials stop first; a granted entry is still written; then the door stays shut."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.app.ledger import Ledger
from device.audit.records import DecisionMade
from device.errors import FullError
from device.sim.clock import ManualClock
from device.store.database import Database
from device.store.files import BALLAST_NAME, Ballast
from device.store.people import remove_person
from device.types import Decision, Reason
from tests.store.conftest import OpenStore
from tests.store.samples import enrolled


def _decision(reason: Reason) -> DecisionMade:
    person = "a" * 32 if reason is Reason.GRANTED else None
    return DecisionMade(
        Decision(
            reason=reason,
            person=person,
            claimed=person,
            similarity=0.9,
            runner_up=None,
            votes=3,
            track=1,
            frame_number=1,
            captured_s=1.0,
            decided_s=1.0,
            first_usable_s=1.0,
            claimed_s=1.0,
            liveness=None,
        )
    )


_DENIAL = _decision(Reason.NO_MATCH)
_GRANT = _decision(Reason.GRANTED)


#: Written in one transaction while there is much room: a thousand single commits take their time.
_BATCH = 20


class _Book:
    """A ledger that is written until it is full; grants are urgent, denials are not."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ledger = Ledger(database, clock=ManualClock(), boot_id="boot")

    def write(self, record: DecisionMade, *, count: int = 1) -> None:
        urgent = record.decision.granted
        with self.database.unit(urgent=urgent):
            for _ in range(count):
                self.ledger.record(record, urgent=urgent)

    def refuses(self, record: DecisionMade, *, count: int = 1) -> bool:
        try:
            self.write(record, count=count)
        except FullError:
            return True
        return False

    def fill(self, record: DecisionMade) -> int:
        batches = next(number for number in range(1000) if self.refuses(record, count=_BATCH))
        return batches * _BATCH + next(number for number in range(1000) if self.refuses(record))


def test_a_grant_is_written_when_denials_no_longer_are(open_store: OpenStore) -> None:
    """Strangers cannot lock people out by being denied a thousand times."""
    database = open_store(quota_mb=1, reserve_pages=64)
    book = _Book(database)
    book.fill(_DENIAL)
    assert database.space().used_pages <= database.space().ordinary_pages
    for _ in range(20):
        book.write(_GRANT)
        assert book.refuses(_DENIAL)


def test_a_denial_never_takes_room_that_a_grant_has_opened(open_store: OpenStore, tmp_path: Path) -> None:
    """Not even the rest of a page: the reserve holds as many grants with denials between them as without."""
    counts = []
    for between in (False, True):
        database = open_store(tmp_path / f"between_{between}", quota_mb=1, reserve_pages=32)
        book = _Book(database)
        book.fill(_DENIAL)
        count = 0
        while not book.refuses(_GRANT, count=5):
            count += 5
            assert not between or book.refuses(_DENIAL)
        counts.append(count)
    assert counts[0] == counts[1]
    assert counts[0] >= 150


def test_at_the_very_end_a_grant_is_refused_and_the_chain_is_whole(open_store: OpenStore) -> None:
    """No audit, no door; and what was written stays."""
    database = open_store(quota_mb=1, reserve_pages=64)
    book = _Book(database)
    written = book.fill(_DENIAL)
    written += book.fill(_GRANT)
    assert book.refuses(_GRANT)
    assert database.space().used_pages <= database.space().quota_pages == 256
    verdict = book.ledger.verify()
    assert (verdict.sound, verdict.entries) == (True, written)
    assert database.integrity() == ()


def test_somebody_can_be_removed_from_a_full_database(open_store: OpenStore) -> None:
    """Erasure may use the reserve, down to the traces."""
    database = open_store(quota_mb=1, reserve_pages=64)
    book = _Book(database)
    person = enrolled(database)
    book.fill(_DENIAL)
    with database.unit(urgent=True) as unit:
        remove_person(unit, person.handle)
        book.ledger.erase_person(person.handle)
    assert not database.scrub_pending
    assert database.rows("SELECT count(*) FROM templates") == [(0,)]


def test_an_urgent_unit_inside_an_ordinary_one_makes_the_whole_urgent(open_store: OpenStore) -> None:
    """Apply and audit: the outer part must not fail for want of what the inner part may use."""
    database = open_store(quota_mb=1, reserve_pages=64)
    book = _Book(database)
    book.fill(_DENIAL)
    with database.unit():
        book.write(_GRANT)
    assert book.ledger.verify().sound


def test_a_larger_quota_helps_at_once(open_store: OpenStore) -> None:
    """The hint of the error is true."""
    database = open_store(quota_mb=1, reserve_pages=64)
    _Book(database).fill(_DENIAL)
    database.close()
    _Book(open_store(quota_mb=2, reserve_pages=64)).write(_DENIAL)


def test_a_ballast_holds_and_frees_its_space(tmp_path: Path) -> None:
    """Filling twice is harmless."""
    ballast = Ballast(tmp_path / BALLAST_NAME, size=1 << 20)
    assert ballast.fill()
    assert ballast.fill()
    assert (tmp_path / BALLAST_NAME).stat().st_blocks * 512 >= 1 << 20
    ballast.release()
    assert not ballast.whole
    assert (tmp_path / BALLAST_NAME).stat().st_size == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB, mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


def _fill_disk(place: Path) -> Path:
    junk = place / "junk"
    with junk.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    return junk


def test_on_a_full_disk_grants_are_written_and_denials_are_not(small_disk: Path, open_store: OpenStore) -> None:
    """Somebody else's files have taken the space: the ballast was kept for this."""
    database = open_store(small_disk / "state", quota_mb=64)
    book = _Book(database)
    book.write(_DENIAL)
    junk = _fill_disk(small_disk)
    book.fill(_DENIAL)
    for _ in range(200):
        book.write(_GRANT)
    assert book.refuses(_DENIAL)
    assert not database.space().ballast
    assert book.ledger.verify().sound
    # Room again: everything works without a restart, and the ballast is kept again.
    junk.unlink()
    book.write(_DENIAL)
    assert database.space().ballast
    assert book.ledger.verify().sound
    assert database.integrity() == ()


def test_when_the_ballast_is_used_up_too_a_grant_is_refused_and_nothing_breaks(
    small_disk: Path, open_store: OpenStore
) -> None:
    """The end of the disk: an error, whole data, and recovery once there is room."""
    database = open_store(small_disk / "state", quota_mb=64)
    book = _Book(database)
    junk = _fill_disk(small_disk)
    denied = book.fill(_DENIAL)
    granted = book.fill(_GRANT)
    assert granted >= 200
    verdict = book.ledger.verify()
    assert (verdict.sound, verdict.entries) == (True, denied + granted)
    database.close()
    reopened = open_store(small_disk / "state", quota_mb=64)
    assert _Book(reopened).ledger.verify().entries == denied + granted
    assert _Book(reopened).refuses(_DENIAL)
    junk.unlink()
    _Book(reopened).write(_DENIAL)
    assert reopened.integrity() == ()


def test_a_disk_too_full_to_make_a_database_says_so_and_leaves_nothing(small_disk: Path, open_store: OpenStore) -> None:
    """First start on a full card."""
    state = small_disk / "state"
    state.mkdir(mode=0o700)
    junk = _fill_disk(small_disk)
    with pytest.raises(FullError):
        open_store(state)
    assert list(state.iterdir()) == []
    junk.unlink()
    open_store(state)
