"""The state directory: key, lock, database, audit trail."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from device.app.ledger import Ledger
from device.config import Config
from device.errors import BusyError, FullError, StateError, UsageError
from device.interfaces import Clock
from device.keys import KeyFile, StateKeys
from device.store.database import Database
from device.store.files import BALLAST_NAME, CHECK_NAME, DATABASE_NAME
from device.store.lock import StateLock

KEY_NAME = "state.key"
DEMO_LOCK_NAME = "demo.lock"


def key_source(state: Path, *, create: bool = False) -> KeyFile:
    """Where the state key comes from; made only in a state directory that holds nothing yet."""
    return KeyFile(state / KEY_NAME, create=create and not (state / DATABASE_NAME).exists())


def state_keys(state: Path, *, create: bool = False) -> StateKeys:
    """The keys of a state directory. Raises StateError."""
    return StateKeys.derive(key_source(state, create=create).load())


@dataclass(frozen=True, slots=True)
class State:
    """The state directory, owned: lock, database, audit trail and people."""

    directory: Path
    keys: StateKeys
    database: Database
    ledger: Ledger
    clock: Clock


@contextmanager
def open_state(directory: Path, config: Config, *, clock: Clock, create: bool) -> Iterator[State]:
    """Own the state directory until the end of the block. Raises BusyError, StateError."""
    with ExitStack() as stack:
        stack.enter_context(StateLock(directory))
        keys = state_keys(directory, create=create)
        audit = config.audit
        database = Database.open(
            directory, keys=keys, quota_mb=audit.quota_mb, reserve_pages=audit.reserve_pages, create=create
        )
        stack.callback(database.close)
        ledger = Ledger(database, clock=clock, boot_id=secrets.token_hex(8))
        yield State(directory=directory, keys=keys, database=database, ledger=ledger, clock=clock)


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """What goes wrong with the files of a state directory until the end of the block, told as what it is.

    Raises:
        FullError: The disk is full.
        StateError: Anything else that the system refuses.
    """
    try:
        yield
    except OSError as exc:
        kind = FullError if exc.errno in (errno.ENOSPC, errno.EDQUOT) else StateError
        raise kind(
            f"cannot write into {directory}: {exc.strerror or exc}",
            hint="make room on its disk" if kind is FullError else "choose a writable --state directory",
        ) from exc


def own_demo(directory: Path) -> StateLock:
    """Keep other demos away from a demo's state directory, also between its commands, until the lock is released.

    Raises:
        BusyError: Another demo runs on it; at once.
        StateError: The directory cannot be used.
    """
    try:
        return StateLock(directory, name=DEMO_LOCK_NAME)
    except BusyError as exc:
        raise BusyError(f"another demo runs: {exc.message}", hint="wait for its end, or name another --state") from exc


def empty_state(directory: Path) -> None:
    """Remove database and audit trail of a demo's state directory; key and packs stay.

    Raises:
        UsageError: It is not a demo's: nothing is removed there.
        BusyError: A daemon runs on it.
        FullError, StateError: The directory cannot be written.
    """
    marker = directory / "THIS_IS_A_DEMO"
    with StateLock(directory), writing(directory):
        if (directory / DATABASE_NAME).exists() and not marker.exists():
            raise UsageError(f"{directory} holds a gallery that is not the demo's", hint="name another --state")
        marker.touch()
        for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", CHECK_NAME, BALLAST_NAME):
            (directory / name).unlink(missing_ok=True)
