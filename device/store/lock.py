"""One process owns the state directory: an advisory lock that the kernel drops with the process, however it dies."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import final

from device.errors import BusyError, FullError, StateError
from device.store.files import prepare_directory

LOCK_NAME = "doorward.lock"
_MAX_PID_DIGITS = 10


@final
class StateLock:
    """flock(2) on a file in the state directory, held until :meth:`release` or the end of the process.

    The file stays where it is: unlinking it would let two owners lock two files of one name.

    Args:
        directory: The state directory; made (mode 0700) when missing.
        name: The file; any other than that of the state's owner is a lock of its own.

    Raises:
        BusyError: Another process holds it; at once, naming its process id where known.
        FullError: The disk is full.
        StateError: The directory or file cannot be used.
    """

    def __init__(self, directory: Path, *, name: str = LOCK_NAME) -> None:
        prepare_directory(directory, create=True)
        path = directory / name
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StateError(f"cannot open {path}: {exc.strerror}", hint="choose a writable --state directory") from exc
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as exc:
            holder = _holder(self._descriptor)
            self.release()
            raise BusyError(
                f"the state directory {directory} belongs to {holder}",
                hint="a running daemon answers on its control socket; stop it to work on the state directly",
            ) from exc
        except OSError as exc:
            self.release()
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise FullError(f"cannot write {path}: {exc.strerror}", hint="make room on its disk") from exc
            raise StateError(f"cannot lock {path}: {exc.strerror}", hint="use a local file system") from exc

    def release(self) -> None:
        """Let go; harmless when let go already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> StateLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, _MAX_PID_DIGITS + 1, 0).strip()
    return f"process {text.decode()}" if text.isdigit() else "another process"
