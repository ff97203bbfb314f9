"""A `pycuda.driver` over a machine that is none; refuses what pycuda refuses."""

# ruff: noqa: ARG002 the signatures are those of the real module

from __future__ import annotations

import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.standins.gpu import DriverError, LogicError, Machine, aligned


def make_driver(machine: Machine) -> types.ModuleType:  # noqa: C901 a module
    """The module."""

    class Context:
        def __init__(self) -> None:
            self._valid = True
            machine.retained += 1

        def push(self) -> None:
            if not self._valid:
                raise LogicError("cuCtxPushCurrent failed: context is destroyed")
            machine.contexts.append(self)

        def detach(self) -> None:
            if not self._valid:
                raise LogicError("context::detach failed: invalid device context - cannot detach from invalid context")
            self._valid = False
            machine.contexts[:] = [context for context in machine.contexts if context is not self]
            machine.retained -= 1
            if not machine.retained:
                machine.unmap()

        @staticmethod
        def pop() -> None:
            if not machine.contexts:
                raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
            machine.contexts.pop()

    class Device:
        def __init__(self, ordinal: int) -> None:
            if not machine.initialised:
                raise LogicError("cuDeviceGet failed: initialization error")
            if ordinal >= machine.devices:
                raise LogicError("cuDeviceGet failed: invalid device ordinal")

        def name(self) -> str:
            return machine.gpu

        def compute_capability(self) -> tuple[int, int]:
            return machine.compute_capability

        def retain_primary_context(self) -> Context:
            return Context()

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            machine.check("cuStreamCreate")
            self._handle = 0x5000 + len(machine.queues)
            machine.queues[self._handle] = []

        @property
        def handle(self) -> int:
            return self._handle

        def synchronize(self) -> Stream:
            machine.check("cuStreamSynchronize")
            machine.drain(self._handle)
            return self

    class DeviceAllocation:
        def __init__(self, address: int) -> None:
            self._address: int | None = address

        def __int__(self) -> int:
            if self._address is None:
                raise LogicError("device_allocation failed: invalid resource handle")
            return self._address

        def free(self) -> None:
            if self._address is None:
                raise LogicError("device_allocation::free failed: invalid resource handle")
            machine.check("cuMemFree")
            for handle in machine.queues:  # waits for whoever still uses it
                machine.drain(handle)
            del machine.memory[self._address]
            self._address = None

    def init(flags: int = 0) -> None:
        if not machine.devices:
            raise DriverError("cuInit failed: no CUDA-capable device is detected")
        machine.initialised = True

    def pagelocked_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        machine.check("cuMemHostAlloc")
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        block = aligned(size)
        machine.locked.append(block)
        array: NDArray[Any] = block.view(dtype).reshape(shape)
        return array

    def mem_alloc(bytes: int) -> DeviceAllocation:  # noqa: A002 pycuda's name
        machine.check("cuMemAlloc")
        return DeviceAllocation(machine.allocate(bytes))

    def _host(array: NDArray[Any]) -> NDArray[np.uint8]:
        if not array.flags.forc:
            raise ValueError("ndarray is not contiguous")
        start = array.ctypes.data
        ends = [(block.ctypes.data, block.ctypes.data + block.size) for block in machine.locked]
        if not any(first <= start and start + array.nbytes <= last for first, last in ends):
            machine.pageable_copies += 1
        return array.view(np.uint8).reshape(-1)

    def memcpy_htod_async(dest: DeviceAllocation, src: NDArray[Any], stream: Stream) -> None:
        machine.check("cuMemcpyHtoDAsync")
        address, source = int(dest), _host(src)

        def copy() -> None:
            machine.at(address, source.size)[:] = source

        machine.queues[stream.handle].append(copy)

    def memcpy_dtoh_async(dest: NDArray[Any], src: DeviceAllocation, stream: Stream) -> None:
        machine.check("cuMemcpyDtoHAsync")
        address, target = int(src), _host(dest)

        def copy() -> None:
            target[:] = machine.at(address, target.size)

        machine.queues[stream.handle].append(copy)

    module: Any = types.ModuleType("pycuda.driver")
    module.Context, module.Device, module.Stream, module.DeviceAllocation = Context, Device, Stream, DeviceAllocation
    module.init, module.pagelocked_empty, module.mem_alloc = init, pagelocked_empty, mem_alloc
    module.memcpy_htod_async, module.memcpy_dtoh_async = memcpy_htod_async, memcpy_dtoh_async
    return module  # type: ignore[no-any-return]
