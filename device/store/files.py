"""The files of a state directory: modes, the key-check file, the ballast that keeps disk space for urgent entries."""

from __future__ import annotations

import hmac
import os
import re
import stat
from pathlib import Path

from device.errors import CorruptError, StateError, WrongKeyError

DATABASE_NAME = "doorward.db"
CHECK_NAME = "doorward.kcv"
BALLAST_NAME = "doorward.reserve"

_CHECK_FORMAT = re.compile(rb"doorward-kcv-1 ([0-9a-f]{64})\n")
_PLAINTEXT_HEADER = b"SQLite format 3\x00"
_PAGE_BYTES = 4096


def prepare_directory(directory: Path, *, create: bool) -> None:
    """Make the state directory (mode 0700) or check that it is ours and nobody else's. Raises StateError."""
    try:
        if create:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as exc:
        raise StateError(f"cannot use the state directory {directory}: {exc.strerror}", hint="check --state") from exc
    if not stat.S_ISDIR(status.st_mode):
        raise StateError(f"{directory} is not a directory", hint="check --state")
    _check_owner(directory, status)
    if status.st_mode & 0o077:
        raise StateError(f"the state directory {directory} is open to other users", hint=f"chmod 700 {directory}")


def check_private_file(path: Path) -> None:
    """Raises StateError unless ``path`` is a regular file (no link), ours, that nobody else can read or write."""
    try:
        status = path.lstat()
    except OSError as exc:
        raise StateError(f"cannot read {path}: {exc.strerror}", hint="check --state") from exc
    if not stat.S_ISREG(status.st_mode):
        raise StateError(f"{path} is not a regular file", hint="restore it from its backup")
    _check_owner(path, status)
    if status.st_mode & 0o077:
        raise StateError(f"{path} is open to other users", hint=f"chmod 600 {path}")


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Its owner could open it to others at any time, and put anything there; root's own eyes do not change that."""
    if status.st_uid != os.geteuid():
        raise StateError(
            f"{path} belongs to user id {status.st_uid}, this is user id {os.geteuid()}",
            hint="run as its owner, or name another --state; chown it only if you know what is in it",
        )


def check_encrypted(path: Path) -> None:
    """Look at the first bytes of a database: an encrypted one starts with a random salt.

    Raises:
        StateError: It is a plaintext database, which the driver without a key would have made or read happily.
        CorruptError: It is shorter than a page: the driver would take it for a new database.
    """
    with path.open("rb") as file:
        head = file.read(len(_PLAINTEXT_HEADER))
    if head == _PLAINTEXT_HEADER:
        raise StateError(
            f"{path} is a plaintext database, not one of Doorward's",
            hint="somebody put it there: look at who could write to the directory, restore the backup",
        )
    if path.stat().st_size < _PAGE_BYTES:
        raise CorruptError(f"{path} is cut off", hint="restore the state directory from its backup")


def check_key(path: Path, *, check: bytes) -> None:
    """Compare the key-check file with ``check`` (32 bytes) in constant time.

    Raises:
        WrongKeyError: It was written under another key.
        CorruptError: The file is damaged.
    """
    check_private_file(path)
    with path.open("rb") as file:
        match = _CHECK_FORMAT.fullmatch(file.read(128))
    if match is None:
        raise CorruptError(
            f"the key-check file {path} is damaged",
            hint="restore it from its backup, or remove it: it is written again once the database opens",
        )
    if not hmac.compare_digest(bytes.fromhex(match[1].decode()), check):
        raise WrongKeyError(
            f"the key does not belong to {path.with_name(DATABASE_NAME)}",
            hint="the state was copied from another device or the key was replaced: restore the key that belongs to it",
        )


def write_check(path: Path, *, check: bytes) -> None:
    """Write the key-check file whole or not at all. Raises OSError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"doorward-kcv-1 " + check.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames and links in ``directory`` survive a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Ballast:
    """Disk space held back in a file of its own, let go when an urgent entry finds the disk full.

    A quota bounds the database but cannot stop others from filling the disk; and on a full disk SQLite cannot even
    delete, because deleting writes.

    Args:
        path: The file.
        size: Bytes to hold back.
    """

    def __init__(self, path: Path, *, size: int) -> None:
        self._path = path
        self._size = size
        self._whole = False

    @property
    def whole(self) -> bool:
        """Whether the space is held back now."""
        return self._whole

    def fill(self) -> bool:
        """Hold the space back (again); False where the disk has not got it. Harmless when held already."""
        if self._whole:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size)
                os.ftruncate(descriptor, self._size)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, 0)
                return False
            finally:
                os.close(descriptor)
        except OSError:
            return False
        self._whole = True
        return True

    def release(self) -> None:
        """Give the space to whoever writes next. Raises OSError."""
        os.truncate(self._path, 0)
        self._whole = False

    def free_bytes(self) -> int:
        """Space on the disk that this process may still use, without the ballast."""
        status = os.statvfs(self._path.parent)
        return status.f_bavail * status.f_frsize
