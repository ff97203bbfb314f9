"""What a running door holds in memory (templates, the state key) stays out of files and away from debuggers."""

from __future__ import annotations

import ctypes
import os
import resource

from device.errors import DoorwardError

#: prctl(2): neither a core dump nor ptrace(2) by the same user.
_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """No core dumps, and no other process of this user may look into this one; for the rest of the process's life.

    A crash would otherwise write keys and templates to the disk in plaintext, readable for as long as the file stays.

    Raises:
        DoorwardError: The kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise DoorwardError(f"core dumps cannot be switched off: {os.strerror(ctypes.get_errno())}", hint="use Linux")
