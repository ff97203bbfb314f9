"""FP16: half-precision tensors between float32 inputs and outputs.

The graph has one floating type inside, so that a strongly typed TensorRT network takes it as it stands. The common
converters keep Resize, Min and Max in float32 between casts, which costs more than it saves here, and the graph of a
pack must not depend on which converter is installed; with one floating type the rule is short enough to be kept here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export_tools.precision.graph import (
    dump_graph,
    float_tensors,
    infer,
    lift_opset,
    load_graph,
    open_session,
    refuse,
)
from export_tools.precision.ranges import Ranges

FP16_MAX: Final = 65504.0
"""Largest finite half-precision number (IEEE 754 binary16)."""
_STAYS_FLOAT: Final = frozenset({("Resize", 2)})
"""Inputs that the operator set wants in float32: the scales of a Resize."""
_UNKNOWN: Final = frozenset({"QuantizeLinear", "DequantizeLinear", "Cast", "CastLike", "ConstantOfShape", "EyeLike"})
"""Operators that carry a type of their own: models with them are converted before, not after."""


def to_fp16(model: bytes, *, ranges: Ranges | None = None) -> bytes:
    """A model in half precision with float32 inputs and outputs.

    Args:
        model: An FP32 ONNX file.
        ranges: Recorded ranges of the same model; where given, a tensor that went beyond half precision is refused.

    Raises:
        PackError: A weight or a recorded value lies beyond half precision, an operator is unknown, or the result does
            not hold together (``unconvertible``); the ranges are another model's (``calibration``).
    """
    proto = lift_opset(load_graph(model))
    if ranges is not None:
        ranges.check_model(model)
        if beyond := overflowing(ranges):
            raise refuse(
                f"half precision ends at {FP16_MAX:.0f}; beyond it went {', '.join(beyond[:5])}",
                hint="keep this model in FP32 (exclude fp16 in the pack description)",
            )
    if foreign := sorted({node.op_type for node in proto.graph.node} & _UNKNOWN):
        raise refuse(f"a model with {', '.join(foreign)} cannot be converted to FP16", hint="start from the FP32 model")
    graph = proto.graph
    kinds = float_tensors(infer(proto))
    if TensorProto.FLOAT16 in kinds.values():
        raise refuse("the model has half-precision tensors already", hint="start from the FP32 model")
    del graph.value_info[:]
    kept = _halve_weights(graph)
    for node in graph.node:
        _halve_attributes(node)
    _cast_borders(graph, kinds)
    data = dump_graph(proto)
    _prove_one_type(data, kept)
    open_session(data, name="fp16").close()
    return data


def overflowing(ranges: Ranges) -> list[str]:
    """Tensors whose recorded values do not fit into half precision, by name."""
    return [name for name, span in ranges.tensors.items() if max(abs(span.low), abs(span.high)) > FP16_MAX]


def _halve_weights(graph: onnx.GraphProto) -> set[str]:
    """Convert all weights but those that have to stay; returns the names of these."""
    used: dict[str, set[bool]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            used.setdefault(name, set()).add((node.op_type, place) in _STAYS_FLOAT)
    kept = set()
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        if used.get(tensor.name) == {True}:
            kept.add(tensor.name)
        elif used.get(tensor.name, {False}) == {False}:
            tensor.CopyFrom(_half(tensor))
        else:
            raise refuse(f"{tensor.name} is both a scale and a weight")
    return kept


def _halve_attributes(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(_half(attribute.t))
        elif node.op_type == "Constant" and attribute.name in {"value_float", "value_floats"}:
            raise refuse("a constant of this kind is not known", hint="fold the constants of the model first")


def _half(tensor: onnx.TensorProto) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    finite = values[np.isfinite(values)]
    if finite.size and float(np.abs(finite).max()) > FP16_MAX:
        raise refuse(
            f"weight {tensor.name} reaches {float(np.abs(finite).max()):g}, half precision ends at {FP16_MAX:.0f}",
            hint="keep this model in FP32 (exclude fp16 in the pack description)",
        )
    return numpy_helper.from_array(values.astype(np.float16), tensor.name)


def _cast_borders(graph: onnx.GraphProto, kinds: dict[str, int]) -> None:
    """Inputs are narrowed once, outputs widened once; whoever reads an output inside reads the narrow one."""
    narrow = {value.name: f"{value.name}/half" for value in (*graph.input, *graph.output) if value.name in kinds}
    given = [value.name for value in graph.input if value.name in narrow]
    asked = [value.name for value in graph.output if value.name in narrow]
    before = [_cast(name, narrow[name], TensorProto.FLOAT16) for name in given]
    after = [_cast(narrow[name], name, TensorProto.FLOAT) for name in asked]
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = narrow.get(name, name)
    inner = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before, *inner, *after])


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}/cast", to=kind)


def _prove_one_type(data: bytes, kept: set[str]) -> None:
    """Between the casts every floating tensor is half precision: a strongly typed network mixes nothing."""
    proto = infer(load_graph(data))
    borders = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    wide = [name for name, kind in float_tensors(proto).items() if kind == TensorProto.FLOAT and name not in borders]
    wide += [tensor.name for tensor in proto.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    if mixed := sorted(set(wide) - kept):
        raise refuse(f"these tensors are still float32: {', '.join(mixed[:5])}")
