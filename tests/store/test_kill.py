"""A process killed in the middle of its work loses nothing that it has acknowledged."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from device.app.ledger import Ledger
from device.audit.chain import Anchor
from device.sim.clock import ManualClock
from device.store.people import count_people
from tests.store.conftest import OpenStore

_ROOT = Path(__file__).resolve().parents[2]


def _run_and_kill(state: Path, *, after: int) -> Anchor:
    """Let a writer acknowledge ``after`` entries, kill it while it goes on; the last one that it acknowledged."""
    command = [sys.executable, "-m", "tests.store.writer", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(after)]
        writer.kill()
        lines += writer.stdout.readlines()
    seq, digest = next(line for line in reversed(lines) if line.endswith("\n")).split()
    return Anchor(int(seq), bytes.fromhex(digest))


def _drill(state: Path, open_store: OpenStore, *, kills: int) -> None:
    chance = random.Random(2026)  # noqa: S311  # repeatable, not secret
    for _ in range(kills):
        acknowledged = _run_and_kill(state, after=chance.randint(1, 40))
        database = open_store(quota_mb=64)
        verdict = Ledger(database, clock=ManualClock(), boot_id="boot").verify(anchor=acknowledged)
        assert verdict.sound, verdict
        # At most the one entry that was committed and could not be acknowledged any more.
        assert verdict.head.seq in (acknowledged.seq, acknowledged.seq + 1)
        assert count_people(database) == verdict.entries
        assert database.integrity() == ()
        database.close()


def test_a_killed_writer_loses_nothing_it_acknowledged(state: Path, open_store: OpenStore) -> None:
    """Chain, people and integrity after each of five kills; the lock is free each time."""
    _drill(state, open_store, kills=5)


@pytest.mark.full
def test_two_hundred_killed_writers_lose_nothing_they_acknowledged(state: Path, open_store: OpenStore) -> None:
    """The full size of the drill."""
    _drill(state, open_store, kills=200)
