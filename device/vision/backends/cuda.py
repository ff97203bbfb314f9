"""Context, memory and stream of a CUDA device: the only module that imports pycuda.

pycuda is imported when a device is opened, never before: it does not exist where there is no NVIDIA GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError

if TYPE_CHECKING:
    from pycuda import driver

_INSTALL = "install pycuda beside the CUDA that JetPack brings (install.sh), or use the target onnxruntime"
_LOOK = "see that the GPU's driver is loaded (nvidia-smi, tegrastats)"


@dataclass(frozen=True, slots=True)
class Gpu:
    """The kind of GPU that code was compiled for."""

    name: str
    compute_capability: str
    """As in ``8.7``."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A float32 tensor in page-locked host memory and its counterpart on the device."""

    host: NDArray[np.float32]
    device: driver.DeviceAllocation

    @property
    def address(self) -> int:
        """Where it lies on the device; aligned to 256 bytes, as every CUDA allocation."""
        return int(self.device)


def _open(ordinal: int) -> tuple[driver.Device, Gpu]:
    """Raises ModelError."""
    try:
        from pycuda import driver  # noqa: PLC0415 exists only beside an NVIDIA GPU
    except Exception as exc:  # a damaged installation raises whatever the loader raises
        raise ModelError(f"pycuda cannot be loaded: {exc}", hint=_INSTALL) from exc
    try:
        driver.init()
        device = driver.Device(ordinal)
        major, minor = device.compute_capability()
        return device, Gpu(device.name(), f"{major}.{minor}")
    except Exception as exc:
        raise ModelError(f"no CUDA device answers: {exc}", hint=_LOOK) from exc


def find_gpu(ordinal: int = 0) -> Gpu:
    """Which GPU answers. Raises ModelError."""
    return _open(ordinal)[1]


class Cuda:
    """The primary context of one device, with one stream.

    It is current inside ``with`` only, on the thread that entered it; buffers are made, copied and freed there.
    Exceptions are pycuda's: the session that owns it wraps them.

    Args:
        ordinal: Which device.

    Raises:
        ModelError: pycuda is missing, or no such device answers.
    """

    def __init__(self, ordinal: int = 0) -> None:
        device, self._gpu = _open(ordinal)
        from pycuda import driver  # noqa: PLC0415 see _open

        self._driver = driver
        self._stream: driver.Stream | None = None
        try:
            # The primary context is the one that TensorRT's own runtime calls use.
            self._context: driver.Context = device.retain_primary_context()
            try:
                with self:
                    self._stream = driver.Stream()
            except Exception:
                self.close()
                raise
        except Exception as exc:
            raise ModelError(f"no CUDA device answers: {exc}", hint=_LOOK) from exc

    @property
    def gpu(self) -> Gpu:
        """What answers."""
        return self._gpu

    @property
    def stream_handle(self) -> int:
        """The stream, for whoever enqueues kernels."""
        return self._live_stream.handle

    def __enter__(self) -> None:
        self._context.push()

    def __exit__(self, *_: object) -> None:
        self._context.pop()

    def buffer(self, shape: tuple[int, ...]) -> Buffer:
        """A float32 tensor of this shape on both sides; its content is undefined."""
        host = self._driver.pagelocked_empty(shape, np.float32)
        return Buffer(host, self._driver.mem_alloc(host.nbytes))

    def upload(self, buffer: Buffer) -> None:
        """Enqueue the copy to the device."""
        self._driver.memcpy_htod_async(buffer.device, buffer.host, self._live_stream)

    def download(self, buffer: Buffer) -> None:
        """Enqueue the copy to the host; the values are there after :meth:`synchronize`."""
        self._driver.memcpy_dtoh_async(buffer.host, buffer.device, self._live_stream)

    def synchronize(self) -> None:
        """Wait for everything enqueued."""
        self._live_stream.synchronize()

    def free(self, buffer: Buffer) -> None:
        """Give the device's side back, which waits for what still uses it; the host's side goes with its last user."""
        buffer.device.free()

    def close(self) -> None:
        """Give stream and context back, outside of ``with`` and once.

        No buffer may be left: with the last context of a process the driver unmaps page-locked memory. The context is
        given back by hand, and while it is current, because pycuda's destructor calls the wrong function for a primary
        context, and does nothing on another thread than the one that made it.
        """
        self._context.push()
        try:
            self._stream = None
        finally:
            self._context.detach()

    @property
    def _live_stream(self) -> driver.Stream:
        if self._stream is None:
            raise ModelError("the CUDA context is closed")
        return self._stream
