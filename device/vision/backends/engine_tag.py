"""What a TensorRT engine is good for, and the check before one is loaded."""

from __future__ import annotations

from typing import Final

from device.errors import ModelError
from device.vision.backends.cuda import Gpu
from device.vision.manifest import EngineEntry, Sha256, Strict, Text

REBUILD: Final = "build the engine again on this device: doorward-export build --target tensorrt"
_SHOWN: Final = 32


class EngineTag(Strict):
    """What an engine was built from, by and for."""

    tensorrt: Text
    """Version, compared to the letter: a plan of another one cannot be read."""
    gpu: Text
    """Name, as CUDA tells it: kernels are chosen by timing them, on this very kind."""
    compute_capability: Text
    model_sha256: Sha256
    """Of the ONNX file it was built from."""


def check_tag(tag: EngineTag | EngineEntry, *, model: str, model_sha256: str, tensorrt: str, gpu: Gpu) -> None:
    """Hold an engine to this model, this TensorRT and this GPU.

    Args:
        tag: What the manifest says about the engine.
        model: Id of the model, for messages.
        model_sha256: The ONNX file it stands for.
        tensorrt: Version of the TensorRT here.
        gpu: The GPU here.

    Raises:
        ModelError: It is of another one.
    """
    for what, built, here in (
        ("from a model of sha256", tag.model_sha256, model_sha256),
        ("by TensorRT", tag.tensorrt, tensorrt),
        ("for the GPU", tag.gpu, gpu.name),
        ("for compute capability", tag.compute_capability, gpu.compute_capability),
    ):
        if built != here:
            raise ModelError(
                f"the engine of model {model} was built {what} {built[:_SHOWN]}, here is {here[:_SHOWN]}", hint=REBUILD
            )
