"""INT8: QuantizeLinear and DequantizeLinear around what is computed in eight bits.

Two artefacts, because no scheme suits both runtimes: ``u8`` (unsigned activations with a zero point) is what ONNX
Runtime computes in integers from end to end; ``s8`` (symmetric, every zero point 0, biases in float) is all that
TensorRT accepts. Weights are signed, symmetric, one scale per output channel in both.

ONNX Runtime's own quantiser is not used: what it writes differs between the releases that the locked set-ups install,
and a device has to get the very bytes that were measured. Here the same model and the same ranges give the same
bytes: elementwise IEEE arithmetic in one order, nothing drawn, nothing timed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from device.errors import PackError
from export_tools.precision.graph import (
    dump_graph,
    float_tensors,
    infer,
    lift_opset,
    load_graph,
    name_nodes,
    open_session,
    refuse,
)
from export_tools.precision.ranges import Ranges, Span

Activation = Literal["u8", "s8"]

_WEIGHTED: Final = frozenset({"Conv", "MatMul", "Gemm"})
_INTEGER: Final = frozenset({"Add", "AveragePool", "GlobalAveragePool"})
"""Besides the weighted ones, what ONNX Runtime computes on integers."""
_CARRY: Final = frozenset({"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Resize", "Pad"})
"""Moves values without making new ones: the scale of the input serves the output."""
_LEAST_CHANNELS: Final = 4
"""A convolution on fewer channels (the picture itself) stays float for TensorRT: a published build log of 10.16 shows
no INT8 kernel for a 7 x 7 stem on three channels with its Relu and pool, and a strongly typed network has no way
around. It costs nothing: the embedder's cosine to FP32 is 0.9992 with the stem in INT8 and without."""
_INT32_MAX: Final = float(2**31 - 1)


@dataclass(frozen=True, slots=True)
class _Scheme:
    scale: np.float32
    zero: int


