"""A crash of the daemon writes nothing of what it knew."""

from __future__ import annotations

import subprocess
import sys


def test_a_daemon_leaves_no_core_dump_and_cannot_be_looked_into() -> None:
    """Asked of the kernel in a process of its own, because there is no way back."""
    script = (
        "import ctypes, resource; from device.commands.memory import keep_memory_private; keep_memory_private();"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["(0,", "0)", "0"]
