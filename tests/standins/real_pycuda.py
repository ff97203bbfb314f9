"""Run TensorRtSession over the real pycuda, on a driver without a GPU: memory, contexts and streams to the end.

    python -m tests.standins.real_pycuda

It compiles the driver, adds every function that pycuda looks up and the driver lacks (they refuse), and starts itself
again with the driver loaded first. Needs a C compiler, nm, and a pycuda, which needs a CUDA toolkit to be compiled;
TensorRT is the stand-in that executes ONNX. Prints what was held and ends with 0, or dies: memory that is read after
its context went is not mapped.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.vision.backends.cuda import Cuda, find_gpu
from device.vision.backends.engine_tag import EngineTag
from device.vision.backends.tensorrt import TensorRtSession
from tests.contracts.test_inference_session import small_model
from tests.standins.fake_tensorrt import make_tensorrt, write_plan
from tests.standins.gpu import Machine

_LOADED = "DOORWARD_DRIVER_STANDIN"
_Call = ctypes.CFUNCTYPE(None)


class _Stream:
    """A stream of the driver, to which the stand-in of TensorRT adds its kernels."""

    def __init__(self, driver: ctypes.CDLL, handle: int) -> None:
        self._driver, self._handle, self._kept = driver, handle, list[Any]()

    def append(self, work: Callable[[], None]) -> None:
        """Enqueue."""
        call = _Call(work)
        self._kept.append(call)
        if self._driver.standin_launch(ctypes.c_size_t(self._handle), call):
            raise RuntimeError("the stream does not take the kernel")


class _Streams(dict[int, Any]):
    def __init__(self, driver: ctypes.CDLL) -> None:
        super().__init__()
        self._driver = driver

    def __contains__(self, handle: object) -> bool:
        return isinstance(handle, int) and handle > 0

    def __missing__(self, handle: int) -> _Stream:
        self[handle] = _Stream(self._driver, handle)
        stream: _Stream = self[handle]
        return stream


class DriverMachine(Machine):
    """The machine whose memory and streams are the driver's."""

    def __init__(self, driver: ctypes.CDLL) -> None:
        super().__init__(queues=_Streams(driver))
        self._driver = driver

    def check(self, what: str) -> None:
        """The driver looks itself; a context must be current."""
        if not self._driver.standin_depth():
            raise RuntimeError(f"{what}: no context is current")

    def at(self, address: int, size: int) -> NDArray[np.uint8]:
        """Device memory."""
        if not self._driver.standin_within(ctypes.c_void_p(address), ctypes.c_size_t(size)):
            raise RuntimeError("an illegal memory access was encountered")
        return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8)), (size,))


def _hold(what: str, promise: bool) -> None:
    if not promise:
        raise SystemExit(f"NOT held: {what}")
    sys.stdout.write(f"held: {what}\n")


def _hold_gpu(driver: ctypes.CDLL) -> None:
    gpu = find_gpu()
    named = (gpu.name, gpu.compute_capability) == ("Orin", "8.7")
    _hold(f"the GPU is named: {gpu.name}, {gpu.compute_capability}", named)
    _hold("asking for it holds nothing", driver.standin_retained() == 0)


def _hold_copies(driver: ctypes.CDLL) -> None:
    cuda = Cuda()
    with cuda:
        buffer = cuda.buffer((2, 4))
        buffer.host[:] = 7
        cuda.upload(buffer)
        cuda.synchronize()
        buffer.host[:] = 0
        cuda.download(buffer)
        _hold("a copy is not there before the stream was waited for", bool((buffer.host == 0).all()))
        cuda.synchronize()
        _hold("and is there afterwards", bool((buffer.host == 7).all()))
        cuda.free(buffer)
        del buffer
    cuda.close()
    _hold("a closed context holds nothing", _held(driver) == (0, 0, 0))


