"""One process owns the state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device.errors import BusyError, StateError
from device.store.lock import LOCK_NAME, StateLock

_HOLDER = """
import sys, pathlib
from device.store.lock import StateLock
lock = StateLock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_owner_is_refused_at_once_and_told_who_holds_the_state(state: Path) -> None:
    """Two daemons: the second exits."""
    with StateLock(state), pytest.raises(BusyError, match=f"process {os.getpid()}"):
        StateLock(state)


def test_a_released_lock_can_be_taken_again(state: Path) -> None:
    """Releasing twice is harmless."""
    lock = StateLock(state)
    lock.release()
    lock.release()
    StateLock(state).release()


def test_the_lock_of_a_killed_process_is_free(state: Path) -> None:
    """The kernel drops it with the process; no stale pid file keeps the door shut."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"process {holder.pid}"):
            StateLock(state)
        holder.kill()
        holder.wait()
    StateLock(state).release()


def test_the_lock_makes_a_private_directory_and_file(state: Path) -> None:
    """Nobody else looks into the state."""
    with StateLock(state):
        assert state.stat().st_mode & 0o777 == 0o700
        assert (state / LOCK_NAME).stat().st_mode & 0o777 == 0o600


def test_a_directory_open_to_others_is_refused_with_the_command_that_helps(state: Path) -> None:
    """The hint is exact."""
    state.mkdir(mode=0o755)
    with pytest.raises(StateError) as refused:
        StateLock(state)
    assert refused.value.hint == f"chmod 700 {state}"


def test_a_link_in_the_place_of_the_lock_is_refused(state: Path, tmp_path: Path) -> None:
    """Nobody lets us truncate somebody else's file."""
    state.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (state / LOCK_NAME).symlink_to(victim)
    with pytest.raises(StateError):
        StateLock(state)
    assert victim.read_text() == "precious"
