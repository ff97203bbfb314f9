"""What must be true of the files before the driver sees them, and how a database is made: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from device.errors import StateError
from device.store.files import (
    CHECK_NAME,
    DATABASE_NAME,
    check_encrypted,
    check_key,
    check_private_file,
    prepare_directory,
    sync_directory,
    write_check,
)


def open_state_files(directory: Path, *, check: bytes, create: Callable[[Path], None] | None) -> Path:
    """Check the files of a state directory, or make them.

    The order of making is: a complete database under another name, its link into place, the key-check file. Cut short
    in between, the next start finds a database without a key-check file, which opens with the key.

    Args:
        directory: The state directory.
        check: The key-check value, 32 bytes.
        create: Makes a database at the given path; None where a missing database is an error.

    Returns:
        The path of the key-check file, which may be missing.

    Raises:
        WrongKeyError, CorruptError, StateError: See :meth:`device.store.database.Database.open`.
    """
    prepare_directory(directory, create=create is not None)
    database = directory / DATABASE_NAME
    check_file = directory / CHECK_NAME
    try:
        if not os.path.lexists(database):
            _refuse_remains(directory)
            if create is None:
                raise StateError(
                    f"there is no database in {directory}",
                    hint="`doorward enroll` or `doorward run` makes one; or check --state",
                )
            _create(database, create=create)
            write_check(check_file, check=check)
        check_private_file(database)
        check_encrypted(database)
        if os.path.lexists(check_file):
            check_key(check_file, check=check)
    except OSError as exc:
        raise StateError(f"cannot use {directory}: {exc.strerror}", hint="check the disk and --state") from exc
    return check_file


def _refuse_remains(directory: Path) -> None:
    # A new database beside an old log would have the old log replayed into it.
    for name in (CHECK_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-journal"):
        if os.path.lexists(directory / name):
            raise StateError(
                f"the database in {directory} is gone, but {name} is there",
                hint="restore the database from its backup; to begin with nothing, empty the directory yourself",
            )


def _create(database: Path, *, create: Callable[[Path], None]) -> None:
    for left_over in database.parent.glob(f".{database.name}.*"):
        left_over.unlink()
    aside = database.with_name(f".{database.name}.{os.getpid()}")
    os.close(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        create(aside)
        # A link, unlike a rename, never replaces what somebody else has made meanwhile.
        os.link(aside, database)
    finally:
        aside.unlink()
    sync_directory(database.parent)
