"""New files for what is about people: nobody else can read them, and nothing that is there is overwritten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from device.errors import UsageError


def make_private_file(path: Path) -> int:
    """Make a new file of mode 0600, whatever the umask; the descriptor is the caller's to close.

    Raises:
        UsageError: Something of that name exists, be it a link that leads nowhere, or the file cannot be made.
    """
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise UsageError(f"cannot make {path}: {exc.strerror}", hint="name a file that does not exist yet") from exc


def new_private_file(path: Path) -> TextIO:
    """The same, as a text file to write into (UTF-8, line breaks as they are given). Raises UsageError."""
    return os.fdopen(make_private_file(path), "w", encoding="utf-8", newline="")
