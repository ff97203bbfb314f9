"""Which runtime a pack is built for: what was asked for, or what this machine has."""

from __future__ import annotations

from typing import Literal

from device.errors import ModelError, PackError
from device.vision.backends.cuda import find_gpu
from device.vision.backends.tensorrt import tensorrt_version
from device.vision.manifest import Target
from export_tools.sources.download import Reporter

Wanted = Literal["auto", "onnxruntime", "tensorrt"]


def resolve_target(wanted: Wanted, *, reporter: Reporter) -> Target:
    """The runtime to build for; ``auto`` is TensorRT where it, pycuda and a CUDA device answer, and says why.

    Raises:
        PackError: TensorRT was asked for by name and cannot be used here (``target``); nothing was written.
    """
    if wanted == "onnxruntime":
        return "onnxruntime"
    try:
        version = tensorrt_version()
        gpu = find_gpu()
    except ModelError as exc:
        if wanted == "tensorrt":
            raise PackError(f"no engine can be built here: {exc.message}", reason="target", hint=exc.hint) from exc
        reporter.note(f"target onnxruntime: {exc.message}")
        return "onnxruntime"
    reporter.note(f"target tensorrt: TensorRT {version} on {gpu.name}, compute capability {gpu.compute_capability}")
    return "tensorrt"
