"""What encryption and integrity checks cannot see: old pages and a shorter log are genuine. The anchor sees them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.app.ledger import Ledger
from device.audit.chain import Anchor, Fault, Verdict
from device.audit.records import Stopped
from device.keys import StateKeys
from device.sim.clock import ManualClock
from device.store.database import Database
from device.store.files import DATABASE_NAME


def _open(state: Path) -> Database:
    return Database.open(state, keys=StateKeys.derive(b"k" * 32), quota_mb=8, reserve_pages=64, create=True)


def _write(database: Database, count: int) -> Anchor:
    ledger = Ledger(database, clock=ManualClock(), boot_id="boot")
    for _ in range(count):
        ledger.record(Stopped("orderly"), urgent=False)
    return ledger.head()


def _verify(state: Path, anchor: Anchor | None) -> Verdict:
    database = _open(state)
    try:
        assert database.integrity() == ()
        return Ledger(database, clock=ManualClock(), boot_id="boot").verify(anchor=anchor)
    finally:
        database.close()


@pytest.fixture
def images(tmp_path: Path) -> Iterator[tuple[Path, Path, Anchor]]:
    """Two images of the files as a power cut would leave them, after 30 and after 40 entries, and the later anchor."""
    database = _open(tmp_path / "state")
    _write(database, 30)
    early = shutil.copytree(tmp_path / "state", tmp_path / "early")
    anchor = _write(database, 10)
    late = shutil.copytree(tmp_path / "state", tmp_path / "late")
    yield early, late, anchor
    database.close()


def test_after_a_power_cut_everything_committed_is_there(images: tuple[Path, Path, Anchor]) -> None:
    """The control: the log is replayed."""
    _, late, anchor = images
    assert (late / f"{DATABASE_NAME}-wal").stat().st_size > 0
    verdict = _verify(late, anchor)
    assert (verdict.sound, verdict.entries) == (True, 40)


def test_an_old_copy_of_the_state_is_sound_in_itself_and_found_by_the_anchor(
    images: tuple[Path, Path, Anchor],
) -> None:
    """Somebody puts back yesterday's card."""
    early, _, anchor = images
    assert _verify(early, None).sound
    assert _verify(early, anchor).fault is Fault.TRUNCATED


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_harmed_log_loses_its_tail_and_the_anchor_finds_it(images: tuple[Path, Path, Anchor], harm: str) -> None:
    """What is left is whole; what is missing is named."""
    _, late, anchor = images
    log = late / f"{DATABASE_NAME}-wal"
    raw = bytearray(log.read_bytes())
    raw[32 + 100] ^= 1
    if harm == "flip":
        log.write_bytes(raw)
    elif harm == "cut":
        log.write_bytes(raw[:20])
    else:
        log.unlink()
        (late / f"{DATABASE_NAME}-shm").unlink(missing_ok=True)
    assert _verify(late, None).sound
    assert _verify(late, anchor).fault is Fault.TRUNCATED
