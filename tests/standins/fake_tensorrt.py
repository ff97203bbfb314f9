"""A `tensorrt` over a machine that is none: its engines carry an ONNX model, which ONNX Runtime executes.

It answers as the documentation of the bindings says: False or None where something is refused, with the reason in the
log; exceptions for arguments of another type. Engines are read by the version that wrote them only.
"""

# ruff: noqa: ARG002 the signatures are those of the real module

from __future__ import annotations

import enum
import hashlib
import json
import types
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray

from tests.standins.gpu import ALIGNMENT, Machine

_PLAN = b"ftrt"
_TIMINGS = b"timing"


class Dims(tuple[int, ...]):
    """A shape."""

    __slots__ = ()


class DataType(enum.Enum):
    """Of a tensor."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT64 = 8


_TYPES = {1: DataType.FLOAT, 10: DataType.HALF, 3: DataType.INT8, 7: DataType.INT64}


class TensorIOMode(enum.Enum):
    """Which way a tensor goes."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class TensorLocation(enum.Enum):
    """Where a tensor is expected."""

    DEVICE = 0
    HOST = 1


class MemoryPoolType(enum.Enum):
    """Kinds of memory."""

    WORKSPACE = 0


class Severity(enum.Enum):
    """Of a message."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    """To be derived from."""

    Severity = Severity

    def __init__(self) -> None:
        self._constructed = True

    def log(self, severity: Any, msg: str) -> None:
        """To be overridden."""
        raise NotImplementedError


class IHostMemory(bytes):
    """Readable through the buffer protocol."""

    __slots__ = ()


class Io:
    """An input or output of an ONNX graph."""

    def __init__(self, info: Any) -> None:
        kind = info.type.tensor_type
        self._name = str(info.name)
        self._shape = Dims(part.dim_value if part.HasField("dim_value") else -1 for part in kind.shape.dim)
        self._dtype = _TYPES[kind.elem_type]

    @property
    def name(self) -> str:
        """In the graph."""
        return self._name

    @property
    def shape(self) -> Dims:
        """-1 where it is free."""
        return self._shape

    @property
    def dtype(self) -> DataType:
        """Of the elements."""
        return self._dtype


def _logger(logger: ILogger) -> ILogger:
    if not isinstance(logger, ILogger) or not getattr(logger, "_constructed", False):
        raise TypeError("ILogger.__init__() must be called when overriding __init__")
    return logger


def write_plan(machine: Machine, model: bytes, *, most: int, strongly_typed: bool = True) -> bytes:
    """An engine as the builder of this machine would write it."""
    tag = {
        "tensorrt": machine.tensorrt,
        "gpu": machine.gpu,
        "compute": list(machine.compute_capability),
        "batches": [1, 1, most],
        "strongly_typed": strongly_typed,
    }
    return _PLAN + json.dumps(tag).encode() + b"\n" + model


class ICudaEngine:
    """A plan that was accepted."""

    def __init__(self, machine: Machine, logger: ILogger, tag: dict[str, Any], model: bytes) -> None:
        graph = onnx.load_model_from_string(model).graph
        self._machine, self._log, self._tag = machine, logger.log, tag
        self._inputs: dict[str, Io] = {info.name: Io(info) for info in graph.input}
        self._outputs: dict[str, Io] = {info.name: Io(info) for info in graph.output}
        self._io = {**self._inputs, **self._outputs}
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @property
    def num_io_tensors(self) -> int:
        """Inputs and outputs."""
        return len(self._io)

    @property
    def num_optimization_profiles(self) -> int:
        """Always one."""
        return 1

    def get_tensor_name(self, index: int) -> str:
        """Inputs first."""
        return list(self._io)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        """NONE for a stranger."""
        if name not in self._io:
            return TensorIOMode.NONE
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> Dims:
        """As in the model."""
        return self._io[name].shape

    def get_tensor_dtype(self, name: str) -> DataType:
        """As in the model."""
        return self._io[name].dtype

    def get_tensor_location(self, name: str) -> TensorLocation:
        """On the GPU."""
        return TensorLocation.DEVICE

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        """Least, typical, most."""
        return [Dims((batch, *self._io[name].shape[1:])) for batch in self._tag["batches"]]

    def create_execution_context(self) -> IExecutionContext | None:
        """Needs a current CUDA context."""
        self._machine.check("cudaMalloc")
        return IExecutionContext(self._machine, self)


class IExecutionContext:
    """One execution at a time."""

    def __init__(self, machine: Machine, engine: ICudaEngine) -> None:
        self._machine, self._engine = machine, engine
        self._shapes = {name: io.shape for name, io in engine._inputs.items()}
        self._addresses: dict[str, int] = {}
        self._output_shapes: dict[Any, list[tuple[int, ...]]] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        """False outside the profile."""
        if name not in self._shapes:
            return self._refuse(f"setInputShape: {name} is not an input")
        least, _, most = self._engine.get_tensor_profile_shape(name, 0)
        model = self._engine.get_tensor_shape(name)
        fits = len(shape) == len(model) and all(
            size == wanted or (wanted < 0 and low <= size <= high)
            for size, wanted, low, high in zip(shape, model, least, most, strict=True)
        )
        if not fits:
            return self._refuse(f"setInputShape: Error Code 3: API Usage Error: {shape} is outside of the profile")
        self._shapes[name] = Dims(shape)
        return True

    def get_tensor_shape(self, name: str) -> Dims:
        """-1 while it does not follow from the inputs."""
        if name in self._shapes:
            return self._shapes[name]
        if any(size < 0 for shape in self._shapes.values() for size in shape):
            return self._engine.get_tensor_shape(name)
        key = tuple(self._shapes.values())
        if key not in self._output_shapes:
            probes = [
                self._engine._session.run(None, {name: np.full(shape, value, np.float32)})
                for value in (0, 1)
                for name, shape in self._shapes.items()
            ]
            self._output_shapes[key] = [
                tuple(size if size == other else -1 for size, other in zip(one.shape, two.shape, strict=True))
                for one, two in zip(*probes, strict=True)
            ]
        return Dims(self._output_shapes[key][list(self._engine._outputs).index(name)])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Aligned memory for one tensor."""
        if not isinstance(memory, int):
            raise TypeError("set_tensor_address(): incompatible function arguments")
        if name not in self._engine._io or memory % ALIGNMENT:
            return self._refuse(f"setTensorAddress: {name} at {memory:#x}")
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Enqueue; False where something is not set."""
        self._machine.check("cuLaunchKernel")
        if self._machine.refuses_execution:
            return self._refuse("Error Code 1: Cuda Runtime (unspecified launch failure)")
        for name, shape in self._shapes.items():
            if any(size < 0 for size in shape):
                return self._refuse(f"enqueueV3: Error Code 3: API Usage Error: the shape of {name} was not set")
        if missing := [name for name in self._engine._io if name not in self._addresses]:
            return self._refuse(f"enqueueV3: Error Code 3: API Usage Error: Address is not set for {missing[0]}")
        if stream_handle not in self._machine.queues:
            return self._refuse("enqueueV3: Error Code 1: Cuda Runtime (invalid resource handle)")
        addresses, shapes = dict(self._addresses), dict(self._shapes)
        self._machine.queues[stream_handle].append(lambda: self._execute(addresses, shapes))
        return True

    def _execute(self, addresses: dict[str, int], shapes: dict[str, Dims]) -> None:
        inputs: dict[str, NDArray[np.float32]] = {
            name: self._machine.at(addresses[name], 4 * int(np.prod(shape))).view(np.float32).reshape(shape)
            for name, shape in shapes.items()
        }
        for name, answer in zip(self._engine._outputs, self._engine._session.run(None, inputs), strict=True):
            raw = np.ascontiguousarray(answer).view(np.uint8).reshape(-1)
            self._machine.at(addresses[name], raw.size)[:] = raw

    def _refuse(self, message: str) -> bool:
        self._engine._log(Severity.ERROR, message)
        return False


class ITensor(Io):
    """Of a network."""


class INetworkDefinition:
    """What the parser fills."""

    def __init__(self, *, strongly_typed: bool) -> None:
        self._strongly_typed = strongly_typed
        self._model = b""
        self._inputs: list[ITensor] = []
        self._outputs: list[ITensor] = []

    @property
    def num_inputs(self) -> int:
        """How many."""
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        """How many."""
        return len(self._outputs)

    def get_input(self, index: int) -> ITensor:
        """In order."""
        return self._inputs[index]

    def get_output(self, index: int) -> ITensor:
        """In order."""
        return self._outputs[index]


class ParserError:
    """One reason."""

    def __init__(self, desc: str, node: Any = None) -> None:
        self._desc, self._node = desc, node

    def desc(self) -> str:
        """In words."""
        return self._desc

    def node_name(self) -> str:
        """Empty where it is not about a node."""
        return self._node.name if self._node is not None else ""

    def node_operator(self) -> str:
        """Empty where it is not about a node."""
        return self._node.op_type if self._node is not None else ""


class OnnxParser:
    """Refuses operators it does not know and zero points that are not zero."""

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self._network, self._errors = network, list[ParserError]()
        _logger(logger)

    @property
    def num_errors(self) -> int:
        """How many reasons."""
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        """In order."""
        return self._errors[index]

    def parse(self, model: bytes) -> bool:
        """Whether the network is the model now."""
        try:
            parsed = onnx.load_model_from_string(model)
        except Exception:  # noqa: BLE001 protobuf's own
            self._errors.append(ParserError("Failed to parse the ONNX model."))
            return False
        weights = {tensor.name: tensor for tensor in parsed.graph.initializer}
        for node in parsed.graph.node:
            if not onnx.defs.has(node.op_type, node.domain):
                self._errors.append(ParserError(f"Plugin not found for operator {node.op_type}", node))
            elif node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) == 3:
                zero = onnx.numpy_helper.to_array(weights[node.input[2]])
                if zero.dtype == np.uint8 or zero.any():
                    self._errors.append(ParserError("Assertion failed: only symmetric quantization is supported", node))
        if self._errors or not parsed.graph.node:
            return False
        network = self._network
        network._model = model
        network._inputs = [ITensor(info) for info in parsed.graph.input]
        network._outputs = [ITensor(info) for info in parsed.graph.output]
        return True


class IOptimizationProfile:
    """Bounds of a free size."""

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[Any, Any, Any]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002 TensorRT's names
        """Raises ValueError where they are out of order."""
        if not all(low <= mid <= high for low, mid, high in zip(min, opt, max, strict=True)):
            raise ValueError("an inconsistency was detected")
        self._shapes[input] = (min, opt, max)


class ITimingCache:
    """How long kernels took, for one version on one device."""

    def __init__(self, version: str, gpu: str, entries: set[str]) -> None:
        self._version, self._gpu, self._entries = version, gpu, entries

    def combine(self, input_cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """False where it is of another version or device."""
        if (input_cache._version, input_cache._gpu) != (self._version, self._gpu):
            return False
        self._entries |= input_cache._entries
        return True

    def serialize(self) -> IHostMemory:
        """For :meth:`IBuilderConfig.create_timing_cache`."""
        return IHostMemory(_TIMINGS + json.dumps([self._version, self._gpu, sorted(self._entries)]).encode())


class IBuilderConfig:
    """How to build."""

    def __init__(self, machine: Machine, logger: ILogger) -> None:
        self._machine, self._log = machine, logger.log
        self._cache: ITimingCache | None = None
        self._profiles: list[IOptimizationProfile] = []
        self._workspace = 1 << 62

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        """Bytes."""
        self._workspace = pool_size

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        """Its index; -1 where it is empty."""
        if not profile._shapes:
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
        """None for what no version of TensorRT wrote."""
        data = bytes(serialized_timing_cache)
        if not data:
            return ITimingCache(self._machine.tensorrt, self._machine.gpu, set())
        if not data.startswith(_TIMINGS):
            self._log(Severity.ERROR, "Deserialization of the timing cache failed")
            return None
        version, gpu, entries = json.loads(data.removeprefix(_TIMINGS))
        return ITimingCache(version, gpu, set(entries))

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """False where it is of another version or device."""
        if (cache._version, cache._gpu) != (self._machine.tensorrt, self._machine.gpu):
            self._log(Severity.ERROR, "The timing cache does not belong to this device")
            return False
        self._cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        """The one that was set."""
        return self._cache


def make_tensorrt(machine: Machine) -> types.ModuleType:  # noqa: C901 a module
    """The module."""
    # The flag's bit moved when EXPLICIT_BATCH went, in TensorRT 11.
    bit = 0 if machine.tensorrt.startswith("11.") else 1

    class NetworkDefinitionCreationFlag(enum.Enum):
        STRONGLY_TYPED = bit

        def __int__(self) -> int:
            return int(self.value)

    class Runtime:
        def __init__(self, logger: ILogger) -> None:
            self._logger = _logger(logger)

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
            machine.check("cudaGetDevice")
            data, log = bytes(serialized_engine), self._logger.log
            if not data.startswith(_PLAN):
                log(Severity.ERROR, "Serialization assertion magicTagRead == kMAGIC_TAG failed. Magic tag mismatch")
                return None
            head, _, model = data.removeprefix(_PLAN).partition(b"\n")
            tag = json.loads(head)
            if tag["tensorrt"] != machine.tensorrt:
                log(Severity.ERROR, "Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed.")
                return None
            if tag["compute"] != list(machine.compute_capability):
                log(Severity.ERROR, "The engine plan file is generated on an incompatible device, please rebuild.")
                return None
            if tag["gpu"] != machine.gpu:
                log(Severity.WARNING, "Using an engine plan file across different models of devices is not recommended")
            try:
                return ICudaEngine(machine, self._logger, tag, model)
            except Exception as exc:  # noqa: BLE001 a damaged plan, whatever is found out first
                log(Severity.ERROR, f"Serialization assertion failed: {type(exc).__name__}")
                return None

    class Builder:
        def __init__(self, logger: ILogger) -> None:
            machine.check("cudaGetDevice")
            self._logger = _logger(logger)

        def create_network(self, flags: int = 0) -> INetworkDefinition | None:
            if flags & ~(1 << bit):
                self._logger.log(Severity.ERROR, "unknown network flags")
                return None
            return INetworkDefinition(strongly_typed=bit == 0 or bool(flags & 1 << bit))

        def create_builder_config(self) -> IBuilderConfig:
            return IBuilderConfig(machine, self._logger)

        def create_optimization_profile(self) -> IOptimizationProfile:
            return IOptimizationProfile()

        def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
            machine.check("cudaMalloc")
            (tensor,) = network._inputs
            most = tensor.shape[0]
            if most < 0:
                if not config._profiles:
                    self._logger.log(Severity.ERROR, "Network has dynamic inputs, but no optimization profile")
                    return None
                most = config._profiles[0]._shapes[tensor.name][2][0]
            if config._workspace < machine.workspace_needed_bytes:
                self._logger.log(Severity.ERROR, "Could not find any implementation for node: try a larger workspace")
                return None
            digest = hashlib.sha256(network._model).hexdigest()
            if config._cache is None or digest not in config._cache._entries:
                machine.timed += 1
            if config._cache is not None:
                config._cache._entries.add(digest)
            typed = network._strongly_typed
            return IHostMemory(write_plan(machine, network._model, most=most, strongly_typed=typed))

    module: Any = types.ModuleType("tensorrt")
    module.__version__ = machine.tensorrt
    for thing in (
        *(Dims, DataType, TensorIOMode, TensorLocation, MemoryPoolType, NetworkDefinitionCreationFlag),
        *(ILogger, Runtime, ICudaEngine, IExecutionContext, IHostMemory),
        *(Builder, ITensor, INetworkDefinition, OnnxParser, ParserError, IOptimizationProfile),
        *(IBuilderConfig, ITimingCache),
    ):
        setattr(module, thing.__name__, thing)
    return module  # type: ignore[no-any-return]
