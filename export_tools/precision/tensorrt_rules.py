"""What TensorRT's ONNX parser accepts of a quantised graph, told without TensorRT.

The rules are those of the parser's own source (onnx-tensorrt 10, ``QuantDequantLinearHelper`` in
``onnxOpImporters.cpp``) and of the chapter on explicit quantisation in NVIDIA's documentation: symmetric INT8 only,
positive scales, activations per tensor, weights per output channel, no quantised biases.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from export_tools.precision.graph import float_tensors, infer, load_graph
from export_tools.precision.int8 import is_stem

_AXIS_OPSET: Final = 13
_QUANTISED: Final = ("QuantizeLinear", "DequantizeLinear")


def tensorrt_ready(model: bytes) -> list[str]:
    """Why TensorRT would refuse a model, or build it otherwise than meant; empty where nothing speaks against it.

    Raises:
        PackError: It is no valid ONNX model (``unconvertible``).
    """
    proto = infer(load_graph(model))
    graph = proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    problems = []
    opset = max((entry.version for entry in proto.opset_import if not entry.domain), default=0)
    if opset < _AXIS_OPSET:
        problems.append(f"operator set {opset} knows no scale per channel")
    problems += [f"operators of {entry.domain}" for entry in proto.opset_import if entry.domain not in ("", "ai.onnx")]
    if not any(node.op_type in _QUANTISED for node in graph.node):
        problems.append("nothing is quantised")
    for node in graph.node:
        if node.op_type in _QUANTISED:
            problems += [f"{node.name}: {problem}" for problem in _pair_problems(node, constants)]
        elif node.op_type in ("Conv", "Gemm", "MatMul"):
            problems += [f"{node.name}: {problem}" for problem in _layer_problems(node, graph, constants)]
    if len(kinds := set(float_tensors(proto).values())) > 1:
        problems.append(f"{len(kinds)} floating types are mixed")
    return problems


def _pair_problems(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> list[str]:
    if len(node.input) != 3 or node.input[1] not in constants or node.input[2] not in constants:
        return ["scale and zero point are not both constants"]
    scale, zero = numpy_helper.to_array(constants[node.input[1]]), constants[node.input[2]]
    problems = []
    if zero.data_type != TensorProto.INT8:
        kind = TensorProto.DataType.Name(zero.data_type)
        problems.append(f"the zero point is {kind}, only INT8 is taken")
    if numpy_helper.to_array(zero).any():
        problems.append("the zero point is not 0")
    if numpy_helper.to_array(zero).size != scale.size:
        problems.append("scale and zero point differ in size")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        problems.append("a scale is not positive")
    stored = constants.get(node.input[0])
    if stored is None and scale.size != 1:
        problems.append("activations have one scale per tensor")
    if stored is not None:
        problems += _stored_problems(node, stored, scale)
    return problems


def _stored_problems(node: onnx.NodeProto, stored: onnx.TensorProto, scale: NDArray[np.float32]) -> list[str]:
    problems = []
    if node.op_type == "DequantizeLinear" and stored.data_type != TensorProto.INT8:
        problems.append(f"a constant of type {TensorProto.DataType.Name(stored.data_type)} is dequantised")
    axis = next((part.i for part in node.attribute if part.name == "axis"), 1)
    if scale.size != 1 and not (0 <= axis < len(stored.dims) and stored.dims[axis] == scale.size):
        problems.append(f"{scale.size} scales along axis {axis} of {list(stored.dims)}")
    if stored.data_type == TensorProto.INT8 and numpy_helper.to_array(stored).min(initial=0) < -127:
        problems.append("weights run from -127 to 127")
    return problems


def _layer_problems(node: onnx.NodeProto, graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto]) -> list[str]:
    """A weighted layer is quantised on both sides or on none, and its bias never."""
    makers = {output: maker for maker in graph.node for output in maker.output}
    sides = [makers.get(name) for name in node.input]
    quantised = [side is not None and side.op_type == "DequantizeLinear" for side in sides]
    problems = []
    if quantised[0] != quantised[1]:
        problems.append("activation and weight are not quantised together")
    if any(quantised[2:]):
        problems.append("the bias is quantised")
    weight = sides[1]
    if quantised[1] and weight is not None:
        stored = constants.get(weight.input[0])
        if stored is not None and is_stem(node, stored):
            problems.append("there is no INT8 kernel for a convolution on so few channels")
        axis = next((part.i for part in weight.attribute if part.name == "axis"), 1)
        transposed = any(part.name == "transB" and part.i for part in node.attribute)
        wanted = 0 if node.op_type == "Conv" or transposed else 1
        if axis != wanted:
            problems.append(f"the scales of the weight run along axis {axis} instead of {wanted}")
    return problems
