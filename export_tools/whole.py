"""Files that are there whole or not at all: read up to a limit; written beside their place, flushed, moved there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from device.errors import NotFoundError, UsageError


def read_limited(path: Path, *, limit: int, hint: str) -> bytes:
    """A file that a person named, of ``limit`` bytes at most.

    Raises:
        NotFoundError: It cannot be read.
        UsageError: It is larger; ``hint`` says what to do.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as exc:
        raise NotFoundError(f"cannot read {path}: {exc.strerror}", hint="check the path") from exc
    if len(data) > limit:
        raise UsageError(f"{path} is larger than {limit} bytes", hint=hint)
    return data


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put a file in the place of whatever is there; a power cut leaves the old one or the new one. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes | str, *, mode: int = 0o600) -> None:
    """What a person asked for under a name of their choice: readable by nobody else, unless ``mode`` says so.

    Raises:
        UsageError: It cannot be written there.
    """
    try:
        replace_file(path, data.encode() if isinstance(data, str) else data, mode=mode)
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}", hint="name a file in a writable folder") from exc
