"""Where a pack is put together: beside its place, by one process at a time, moved there as a whole.

Whoever looks finds the old pack, the new one, or (for an instant, or after a power cut) none, never a mixture.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export_tools.sources.download import Reporter, sync_folder


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A folder beside the place of a pack; whatever is left in it goes with it."""
    workshop = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, down to the disk. Raises OSError."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def move_into_place(workshop: Path, target: Path) -> None:
    """Put a finished folder in the place of whatever is there. Raises OSError."""
    if os.path.lexists(target):
        discarded = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        try:
            target.rename(discarded / target.name)
            workshop.rename(target)
        finally:
            shutil.rmtree(discarded, ignore_errors=True)
    else:
        workshop.rename(target)
    sync_folder(target.parent)


@contextmanager
def locked(folder: Path, reporter: Reporter) -> Iterator[None]:
    """One builder at a time; it also clears away what a killed one left."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.note("waiting for another process that builds a pack here")
            fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in folder.glob(".*.*"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        os.close(handle)