@dataclass(slots=True)
class _Quantizer:
    """One run over one graph."""

    graph: onnx.GraphProto
    kinds: dict[str, int]
    ranges: Ranges
    activation: Activation
    excluded: frozenset[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, onnx.TensorProto] = field(default_factory=dict)
    made: dict[str, onnx.TensorProto] = field(default_factory=dict)
    readers: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)
    makers: dict[str, onnx.NodeProto] = field(default_factory=dict)
    schemes: dict[str, _Scheme] = field(default_factory=dict)

    def run(self) -> None:
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        for node in self.graph.node:
            self.makers.update(dict.fromkeys(node.output, node))
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)
        marked = self._marked()
        for name in marked:
            self.schemes[name] = self._scheme(name, marked)
        for value in self.graph.input:
            self._after(value.name)
        for number, node in enumerate(list(self.graph.node)):
            self._emit(node, number)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend([*kept, *self.made.values()])

    # ---- Which tensors become integers

    def _weighted(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in _WEIGHTED or node.name in self.excluded:
            return False
        weight = self.weights.get(node.input[1])
        if weight is None or weight.data_type != TensorProto.FLOAT or len(weight.dims) < 2:
            return False
        if self.activation == "s8" and is_stem(node, weight):
            return False
        return node.op_type != "MatMul" or len(weight.dims) == 2

    def _integer(self, node: onnx.NodeProto) -> bool:
        """Whether the node computes on integers."""
        if self._weighted(node):
            return True
        plain = node.op_type in _INTEGER and node.name not in self.excluded
        return plain and self.activation == "u8" and all(name in self.kinds for name in node.input)

    def _carries(self, node: onnx.NodeProto | None) -> bool:
        if node is None or node.op_type not in _CARRY or node.name in self.excluded or node.input[0] not in self.kinds:
            return False
        texts = {part.name: part.s for part in node.attribute if part.type == onnx.AttributeProto.STRING}
        if node.op_type == "Resize":
            return texts.get("mode", b"nearest") in (b"nearest", b"linear")
        if node.op_type == "Pad":
            # Only a border of zero has a place in every scheme.
            filling = self.weights.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
            given = len(node.input) > 2 and bool(node.input[2])
            zero = not given or (filling is not None and not numpy_helper.to_array(filling).any())
            return texts.get("mode", b"constant") == b"constant" and zero
        return True

    def _marked(self) -> list[str]:
        """Tensors to pass through eight bits, in the order of the graph."""
        wanted: set[str] = set()
        for node in self.graph.node:
            if self._integer(node):
                wanted.update(name for name in node.input if name in self.kinds)
        if self.activation == "u8":
            # What an integer kernel writes, unless only float readers follow down to the outputs of the model.
            for node in self.graph.node:
                if self._weighted(node) and self._reaches_weighted(node.output[0]):
                    wanted.add(self._behind_relu(node.output[0]))
            for node in reversed(self.graph.node):
                if self._carries(node) and node.output[0] in wanted:
                    wanted.add(node.input[0])
        order = [
            *(value.name for value in self.graph.input),
            *(name for node in self.graph.node for name in node.output),
        ]
        return [name for name in order if name in wanted and name in self.kinds]

    def _behind_relu(self, name: str) -> str:
        """The kernel of the convolution applies a Relu that alone reads its output."""
        readers = self.readers.get(name, [])
        alone = len(readers) == 1 and readers[0].op_type == "Relu" and name not in {o.name for o in self.graph.output}
        return readers[0].output[0] if alone else name

    def _reaches_weighted(self, name: str) -> bool:
        pending: list[str] = [name]
        seen: set[str] = set()
        while pending:
            tensor = pending.pop()
            for node in self.readers.get(tensor, []):
                if self._weighted(node):
                    return True
                pending.extend(set(node.output) - seen)
                seen.update(node.output)
        return False

    def _scheme(self, name: str, marked: Collection[str]) -> _Scheme:
        maker = self.makers.get(name)
        if self.activation == "u8" and maker is not None and self._carries(maker) and maker.input[0] in marked:
            return self.schemes[maker.input[0]]
        return _scheme_of(self.ranges.of(name), self.activation)

    # ---- Writing the graph

    def _emit(self, node: onnx.NodeProto, number: int) -> None:
        weighted = self._weighted(node)
        plain = node.input[0] if node.input else ""
        for place, name in enumerate(node.input):
            if name in self.schemes:
                if self.activation == "s8":
                    # TensorRT fuses a pair with the one layer that reads it: every reader gets its own.
                    self._pair(name, suffix=f"/{number}")
                    node.input[place] = f"{name}/dq/{number}"
                else:
                    node.input[place] = f"{name}/dq"
        if weighted:
            node.input[1] = self._weight(node, number, scheme=self.schemes[plain])
        self.nodes.append(node)
        for name in node.output:
            self._after(name)

    def _after(self, name: str) -> None:
        if name in self.schemes and self.activation == "u8":
            self._pair(name, suffix="")

    def _pair(self, name: str, *, suffix: str) -> None:
        if f"{name}/dq{suffix}" in {output for node in self.nodes[-2:] for output in node.output}:
            return  # one node reads the tensor twice
        scheme = self.schemes[name]
        kind = np.uint8 if self.activation == "u8" else np.int8
        scale = self._constant(f"{name}/scale", np.array(scheme.scale, np.float32))
        zero = self._constant(f"{name}/zero", np.array(scheme.zero, kind))
        narrow, wide = f"{name}/q{suffix}", f"{name}/dq{suffix}"
        self.nodes.append(helper.make_node("QuantizeLinear", [name, scale, zero], [narrow], name=narrow))
        self.nodes.append(helper.make_node("DequantizeLinear", [narrow, scale, zero], [wide], name=wide))

    def _weight(self, node: onnx.NodeProto, number: int, *, scheme: _Scheme) -> str:
        """Store the weight of a node in eight bits (and its bias in 32); returns what the node reads instead."""
        name = node.input[1]
        values = numpy_helper.to_array(self.weights[name])
        if not np.isfinite(values).all():
            raise refuse(f"weight {name} is not finite")
        axis = _output_axis(node, values.ndim)
        rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1).astype(np.float64)
        scales = np.abs(rows).max(axis=1) / 127
        bias = self._bias(node)
        if bias is not None:
            # A nearly empty channel with a real bias: the bias has to fit into 32 bits of its scale.
            scales = np.maximum(scales, np.abs(bias) / (float(scheme.scale) * _INT32_MAX) * 1.01)
        scales = np.where(scales > 1e-30, scales, 1.0).astype(np.float32)
        whole = np.clip(np.rint(rows / scales[:, None].astype(np.float64)), -127, 127).astype(np.int8)
        shape = tuple(np.moveaxis(values, axis, 0).shape)
        stored = np.ascontiguousarray(np.moveaxis(whole.reshape(shape), 0, axis))
        key = f"{name}/{number}"
        self._dequantize(key, stored, scales, np.zeros(scales.shape, np.int8), axis=axis)
        if bias is not None:
            per_channel = (scales.astype(np.float64) * float(scheme.scale)).astype(np.float32)
            sums = np.clip(np.rint(bias / per_channel.astype(np.float64)), -_INT32_MAX, _INT32_MAX).astype(np.int32)
            self._dequantize(f"{key}/bias", sums, per_channel, np.zeros(sums.shape, np.int32), axis=0)
            node.input[2] = f"{key}/bias/dq"
        return f"{key}/dq"

    def _bias(self, node: onnx.NodeProto) -> NDArray[np.float64] | None:
        """The bias where it is stored in integers: ONNX Runtime's kernels want it so, TensorRT refuses it."""
        if self.activation == "s8" or len(node.input) < 3 or not node.input[2] or node.op_type == "Gemm":
            return None
        bias = self.weights.get(node.input[2])
        return None if bias is None else numpy_helper.to_array(bias).astype(np.float64)

    def _dequantize(
        self,
        key: str,
        values: NDArray[np.int8] | NDArray[np.int32],
        scales: NDArray[np.float32],
        zeros: NDArray[np.int8] | NDArray[np.int32],
        *,
        axis: int,
    ) -> None:
        inputs = [
            self._constant(f"{key}/int", values),
            self._constant(f"{key}/scale", scales),
            self._constant(f"{key}/zero", zeros),
        ]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{key}/dq"], name=f"{key}/dq", axis=axis))

    def _constant(
        self, name: str, values: NDArray[np.float32] | NDArray[np.int8] | NDArray[np.uint8] | NDArray[np.int32]
    ) -> str:
        self.made[name] = numpy_helper.from_array(values, name)
        return name


