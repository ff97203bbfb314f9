"""The timing cache: how long kernels took, so that the next build on this GPU need not try them again.

It only saves time: one that cannot be read, or is of another TensorRT or GPU, is not used, and that is said. TensorRT
reads what is in it as it is, so one that anybody else may have written is not used either.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from export_tools.sources.download import Reporter, sync_folder

if TYPE_CHECKING:
    import tensorrt as trt

_MAX_BYTES: Final = 256 << 20


def attach_timing_cache(config: trt.IBuilderConfig, path: Path, *, reporter: Reporter) -> None:
    """Build with the timings in a file, or with none where there are none for this TensorRT and GPU."""
    known = _read(path, reporter=reporter)
    if known:
        cache = config.create_timing_cache(known)
        if cache is not None and config.set_timing_cache(cache, False):
            return
        reporter.note(f"the timing cache {path} is damaged or of another TensorRT or GPU and is not used")
    empty = config.create_timing_cache(b"")
    if empty is None or not config.set_timing_cache(empty, False):
        reporter.note("TensorRT takes no timing cache")


def save_timing_cache(config: trt.IBuilderConfig, path: Path, *, reporter: Reporter) -> None:
    """Put the timings into the file, those that another build put there meanwhile included."""
    cache = config.get_timing_cache()
    if cache is None:
        return
    there = _read(path, reporter=reporter)
    other = config.create_timing_cache(there) if there else None
    if other is not None:
        cache.combine(other, False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of mode 0600, whatever the umask.
        handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(cache.serialize())
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as exc:
        reporter.note(f"the timing cache {path} cannot be written: {exc.strerror}")


def _read(path: Path, *, reporter: Reporter) -> bytes:
    """Nothing where there is nothing to be had."""
    try:
        # O_NONBLOCK: a named pipe in the file's place must not hold up the build.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if doubt := _doubt(os.fstat(handle)):
                reporter.note(f"the timing cache {path} {doubt} and is not used")
                return b""
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            reporter.note(f"the timing cache {path} is a symbolic link and is not used")
        else:
            reporter.note(f"the timing cache {path} cannot be read: {exc.strerror}")
        return b""
    return data if len(data) <= _MAX_BYTES else b""


def _doubt(status: os.stat_result) -> str:
    """Why somebody else may have written a file; empty where nobody may."""
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    return "can be written by other users" if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ""
