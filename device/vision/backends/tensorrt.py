"""TensorRT on an NVIDIA GPU: the only module of the device that imports it.

An engine is code. It is loaded only as bytes that an authentic manifest vouches for, and only after its tag was found
to name this TensorRT, this GPU and the model it stands for: TensorRT itself would deserialise an engine of a sister
device with a warning.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.vision.backends.cuda import Buffer, Cuda
from device.vision.backends.engine_tag import REBUILD as _REBUILD
from device.vision.backends.engine_tag import EngineTag, check_tag
from device.vision.manifest import EngineEntry

if TYPE_CHECKING:
    import tensorrt as trt

_LOG = logging.getLogger(__name__)
_INSTALL = "JetPack brings TensorRT's Python bindings (python3-libnvinfer); or use the target onnxruntime"
_UPDATE = "JetPack 6.1 and later bring it; or use the target onnxruntime"
#: The first in which tensors are known by name only.
_OLDEST_MAJOR = 10
_KEPT_MESSAGES = 8


def tensorrt_version() -> str:
    """Version of the TensorRT here. Raises ModelError when there is none, or one without name-based tensors."""
    try:
        import tensorrt as trt  # noqa: PLC0415 exists only beside an NVIDIA GPU
    except Exception as exc:  # bindings without their libraries raise whatever the loader raises
        raise ModelError(f"TensorRT cannot be loaded: {exc}", hint=_INSTALL) from exc
    version = str(trt.__version__)
    if int(version.partition(".")[0]) < _OLDEST_MAJOR:
        raise ModelError(f"TensorRT {version} is too old, {_OLDEST_MAJOR} or newer is needed", hint=_UPDATE)
    return version


class Messages:
    """What TensorRT says while it works: errors are kept for the exception that follows, warnings go to the log."""

    def __init__(self) -> None:
        import tensorrt as trt  # noqa: PLC0415 see tensorrt_version

        severity_of = trt.ILogger.Severity
        kept = self._kept = deque[str](maxlen=_KEPT_MESSAGES)

        class Logger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
                if severity in (severity_of.INTERNAL_ERROR, severity_of.ERROR):
                    kept.append(msg)
                elif severity == severity_of.WARNING:
                    _LOG.warning("TensorRT: %s", msg)

        self.logger: trt.ILogger = Logger()

    def take(self) -> str:
        """The errors since the last call, in one line."""
        said = "; ".join(self._kept) or "TensorRT gives no reason"
        self._kept.clear()
        return said


@dataclass(frozen=True, slots=True)
class _Binding:
    """Where TensorRT reads and writes for one batch size."""

    input: Buffer
    outputs: tuple[Buffer, ...]
    answers: tuple[NDArray[np.float32], ...]
    """Ordinary memory: page-locked memory, which the driver may unmap, does not leave the session."""
    finite: tuple[NDArray[np.bool_], ...]


@dataclass(frozen=True, slots=True)
class _Signature:
    """Names and shapes of an engine's tensors."""

    input: str
    outputs: tuple[str, ...]
    shape: tuple[int, ...]
    """Of the input; -1 where the batch is dynamic."""
    batches: range
    """That the engine was built for."""