def quantize(model: bytes, *, ranges: Ranges, activation: Activation, exclude_nodes: Collection[str] = ()) -> bytes:
    """A model in INT8 with float32 inputs and outputs, the same bytes on every machine.

    Args:
        model: The FP32 ONNX file.
        ranges: Recorded from this model.
        activation: ``u8`` for ONNX Runtime, ``s8`` for TensorRT.
        exclude_nodes: Names of nodes that stay in float.

    Raises:
        PackError: The ranges are another model's or lack a tensor (``calibration``); the model has no such node,
            nothing to quantise, or is quantised already (``unconvertible``).
    """
    ranges.check_model(model)
    proto = lift_opset(load_graph(model))
    name_nodes(proto)
    excluded = frozenset(exclude_nodes)
    if unknown := sorted(excluded - {node.name for node in proto.graph.node}):
        raise refuse(
            f"the model has no node {', '.join(unknown)}", hint="correct the exclusions of the pack description"
        )
    if any(node.op_type in {"QuantizeLinear", "DequantizeLinear"} for node in proto.graph.node):
        raise refuse("the model is quantised already", hint="start from the FP32 model")
    kinds = float_tensors(infer(proto))
    if TensorProto.FLOAT16 in kinds.values():
        raise refuse("the model has half-precision tensors", hint="start from the FP32 model")
    if strangers := sorted(set(ranges.tensors) - set(kinds)):
        raise PackError(
            f"ranges of tensors that the model {ranges.model} does not have: {', '.join(strangers[:5])}",
            reason="calibration",
            hint="record the ranges again: doorward-export quantize --record",
        )
    quantizer = _Quantizer(proto.graph, kinds, ranges, activation, excluded)
    quantizer.run()
    if not quantizer.made:
        raise refuse("the model has nothing that could be quantised")
    data = dump_graph(proto)
    open_session(data, name="int8").close()
    return data


def is_stem(node: onnx.NodeProto, weight: onnx.TensorProto) -> bool:
    """Whether a node is a convolution on fewer than four channels, and not one of the kind that takes each alone."""
    grouped = any(part.name == "group" and part.i > 1 for part in node.attribute)
    return node.op_type == "Conv" and not grouped and weight.dims[1] < _LEAST_CHANNELS


def _scheme_of(span: Span, activation: Activation) -> _Scheme:
    low, high = min(span.low, 0.0), max(span.high, 0.0)
    if activation == "s8":
        scale = np.float32(max(-low, high) / 127)
        return _Scheme(scale if scale > 1e-30 else np.float32(1), 0)
    scale = np.float32((high - low) / 255)
    if not scale > 1e-30:
        return _Scheme(np.float32(1), 0)
    return _Scheme(scale, int(np.clip(np.rint(-low / float(scale)), 0, 255)))


def _output_axis(node: onnx.NodeProto, rank: int) -> int:
    """The axis of the weight that runs over the outputs."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        return 0 if any(part.name == "transB" and part.i for part in node.attribute) else 1
    return rank - 1
