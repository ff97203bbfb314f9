"""ONNX to TensorRT engine, on the machine that will run it.

The network is strongly typed: precision lies in the ONNX file (FP16 tensors, QDQ nodes) and TensorRT may choose
kernels, never types. It takes zero points of zero only, so the INT8 file for it has symmetric signed activations.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from device.errors import DoorwardError, PackError
from device.vision.backends.cuda import Cuda
from device.vision.backends.engine_tag import EngineTag
from device.vision.backends.tensorrt import Messages, tensorrt_version
from export_tools.engine.timing import attach_timing_cache, save_timing_cache
from export_tools.sources.download import Reporter, Silent

if TYPE_CHECKING:
    import tensorrt as trt

#: A quarter of what a Jetson Orin Nano of 4 GB has, whose memory the GPU shares with everything else.
DEFAULT_WORKSPACE_MIB: Final = 1024
_SHOWN_ERRORS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Batch sizes that an engine takes where the model leaves them free: it is tuned for ``typical``."""

    least: int = 1
    typical: int = 1
    most: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.typical <= self.most:
            raise PackError(
                f"batches of {self.least}, {self.typical}, {self.most} are out of order",
                reason="batches",
                hint="1 <= least <= typical <= most",
            )


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """An engine and what it is good for."""

    data: bytes
    tag: EngineTag


def build_engine(
    onnx: bytes,
    *,
    model: str,
    batches: Batches | None = None,
    workspace_mib: int = DEFAULT_WORKSPACE_MIB,
    timing_cache: Path | None = None,
    reporter: Reporter | None = None,
    ordinal: int = 0,
) -> BuiltEngine:
    """Build the engine of one model for the GPU of this machine; takes minutes without a timing cache.

    Args:
        onnx: The model file of the pack.
        model: Its id, for messages.
        batches: For a model with a free batch; 1, tuned for 1, to 8 without.
        workspace_mib: Memory that a kernel may use beside the tensors.
        timing_cache: File with the timings of earlier builds, read and replaced; without one every kernel is tried.
        reporter: Who is told.
        ordinal: Which CUDA device.

    Raises:
        ModelError: No TensorRT, no pycuda or no GPU.
        PackError: TensorRT does not take the model (``unsupported``), or can build no engine from it (``engine``).
    """
    reporter = reporter or Silent()
    version = tensorrt_version()
    build = _Build(model, Messages(), reporter)
    cuda = Cuda(ordinal)
    tag = EngineTag(
        tensorrt=version,
        gpu=cuda.gpu.name,
        compute_capability=cuda.gpu.compute_capability,
        model_sha256=hashlib.sha256(onnx).hexdigest(),
    )
    try:
        try:
            with cuda:
                data = build.run(onnx, batches or Batches(), workspace_mib=workspace_mib, timing_cache=timing_cache)
        finally:
            cuda.close()
    except DoorwardError:
        raise
    except Exception as exc:  # the bindings' exceptions have no common root
        raise build.failure(str(exc)) from exc
    return BuiltEngine(data, tag)


def _network_flags() -> int:
    """Strongly typed: from TensorRT 11 on every network is, and the flag is deprecated and another bit."""
    import tensorrt as trt  # noqa: PLC0415 see tensorrt_version

    if trt.__version__.startswith("10."):
        return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    return 0


@dataclass(frozen=True, slots=True)
class _Build:
    model: str
    messages: Messages
    reporter: Reporter

    def run(self, onnx: bytes, batches: Batches, *, workspace_mib: int, timing_cache: Path | None) -> bytes:
        import tensorrt as trt  # noqa: PLC0415 see tensorrt_version

        builder = trt.Builder(self.messages.logger)
        network = builder.create_network(_network_flags())
        if network is None:
            raise self.failure(self.messages.take())
        parser = trt.OnnxParser(network, self.messages.logger)
        if not parser.parse(onnx):
            raise self._unsupported(parser)
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mib << 20)
        self._set_batches(builder, network, config, batches)
        if timing_cache is not None:
            attach_timing_cache(config, timing_cache, reporter=self.reporter)
            self.messages.take()
        self.reporter.note(f"building the engine of {self.model}, which may take minutes")
        built = builder.build_serialized_network(network, config)
        if built is None:
            raise self.failure(self.messages.take())
        if timing_cache is not None:
            save_timing_cache(config, timing_cache, reporter=self.reporter)
        return bytes(built)

    def failure(self, reason: str) -> PackError:
        return PackError(
            f"TensorRT builds no engine of {self.model}: {reason}",
            reason="engine",
            hint="more --workspace-mib may help; without an engine, build for the target onnxruntime",
        )

    def _unsupported(self, parser: trt.OnnxParser) -> PackError:
        reasons = []
        for index in range(min(parser.num_errors, _SHOWN_ERRORS)):
            error = parser.get_error(index)
            node = f"operator {error.node_operator()} ({error.node_name()}): " if error.node_operator() else ""
            reasons.append(f"{node}{error.desc()}")
        return self._refusal("; ".join(reasons) or self.messages.take())

    def _refusal(self, reason: str) -> PackError:
        return PackError(
            f"TensorRT does not take the model {self.model}: {reason}",
            reason="unsupported",
            hint="choose another precision of this model, or build for the target onnxruntime",
        )

    def _set_batches(
        self, builder: trt.Builder, network: trt.INetworkDefinition, config: trt.IBuilderConfig, batches: Batches
    ) -> None:
        """Hold the model to what the device's session takes; give a free batch its bounds."""
        import tensorrt as trt  # noqa: PLC0415 see tensorrt_version

        inputs = [network.get_input(index) for index in range(network.num_inputs)]
        outputs = [network.get_output(index) for index in range(network.num_outputs)]
        if len(inputs) != 1 or any(tensor.dtype != trt.DataType.FLOAT for tensor in (*inputs, *outputs)):
            raise self._refusal("it must have one input, and inputs and outputs of float32")
        batch, *rest = tuple(inputs[0].shape)
        if any(size < 1 for size in rest):
            raise self._refusal(f"its input has unknown sizes, {(batch, *rest)}")
        if batch >= 1:
            return
        profile = builder.create_optimization_profile()
        profile.set_shape(inputs[0].name, (batches.least, *rest), (batches.typical, *rest), (batches.most, *rest))
        if config.add_optimization_profile(profile) < 0:
            raise self.failure(self.messages.take())