class TensorRtSession:
    """One engine: float32 in, float32 out, on one stream of one GPU.

    The tensor is copied into page-locked memory and the outputs out of it, into arrays that are made once per batch
    size and are overwritten by the next call of that size. Used by one thread.

    Args:
        engine_bytes: The engine, as the pack's manifest vouches for it: deserialising it trusts it like code.
        model: Id of the model, for messages and templates.
        tag: What the engine was built from and for.
        model_sha256: The ONNX file of the pack that the engine stands for.
        ordinal: Which CUDA device.

    Raises:
        ModelError: No TensorRT, no pycuda, no GPU; an engine of another TensorRT, GPU or model; not an engine; or not
            one float input with a batch as its only free dimension.
    """

    def __init__(
        self, engine_bytes: bytes, *, model: str, tag: EngineTag | EngineEntry, model_sha256: str, ordinal: int = 0
    ) -> None:
        self._model = model
        version = tensorrt_version()
        self._cuda: Cuda | None = Cuda(ordinal)
        self._bindings: dict[int, _Binding] = {}
        self._bound: _Binding | None = None
        # In the order in which they are made: released in the opposite one.
        self._runtime: trt.Runtime | None = None
        self._engine: trt.ICudaEngine | None = None
        self._context: trt.IExecutionContext | None = None
        try:
            check_tag(tag, model=model, model_sha256=model_sha256, tensorrt=version, gpu=self._cuda.gpu)
            self._messages = Messages()
            with self._cuda:
                self._load(engine_bytes)
        except Exception as exc:
            with suppress(ModelError):  # the first failure is the one to tell
                self.close()
            if isinstance(exc, ModelError):
                raise
            raise ModelError(f"the engine of model {model} cannot be loaded: {exc}", hint=_REBUILD) from exc

    @property
    def model(self) -> str:
        """Id of the model."""
        return self._model

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the single input; -1 where the batch is dynamic."""
        return self._signature.shape

    def run(self, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """All outputs in the engine's order, overwritten by the next call with the same batch.

        Raises:
            ModelError: Wrong shape or type, a batch the engine was not built for, a closed session, a failed run, or an
                output that is not finite.
        """
        if self._cuda is None or self._context is None:
            raise ModelError(f"model {self._model} is closed")
        self._check(tensor)
        try:
            with self._cuda:
                binding = self._infer(self._cuda, self._context, tensor)
        except ModelError:
            raise
        except Exception as exc:
            raise ModelError(f"model {self._model} failed: {exc}", hint=_REBUILD) from exc
        for output, answer, finite in zip(binding.outputs, binding.answers, binding.finite, strict=True):
            np.copyto(answer, output.host)
            if not np.isfinite(answer, out=finite).all():
                raise ModelError(f"the output of model {self._model} is not finite", hint=_REBUILD)
        return binding.answers

    def close(self) -> None:
        """Free the model; harmless when closed already.

        Raises:
            ModelError: The GPU does not take its memory back.
        """
        cuda, self._cuda = self._cuda, None
        if cuda is None:
            return
        try:
            try:
                with cuda:
                    self._release(cuda)
            finally:
                cuda.close()
        except Exception as exc:
            raise ModelError(f"model {self._model} cannot be freed: {exc}") from exc

    def _release(self, cuda: Cuda) -> None:
        """Everything that hangs on the context; no name may keep a buffer beyond this."""
        self._context = None
        self._engine = None
        self._runtime = None
        self._bound = None
        while self._bindings:
            _, binding = self._bindings.popitem()
            for buffer in (binding.input, *binding.outputs):
                cuda.free(buffer)

    def _load(self, engine_bytes: bytes) -> None:
        import tensorrt as trt  # noqa: PLC0415 see tensorrt_version

        self._runtime = trt.Runtime(self._messages.logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine_bytes)
        if self._engine is None:
            raise self._refusal("cannot be loaded")
        self._signature = _read_signature(self._engine, model=self._model)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise self._refusal("cannot be prepared")
        self._output_shapes(self._context, self._signature.batches.start)

    def _check(self, tensor: NDArray[np.float32]) -> None:
        shape, wanted, batches = tensor.shape, self._signature.shape, self._signature.batches
        if (
            len(shape) != len(wanted)
            or shape[1:] != wanted[1:]
            or wanted[0] not in (-1, shape[0])
            or shape[0] < 1
            or tensor.dtype != np.float32
            or not tensor.flags.c_contiguous
        ):
            raise ModelError(f"model {self._model} takes contiguous float32 {wanted}, not {tensor.dtype} {shape}")
        if shape[0] not in batches:
            raise ModelError(
                f"the engine of model {self._model} takes batches of {batches.start} to {batches.stop - 1}, not "
                f"{shape[0]}"
            )

    def _infer(self, cuda: Cuda, context: trt.IExecutionContext, tensor: NDArray[np.float32]) -> _Binding:
        """Copy in, execute, copy out, wait.

        Where a step is refused, what was enqueued before it may still run; it ends before the next call's copies, which
        are enqueued on the same stream, and before memory is freed.
        """
        binding = self._bindings.get(tensor.shape[0])
        if binding is None or binding is not self._bound:
            binding = self._select(cuda, context, tensor.shape[0])
        np.copyto(binding.input.host, tensor)
        cuda.upload(binding.input)
        if not context.execute_async_v3(cuda.stream_handle):
            raise self._refusal("failed")
        for output in binding.outputs:
            cuda.download(output)
        cuda.synchronize()
        return binding

    def _refusal(self, what: str) -> ModelError:
        return ModelError(f"the engine of model {self._model} {what}: {self._messages.take()}", hint=_REBUILD)

    def _select(self, cuda: Cuda, context: trt.IExecutionContext, batch: int) -> _Binding:
        """Let the next executions read and write the tensors of this batch size."""
        self._bound = None
        shapes = self._output_shapes(context, batch)
        binding = self._bindings.get(batch)
        if binding is None:
            outputs = tuple(cuda.buffer(shape) for shape in shapes)
            binding = _Binding(
                cuda.buffer((batch, *self._signature.shape[1:])),
                outputs,
                tuple(np.zeros(shape, np.float32) for shape in shapes),
                tuple(np.zeros(shape, np.bool_) for shape in shapes),
            )
            self._bindings[batch] = binding
        names = (self._signature.input, *self._signature.outputs)
        for name, buffer in zip(names, (binding.input, *binding.outputs), strict=True):
            if not context.set_tensor_address(name, buffer.address):
                raise self._refusal(f"takes no memory for {name}")
        self._bound = binding
        return binding

    def _output_shapes(self, context: trt.IExecutionContext, batch: int) -> list[tuple[int, ...]]:
        """The shapes of all outputs for a batch size, which the context takes from now on."""
        shape = (batch, *self._signature.shape[1:])
        if not context.set_input_shape(self._signature.input, shape):
            raise self._refusal(f"does not take {shape}")
        shapes = [tuple(context.get_tensor_shape(name)) for name in self._signature.outputs]
        for name, output in zip(self._signature.outputs, shapes, strict=True):
            if any(size < 1 for size in output):
                raise ModelError(
                    f"the engine of model {self._model} has an output {name} of unknown size {output}", hint=_REBUILD
                )
        return shapes


def _read_signature(engine: trt.ICudaEngine, *, model: str) -> _Signature:
    """Raises ModelError."""
    import tensorrt as trt  # noqa: PLC0415 see tensorrt_version

    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = tuple(name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT)
    if len(inputs) != 1 or any(
        engine.get_tensor_dtype(name) != trt.DataType.FLOAT
        or engine.get_tensor_location(name) != trt.TensorLocation.DEVICE
        for name in names
    ):
        raise ModelError(f"the engine of model {model} must have one input, all float32", hint=_REBUILD)
    shape = tuple(engine.get_tensor_shape(inputs[0]))
    if not outputs or any(size < 1 for size in shape[1:]):
        raise ModelError(f"the engine of model {model} has an input of unknown size {shape}", hint=_REBUILD)
    batches = range(shape[0], shape[0] + 1)
    if shape[0] < 0:
        if engine.num_optimization_profiles != 1:
            raise ModelError(f"the engine of model {model} must have one optimization profile", hint=_REBUILD)
        least, _, most = (tuple(dims) for dims in engine.get_tensor_profile_shape(inputs[0], 0))
        batches = range(least[0], most[0] + 1)
    return _Signature(inputs[0], outputs, shape, batches)