def _held(driver: ctypes.CDLL) -> tuple[int, int, int]:
    """Blocks on the device, blocks on the host, contexts."""
    return driver.standin_blocks(0), driver.standin_blocks(1), driver.standin_retained()


def _hold_sessions(driver: ctypes.CDLL, session: Callable[[], TensorRtSession]) -> None:
    one, other = session(), session()
    right = True
    for batch in (1, 3, 2, 3, 1):
        tensor = np.random.default_rng(batch).uniform(1, 9, (batch, 4)).astype(np.float32)
        for each in (one, other):
            root, negative = each.run(tensor)
            right = right and np.allclose(root, np.sqrt(tensor)) and bool((negative == -tensor).all())
    _hold("answers are the model's, over two sessions and three batch sizes", right)
    _hold("each batch size has its memory once", _held(driver) == (18, 18, 2))
    failures = _elsewhere(other)
    _hold(f"another thread may use and close a session {failures}", not failures)
    _hold("and what the other session holds is left alone", _held(driver) == (9, 9, 1))
    answer = one.run(np.full((4, 4), 4, np.float32))[0]
    one.close()
    one.close()
    _hold("closed sessions hold nothing", _held(driver) == (0, 0, 0))
    _hold("an answer outlives its session", bool((answer == 2).all()))
    try:
        one.run(np.ones((1, 4), np.float32))
    except ModelError:
        return
    _hold("a closed session does not run", promise=False)


def _elsewhere(session: TensorRtSession) -> list[str]:
    failures: list[str] = []

    def work() -> None:
        try:
            session.run(np.ones((3, 4), np.float32))
            session.close()
        except Exception as exc:  # noqa: BLE001 shown by the main thread
            failures.append(repr(exc))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return failures


def main() -> None:
    """All promises in turn."""
    warnings.simplefilter("error")
    driver = ctypes.CDLL(None)
    machine = DriverMachine(driver)
    sys.modules["tensorrt"] = make_tensorrt(machine)
    model = small_model("Sqrt", "Neg")
    digest = hashlib.sha256(model).hexdigest()
    tag = EngineTag(tensorrt=machine.tensorrt, gpu="Orin", compute_capability="8.7", model_sha256=digest)
    plan = write_plan(machine, model, most=8)
    _hold_gpu(driver)
    _hold_copies(driver)
    _hold_sessions(driver, lambda: TensorRtSession(plan, model="small", tag=tag, model_sha256=digest))
    try:
        TensorRtSession(b"no engine", model="small", tag=tag, model_sha256=digest)
    except ModelError:
        _hold("a session that could not be made holds nothing", _held(driver) == (0, 0, 0))


def compile_driver(folder: Path) -> Path:
    """The library that pycuda takes for CUDA's."""
    package = importlib.util.find_spec("pycuda")
    if package is None or package.origin is None:
        raise SystemExit("there is no pycuda")
    (extension,) = Path(package.origin).parent.glob("_driver*.so")
    listed = subprocess.run(["nm", "-D", "--undefined-only", extension], capture_output=True, text=True, check=True)
    wanted = [name for name in listed.stdout.split() if name.startswith("cu")]
    source = Path(__file__).with_name("libcuda.c").read_text(encoding="utf-8")
    refusals = "".join(f"int {name}(void) {{ return 801; }}\n" for name in wanted if f"int {name}(" not in source)
    library = folder / "libcuda.so.1"
    command = ["cc", "-w", "-shared", "-fPIC", "-xc", "-", "-o", str(library)]
    subprocess.run(command, input=source + refusals, text=True, check=True)
    return library


if __name__ == "__main__":
    if os.environ.get(_LOADED):
        main()
    else:
        with tempfile.TemporaryDirectory() as scratch:
            environment = {**os.environ, "LD_PRELOAD": str(compile_driver(Path(scratch))), _LOADED: "1"}
            again = [sys.executable, "-m", "tests.standins.real_pycuda"]
            sys.exit(subprocess.run(again, env=environment, check=False).returncode)
