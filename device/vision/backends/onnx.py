"""ONNX Runtime on the processor: the only module that imports it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# From 1.29 on, ONNX Runtime for Linux makes a device id and reports sessions to its vendor, unless it is told not to
# before it is loaded. A door reports to nobody but its owner.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort  # type: ignore[import-untyped]

from device.errors import ModelError

_REBUILD = "build the model pack again: doorward-export build"


@dataclass(slots=True)
class _Binding:
    """Where ONNX Runtime reads and writes for one batch size."""

    io: ort.IOBinding
    outputs: tuple[NDArray[np.float32], ...]
    finite: tuple[NDArray[np.bool_], ...]
    address: int


class OnnxSession:
    """One model in ONNX Runtime: float32 in, float32 out, on the processor and nowhere else.

    Outputs whose shape follows from the batch are written into arrays that are made once per batch size and are
    overwritten by the next call of that size. Used by one thread.

    Args:
        model_bytes: The ONNX file.
        model: Id of the model, for messages and templates.
        threads: Threads per inference. Idle threads sleep: a pack has several sessions that take turns, and a pool
            that spins while another model runs takes that model's processor time.

    Raises:
        ModelError: Not a model, or not one float input with a batch as its only free dimension.
    """

    def __init__(self, model_bytes: bytes, *, model: str, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # errors come as exceptions; the log would say them twice
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._model = model
        try:
            session = ort.InferenceSession(model_bytes, sess_options=options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # ONNX Runtime's exceptions have no common root
            raise ModelError(f"model {model} cannot be loaded: {exc}", hint=_REBUILD) from exc
        inputs = session.get_inputs()
        outputs = session.get_outputs()
        if len(inputs) != 1 or any(part.type != "tensor(float)" for part in (*inputs, *outputs)):
            raise ModelError(f"model {model} must have one input, all float32", hint=_REBUILD)
        self._input = str(inputs[0].name)
        self._shape = tuple(size if isinstance(size, int) else -1 for size in inputs[0].shape)
        if any(size < 1 for size in self._shape[1:]):
            raise ModelError(f"model {model} has an input of unknown size {inputs[0].shape}", hint=_REBUILD)
        batch = inputs[0].shape[0]
        self._outputs = tuple((str(part.name), tuple(part.shape)) for part in outputs)
        for name, shape in self._outputs:
            if any(not isinstance(size, int) and size != batch for size in shape):
                raise ModelError(f"model {model} has an output {name} of unknown size {shape}", hint=_REBUILD)
        self._session: ort.InferenceSession | None = session
        self._bindings: dict[int, _Binding] = {}

    @property
    def model(self) -> str:
        """Id of the model."""
        return self._model

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the single input; -1 where the batch is dynamic."""
        return self._shape

    def run(self, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """All outputs in the model's order, overwritten by the next call with the same batch.

        Raises:
            ModelError: Wrong shape or type, a closed session, a failed run, or an output that is not finite.
        """
        if self._session is None:
            raise ModelError(f"model {self._model} is closed")
        shape = tensor.shape
        if (
            len(shape) != len(self._shape)
            or shape[1:] != self._shape[1:]
            or self._shape[0] not in (-1, shape[0])
            or shape[0] < 1
            or tensor.dtype != np.float32
            or not tensor.flags.c_contiguous
        ):
            raise ModelError(f"model {self._model} takes contiguous float32 {self._shape}, not {tensor.dtype} {shape}")
        try:
            binding = self._bindings.get(shape[0])
            if binding is None:
                binding = self._bind(self._session, shape[0])
            address = tensor.ctypes.data
            if address != binding.address:
                binding.io.bind_input(self._input, "cpu", 0, np.float32, shape, address)
                binding.address = address
            self._session.run_with_iobinding(binding.io)
        except Exception as exc:  # ONNX Runtime's exceptions have no common root
            raise ModelError(f"model {self._model} failed: {exc}", hint=_REBUILD) from exc
        for output, finite in zip(binding.outputs, binding.finite, strict=True):
            if not np.isfinite(output, out=finite).all():
                raise ModelError(f"the output of model {self._model} is not finite", hint=_REBUILD)
        return binding.outputs

    def close(self) -> None:
        """Free the model; harmless when closed already."""
        self._session = None
        self._bindings.clear()

    def _bind(self, session: ort.InferenceSession, batch: int) -> _Binding:
        shapes = [tuple(size if isinstance(size, int) else batch for size in shape) for _, shape in self._outputs]
        outputs = tuple(np.zeros(shape, np.float32) for shape in shapes)
        io = session.io_binding()
        for (name, _), output in zip(self._outputs, outputs, strict=True):
            io.bind_output(name, "cpu", 0, np.float32, output.shape, output.ctypes.data)
        binding = _Binding(io, outputs, tuple(np.zeros(shape, np.bool_) for shape in shapes), address=0)
        self._bindings[batch] = binding
        return binding
