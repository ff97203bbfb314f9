"""TFLite flatbuffers read into plain values: the only module that knows the ``tflite`` package.

What comes out has no flatbuffer left in it: tensors with their shapes, constants as float32 or int32 arrays
(half precision widened, sparse weights made dense) and operators with just the options the converter uses. An
operator or encoding the models of the pack do not use is refused by name rather than guessed at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tflite  # type: ignore[import-untyped]

from device.errors import PackError

Array = npt.NDArray[Any]

_IDENTIFIER: Final = b"TFL3"
_MAX_ELEMENTS: Final = 1 << 26
"""No tensor of a door model comes near 64 Mi elements (256 MiB); a larger one is damage or malice."""

_DTYPES: Final[dict[int, str]] = {
    tflite.TensorType.FLOAT32: "<f4",
    tflite.TensorType.FLOAT16: "<f2",
    tflite.TensorType.INT32: "<i4",
}
_OPERATOR_NAMES: Final[dict[int, str]] = {
    value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)
}
_ACTIVATIONS: Final[dict[int, str]] = {
    tflite.ActivationFunctionType.NONE: "none",
    tflite.ActivationFunctionType.RELU: "relu",
    tflite.ActivationFunctionType.RELU6: "relu6",
}
_ACTIVATED: Final = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D")
_WINDOWED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D")
_PADDINGS: Final[dict[int, str]] = {tflite.Padding.SAME: "same", tflite.Padding.VALID: "valid"}


def _refuse(message: str) -> PackError:
    return PackError(
        f"TFLite model: {message}",
        reason="unconvertible",
        hint="The converter covers the operators of the pinned models; another model needs its own support.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One value of the graph; ``constant`` is None where it is computed at run time. Layout is NHWC."""

    name: str
    shape: tuple[int, ...]
    constant: Array | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One step of the graph; fields that do not apply to ``kind`` keep their defaults."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str = "none"
    padding: str = "valid"
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    window: tuple[int, int] = (1, 1)
    block: int = 1
    half_pixel: bool = False
    align_corners: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A model of one subgraph: tensors by index, run-time operators in execution order."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(slots=True)
class _Reader:
    """One pass over one flatbuffer."""

    model: Any
    subgraph: Any
    constants: dict[int, Array] = field(default_factory=dict)

    def shape(self, index: int) -> tuple[int, ...]:
        tensor = self.subgraph.Tensors(index)
        dims = tuple(int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))
        if any(dim < 1 for dim in dims) or _product(dims) > _MAX_ELEMENTS:
            raise _refuse(f"tensor {index} has the shape {dims}")
        return dims

    def load_constants(self) -> None:
        for index in range(self.subgraph.TensorsLength()):
            tensor = self.subgraph.Tensors(index)
            buffer = self.model.Buffers(tensor.Buffer())
            if buffer.DataLength() == 0:
                continue
            dtype = _DTYPES.get(tensor.Type())
            if dtype is None:
                raise _refuse(f"tensor {index} has element type {tensor.Type()}")
            values = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype=dtype)
            shape = self.shape(index)
            if tensor.Sparsity() is not None:
                self.constants[index] = _densify(values, shape, tensor.Sparsity())
            elif values.size == _product(shape):
                self.constants[index] = values.reshape(shape)
            else:
                raise _refuse(f"tensor {index} holds {values.size} values where {shape} is declared")

    def operator(self, position: int) -> Operator | None:
        """The operator at a position, or None where it only re-encodes a constant and was folded away."""
        raw = self.subgraph.Operators(position)
        code = self.model.OperatorCodes(raw.OpcodeIndex())
        kind = _OPERATOR_NAMES.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "?")
        inputs = tuple(int(raw.Inputs(i)) for i in range(raw.InputsLength()))
        outputs = tuple(int(raw.Outputs(i)) for i in range(raw.OutputsLength()))
        count = self.subgraph.TensorsLength()
        if not outputs or not inputs or any(not -1 <= i < count for i in (*inputs, *outputs)):
            raise _refuse(f"operator {position} ({kind}) refers to tensors that do not exist")
        if kind in ("DEQUANTIZE", "DENSIFY"):
            values = self.constants.get(inputs[0])
            if values is None:
                raise _refuse(f"operator {position} ({kind}) does not act on a constant")
            self.constants[outputs[0]] = values
            return None
        if kind not in _OPTIONS:
            raise _refuse(f"operator {position} is {kind}, which the converter does not know")
        return Operator(kind=kind, inputs=inputs, outputs=outputs, **_options(kind, raw))

    def graph(self) -> Graph:
        self.load_constants()
        steps = [self.operator(i) for i in range(self.subgraph.OperatorsLength())]
        tensors = []
        for index in range(self.subgraph.TensorsLength()):
            constant = self.constants.get(index)
            if constant is not None and constant.dtype == np.float16:
                constant = constant.astype(np.float32)
            raw_name = self.subgraph.Tensors(index).Name()
            name = raw_name.decode("utf-8", "replace") if raw_name is not None else str(index)
            tensors.append(Tensor(name=name, shape=self.shape(index), constant=constant))
        return Graph(
            tensors=tuple(tensors),
            operators=tuple(step for step in steps if step is not None),
            inputs=tuple(int(self.subgraph.Inputs(i)) for i in range(self.subgraph.InputsLength())),
            outputs=tuple(int(self.subgraph.Outputs(i)) for i in range(self.subgraph.OutputsLength())),
        )


