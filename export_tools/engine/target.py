"""Which runtime a pack is built for: what was asked for, or what this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from device.errors import ModelError, PackError
from device.vision.backends.cuda import find_gpu
from device.vision.backends.tensorrt import tensorrt_version
from device.vision.manifest import Target

Wanted = Literal["auto", "onnxruntime", "tensorrt"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The runtime to build for, and what on this machine decided for it; None where it was asked for by name."""

    target: Target
    reason: str | None = None


def resolve_target(wanted: Wanted) -> Resolved:
    """The runtime to build for; ``auto`` is TensorRT where it, pycuda and a CUDA device answer, else onnxruntime.

    Raises:
        PackError: TensorRT was asked for by name and cannot be used here (``target``); nothing was written.
    """
    if wanted == "onnxruntime":
        return Resolved("onnxruntime")
    try:
        version = tensorrt_version()
        gpu = find_gpu()
    except ModelError as exc:
        if wanted == "tensorrt":
            raise PackError(f"no engine can be built here: {exc.message}", reason="target", hint=exc.hint) from exc
        cause = exc.__cause__
        absent = isinstance(cause, ModuleNotFoundError) and cause.name == "tensorrt"
        return Resolved("onnxruntime", "no TensorRT here" if absent else exc.message)
    if wanted == "tensorrt":
        return Resolved("tensorrt")
    return Resolved("tensorrt", f"TensorRT {version} on {gpu.name}, compute capability {gpu.compute_capability}")
