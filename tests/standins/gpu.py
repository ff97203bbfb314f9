"""A machine with a GPU that is none: what pycuda and TensorRT find when they are stood in for.

Device memory is host memory at real addresses, filled with NaN, and reached through the stand-ins alone. Work that is
enqueued on a stream runs when somebody waits for the stream, never before: whoever forgets to wait reads old values.
A wild address breaks the machine for good, as it does with CUDA.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ALIGNMENT = 256
Bytes = NDArray[np.uint8]


class DriverError(RuntimeError):
    """Root of pycuda's exceptions."""


class LogicError(DriverError):
    """The driver was used wrongly."""


def aligned(size: int) -> Bytes:
    """Bytes at an address that CUDA could have given."""
    whole = np.full(size + ALIGNMENT, 0xFF, np.uint8)
    start = -whole.ctypes.data % ALIGNMENT
    return whole[start : start + size]


@dataclass
class Machine:
    """One computer.

    Its fields say what it is; its counters, what happened to it.
    """

    gpu: str = "Orin"
    compute_capability: tuple[int, int] = (8, 7)
    devices: int = 1
    tensorrt: str = "10.3.0"
    workspace_needed_bytes: int = 1 << 20
    refuses_execution: bool = False
    memory: dict[int, Bytes] = field(default_factory=dict)
    locked: list[Bytes] = field(default_factory=list)
    """Page-locked host memory."""
    queues: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    contexts: list[object] = field(default_factory=list)
    """Current ones, the topmost last."""
    retained: int = 0
    initialised: bool = False
    broken: bool = False
    pageable_copies: int = 0
    timed: int = 0
    """Kernels that were timed because no timing cache knew them."""

    def check(self, what: str) -> None:
        """What nearly every call does first. Raises LogicError."""
        if self.broken:
            raise LogicError(f"{what} failed: an illegal memory access was encountered")
        if not self.contexts:
            raise LogicError(f"{what} failed: invalid device context - no currently active context?")

    def allocate(self, size: int) -> int:
        """Address of new device memory."""
        block = aligned(size)
        self.memory[block.ctypes.data] = block
        return int(block.ctypes.data)

    def at(self, address: int, size: int) -> Bytes:
        """Device memory. Raises LogicError, from now on for everything, where none was allocated."""
        for start, block in self.memory.items():
            if start <= address and address + size <= start + block.size:
                return block[address - start : address - start + size]
        self.broken = True
        raise LogicError("cuStreamSynchronize failed: an illegal memory access was encountered")

    def unmap(self) -> None:
        """What the driver does when the last context is given back: nothing that lay there can be read any more."""
        self.memory.clear()
        for block in self.locked:
            block[:] = 0xFF
        self.locked.clear()

    def drain(self, handle: int) -> None:
        """Run what was enqueued."""
        queue = self.queues[handle]
        while queue:
            queue.pop(0)()


def install(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Let `import tensorrt` and `import pycuda.driver` find the stand-ins on this machine."""
    from tests.standins.fake_pycuda import make_driver
    from tests.standins.fake_tensorrt import make_tensorrt

    driver = make_driver(machine)
    package: Any = types.ModuleType("pycuda")
    package.driver = driver
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt(machine))
    return machine


def remove(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the import of these modules fail."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