def _product(dims: tuple[int, ...]) -> int:
    result = 1
    for dim in dims:
        result *= dim
    return result


_OPTIONS: Final[dict[str, type | None]] = {
    "ADD": tflite.AddOptions,
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "DEPTH_TO_SPACE": tflite.DepthToSpaceOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
    "PAD": None,
    "PRELU": None,
    "RESHAPE": None,
    "RESIZE_BILINEAR": tflite.ResizeBilinearOptions,
}


def _options(kind: str, raw: Any) -> dict[str, Any]:
    table_type = _OPTIONS[kind]
    if table_type is None:
        return {}
    table = raw.BuiltinOptions()
    if table is None:
        raise _refuse(f"{kind} comes without its options")
    options = table_type()
    options.Init(table.Bytes, table.Pos)
    found: dict[str, Any] = {}
    if kind in _ACTIVATED:
        found["activation"] = _ACTIVATIONS.get(options.FusedActivationFunction())
    if kind in _WINDOWED:
        found["padding"] = _PADDINGS.get(options.Padding())
        found["stride"] = (int(options.StrideH()), int(options.StrideW()))
        if kind == "MAX_POOL_2D":
            found["window"] = (int(options.FilterHeight()), int(options.FilterWidth()))
        else:
            found["dilation"] = (int(options.DilationHFactor()), int(options.DilationWFactor()))
    elif kind == "DEPTH_TO_SPACE":
        found["block"] = int(options.BlockSize())
    elif kind == "RESIZE_BILINEAR":
        found["half_pixel"] = bool(options.HalfPixelCenters())
        found["align_corners"] = bool(options.AlignCorners())
    pairs = [found[name] for name in ("stride", "window", "dilation") if name in found]
    if None in found.values() or any(not 1 <= min(pair) <= max(pair) <= 1024 for pair in pairs):
        raise _refuse(f"{kind} has the options {found}")
    return found


def _index_vector(kind: int, table: Any) -> list[int]:
    vector = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }.get(kind)
    if vector is None or table is None:
        raise _refuse(f"a sparse tensor has index vectors of kind {kind}")
    values = vector()
    values.Init(table.Bytes, table.Pos)
    return [int(values.Values(i)) for i in range(values.ValuesLength())]


def _densify(values: Array, shape: tuple[int, ...], sparsity: Any) -> Array:
    """Expand compressed-sparse-row weights: leading axes dense, the last one by segments and indices."""
    rank = len(shape)
    order = [sparsity.TraversalOrder(i) for i in range(sparsity.TraversalOrderLength())]
    if order != list(range(rank)) or sparsity.BlockMapLength() or sparsity.DimMetadataLength() != rank:
        raise _refuse("a sparse tensor is stored in blocks or in a permuted order")
    axes = [sparsity.DimMetadata(axis) for axis in range(rank)]
    dense = tflite.DimensionType.DENSE
    if any(a.Format() != dense or a.DenseSize() != dim for a, dim in zip(axes[:-1], shape[:-1], strict=True)):
        raise _refuse("a sparse tensor is sparse in more than its last axis")
    if axes[-1].Format() == dense:
        raise _refuse("a sparse tensor is dense in its last axis")
    segments = _index_vector(axes[-1].ArraySegmentsType(), axes[-1].ArraySegments())
    columns = _index_vector(axes[-1].ArrayIndicesType(), axes[-1].ArrayIndices())
    rows = _product(shape[:-1])
    counts = np.diff(segments) if len(segments) == rows + 1 else np.array([-1])
    if (
        segments[:1] != [0]
        or counts.min() < 0
        or segments[-1] != len(columns)
        or len(columns) != values.size
        or (columns and not 0 <= min(columns) <= max(columns) < shape[-1])
    ):
        raise _refuse("the index vectors of a sparse tensor contradict its shape")
    result: Array = np.zeros((rows, shape[-1]), dtype=values.dtype)
    result[np.repeat(np.arange(rows), counts), columns] = values
    return result.reshape(shape)


def read_tflite(data: bytes) -> Graph:
    """Read a TFLite model of one subgraph.

    Args:
        data: The whole file.

    Returns:
        Its graph, constants widened to float32 and made dense.

    Raises:
        PackError: It is damaged or uses what the converter does not know (``unconvertible``).
    """
    if data[4:8] != _IDENTIFIER:
        raise _refuse("the file does not begin like a TFLite model")
    try:
        model = tflite.Model.GetRootAsModel(data, 0)
        if model.SubgraphsLength() != 1:
            raise _refuse(f"it has {model.SubgraphsLength()} subgraphs")
        return _Reader(model=model, subgraph=model.Subgraphs(0)).graph()
    except (
        struct.error,
        IndexError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        MemoryError,
    ) as exc:
        raise _refuse(f"the file is damaged ({exc})") from exc
