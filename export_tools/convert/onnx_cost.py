"""How much work a graph is, told from its shapes before it runs.

A file of a few kilobytes can name a computation of years, or of terabytes. What is not known beforehand is refused: an
operator whose work does not follow from shapes, a tensor whose shape follows from values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import onnx
from onnx import shape_inference

from device.errors import PackError

MAX_NODES: Final = 20_000
"""InsightFace's ResNet-100 has some hundreds of nodes, vision transformers some thousands."""
MAX_MACS: Final = 32 * 10**9
"""Multiplications per picture: by the sizes of its layers InsightFace's ResNet-100 has 12 billion."""
MAX_ELEMENTS: Final = 1 << 27
"""Numbers in all results together, per picture: 512 MiB; InsightFace's ResNet-100 has 32 million."""
_MACS_PER_ELEMENT: Final = 16
"""Reading or writing a number from memory takes as long as so many multiplications, a root or an exponential too."""
_BATCHES: Final = (1, 2, 3)
"""Pictures at once where the batch is free: one, chip and mirrored chip, the drawings of golden vectors."""
_POOLS: Final = frozenset({"AveragePool", "LpPool", "MaxPool"})
_LINEAR: Final = frozenset(
    {
        "Abs", "Add", "And", "ArgMax", "ArgMin", "BatchNormalization", "Cast", "CastLike", "Ceil", "Celu", "Clip",
        "Concat", "Constant", "ConstantOfShape", "Cos", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu",
        "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "Gelu", "GlobalAveragePool", "GlobalLpPool",
        "GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization",
        "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "Max", "Mean",
        "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow",
        "QuantizeLinear", "Range", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
        "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round",
        "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth",
        "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "ThresholdedRelu", "Tile", "Transpose", "Unsqueeze",
        "Upsample", "Where",
    }
)  # fmt: skip
"""Operators that look at each number a few times at most."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a graph takes: multiplications, and numbers in all its results."""

    macs: int
    elements: int


def require_bounded(model: onnx.ModelProto) -> None:
    """Let a model pass that runs in seconds and in little memory, at each batch a device runs.

    Raises:
        PackError: It is larger than any embedder or detector of a door, or its size cannot be told (``unconvertible``).
    """
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    batches: tuple[int, ...] = (first.dim_value,)
    if not first.HasField("dim_value"):
        batches, model = _BATCHES, _without_told_shapes(model)
    for batch in batches:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
        cost = cost_of(model)
        if cost.macs > MAX_MACS * batch or cost.elements > MAX_ELEMENTS * batch:
            raise _refuse(
                f"{cost.macs / batch / 1e9:.3g} billion multiplications and {cost.elements / batch / 1e6:.3g} million"
                f" numbers per picture, where a door's model may have {MAX_MACS / 1e9:.3g} and {MAX_ELEMENTS / 1e6:.3g}"
            )


def cost_of(model: onnx.ModelProto) -> Cost:
    """Add up a checked model without free sizes. Raises PackError (``unconvertible``) where that cannot be told."""
    try:
        graph = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    except (shape_inference.InferenceError, RuntimeError, ValueError) as exc:
        raise _refuse("its shapes contradict one another") from exc
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for info in (*graph.input, *graph.output, *graph.value_info):
        own = info.type.tensor_type
        if own.HasField("shape") and all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in own.shape.dim):
            shapes[info.name] = tuple(dim.dim_value for dim in own.shape.dim)
    macs = elements = 0
    for node in graph.node:
        for name in (*node.input, *node.output):
            if name and name not in shapes:
                raise _refuse(f"the shape of {name} ({node.op_type}) cannot be told before it runs")
        made = sum(math.prod(shapes[name]) for name in node.output if name)
        read = sum(math.prod(shapes[name]) for name in node.input if name)
        elements += made
        try:
            macs += _macs(node, shapes, made=made) + _MACS_PER_ELEMENT * (made + read)
        except (IndexError, KeyError) as exc:
            raise _refuse(f"{node.op_type} lacks an input") from exc
    return Cost(macs=macs, elements=elements)


def _macs(node: onnx.NodeProto, shapes: Shapes, *, made: int) -> int:
    kind = node.op_type
    if kind == "Conv":
        return made * math.prod(shapes[node.input[1]][1:])
    if kind == "ConvTranspose":
        return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    if kind == "MatMul":
        return made * shapes[node.input[0]][-1]
    if kind == "Gemm":
        transposed = any(each.name == "transA" and each.i for each in node.attribute)
        return made * shapes[node.input[0]][0 if transposed else 1]
    if kind in _POOLS:
        return made * math.prod(size for each in node.attribute if each.name == "kernel_shape" for size in each.ints)
    if kind not in _LINEAR:
        raise _refuse(f"how long {kind} runs is not known")
    return 0


def _without_told_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy; what its file tells of the shapes of results is left to be found out."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for info in copy.graph.output:
        info.type.tensor_type.ClearField("shape")
    return copy


def _refuse(what: str) -> PackError:
    return PackError(
        f"the ONNX file cannot be used: {what}",
        reason="unconvertible",
        hint="export a smaller network, with fixed sizes (all but the batch) and ordinary operators",
    )
