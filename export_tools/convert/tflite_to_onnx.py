"""TFLite graph -> ONNX: NHWC becomes NCHW, SAME padding explicit, PReLU two or four cheap operators.

Numbers are kept: the result differs from LiteRT by rounding only (see models/README.md). Layout is decided
once per value: every 4-D value lives in NCHW; a RESHAPE leaves the image world, so it transposes back first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from device.errors import PackError
from export_tools.convert.onnx_writer import serialise
from export_tools.convert.tflite_reader import Graph, Operator, read_tflite

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """How one output of the source is published: its new name and shape (-1: batch)."""

    source: str
    name: str
    shape: tuple[int, ...]


def _refuse(message: str) -> PackError:
    return PackError(f"TFLite model: {message}", reason="unconvertible")


@dataclass(slots=True)
class _Builder:
    graph: Graph
    batch: int | str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    folded_pads: dict[int, tuple[int, tuple[int, int, int, int]]] = field(default_factory=dict)

    def constant(self, name: str, values: Array) -> str:
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def values(self, index: int) -> Array:
        constant = self.graph.tensors[index].constant if index >= 0 else None
        if constant is None:
            raise _refuse("weights that are computed at run time are not supported")
        return constant

    def shape(self, index: int) -> tuple[int, ...]:
        if index < 0:
            raise _refuse("an operator lacks an input")
        return self.graph.tensors[index].shape

    def activate(self, step: Operator, kind: str, inputs: list[str], **attributes: Any) -> None:
        target = f"t{step.outputs[0]}"
        if step.activation == "none":
            self.node(kind, inputs, target, **attributes)
            return
        raw = self.node(kind, inputs, f"{target}_raw", **attributes)
        if step.activation == "relu":
            self.node("Relu", [raw], target)
        else:
            low = self.constant("zero", np.float32(0).reshape(()))
            high = self.constant("six", np.float32(6).reshape(()))
            self.node("Clip", [raw, low, high], target)

    def window_pads(self, step: Operator, source: int, window: tuple[int, int]) -> list[int]:
        """[top, left, bottom, right]; TFLite's SAME puts the odd pixel at the bottom and right."""
        if step.padding == "valid":
            return [0, 0, 0, 0]
        begin, end = [], []
        for size, stride, extent in zip(self.shape(source)[1:3], step.stride, window, strict=True):
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
            begin.append(total // 2)
            end.append(total - total // 2)
        return [*begin, *end]

    def convolution(self, step: Operator) -> None:
        depthwise = step.kind == "DEPTHWISE_CONV_2D"
        weights = self.values(step.inputs[1])
        if weights.ndim != 4:
            raise _refuse(f"{step.kind} has weights of shape {weights.shape}")
        extent = tuple((k - 1) * d + 1 for k, d in zip(weights.shape[1:3], step.dilation, strict=True))
        source, inner = self.folded_pads.get(step.inputs[0], (step.inputs[0], (0, 0, 0, 0)))
        own = self.window_pads(step, step.inputs[0], (extent[0], extent[1]))
        channels = self.shape(source)[3]
        if weights.shape[3] % channels if depthwise else weights.shape[3] != channels:
            raise _refuse(f"{step.kind} has weights of shape {weights.shape} for {channels} channels")
        target = f"t{step.outputs[0]}"
        axes = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        inputs = [f"t{source}", self.constant(f"{target}_w", weights.transpose(axes))]
        if len(step.inputs) > 2 and step.inputs[2] >= 0:
            inputs.append(self.constant(f"{target}_b", self.values(step.inputs[2])))
        self.activate(
            step,
            "Conv",
            inputs,
            kernel_shape=list(weights.shape[1:3]),
            strides=list(step.stride),
            dilations=list(step.dilation),
            pads=[a + b for a, b in zip(own, inner, strict=True)],
            group=channels if depthwise else 1,
        )

    def pad(self, step: Operator) -> None:
        amounts = self.values(step.inputs[1])
        if amounts.shape != (4, 2) or amounts.min() < 0 or amounts[0].any():
            raise _refuse(f"PAD by {amounts.tolist()}")
        readers = [s for s in self.graph.operators if step.outputs[0] in s.inputs]
        convolutions = all(s.kind in ("CONV_2D", "DEPTHWISE_CONV_2D") for s in readers)
        if convolutions and not amounts[3].any() and step.outputs[0] not in self.graph.outputs:
            (top, bottom), (left, right) = amounts[1].tolist(), amounts[2].tolist()
            self.folded_pads[step.outputs[0]] = (step.inputs[0], (top, left, bottom, right))
            return
        nchw = amounts[[0, 3, 1, 2]].T.reshape(-1).astype(np.int64)
        target = f"t{step.outputs[0]}"
        self.node("Pad", [f"t{step.inputs[0]}", self.constant(f"{target}_pads", nchw)], target)

    def prelu(self, step: Operator) -> None:
        """max(0, x) + a * min(0, x); where every a <= 1 the same number is max(x, a * x).

        onnxruntime's own PRelu kernel makes FaceMesh more than twice as slow (x86, one thread, medians of 150
        interleaved runs: 3.9 ms against 1.7 ms); the numbers are the same.
        """
        source, target = f"t{step.inputs[0]}", f"t{step.outputs[0]}"
        slope = self.values(step.inputs[1])
        if slope.shape != (1, 1, self.shape(step.inputs[0])[3]):
            raise _refuse(f"PRELU has slopes of shape {slope.shape}")
        name = self.constant(f"{target}_a", slope.transpose(2, 0, 1)[None])
        if slope.max() <= 1:
            scaled = self.node("Mul", [source, name], f"{target}_scaled")
            self.node("Max", [source, scaled], target)
            return
        zero = self.constant("zero", np.float32(0).reshape(()))
        below = self.node("Min", [source, zero], f"{target}_below")
        scaled = self.node("Mul", [below, name], f"{target}_scaled")
        above = self.node("Relu", [source], f"{target}_above")
        self.node("Add", [above, scaled], target)

    def flat(self, index: int) -> str:
        """The name of a value in NHWC memory order."""
        shape, name = self.shape(index), f"t{index}"
        if len(shape) != 4 or shape[3] == 1 or shape[1] == shape[2] == 1:
            return name
        flat = f"{name}_nhwc"
        if not any(node.name == flat for node in self.nodes):
            self.node("Transpose", [name], flat, perm=[0, 2, 3, 1])
        return flat

    def reshape(self, step: Operator) -> None:
        shape = self.shape(step.outputs[0])
        if len(shape) == 4 or shape[0] != 1:
            raise _refuse(f"RESHAPE to {shape}")
        target = f"t{step.outputs[0]}"
        wanted = self.constant(f"{target}_shape", np.array([-1, *shape[1:]], np.int64))
        self.node("Reshape", [self.flat(step.inputs[0]), wanted], target)

    def add(self, step: Operator) -> None:
        if len(step.inputs) != 2 or self.shape(step.inputs[0]) != self.shape(step.inputs[1]):
            raise _refuse("ADD of values of different shapes")
        self.activate(step, "Add", [f"t{i}" for i in step.inputs])

    def max_pool(self, step: Operator) -> None:
        pads = self.window_pads(step, step.inputs[0], step.window)
        self.activate(
            step,
            "MaxPool",
            [f"t{step.inputs[0]}"],
            kernel_shape=list(step.window),
            strides=list(step.stride),
            pads=pads,
        )

    def resize(self, step: Operator) -> None:
        before, after = self.shape(step.inputs[0]), self.shape(step.outputs[0])
        mode = "asymmetric"
        if step.half_pixel or step.align_corners:
            mode = "align_corners" if step.align_corners else "half_pixel"
        target = f"t{step.outputs[0]}"
        scales = np.array([1, 1, after[1] / before[1], after[2] / before[2]], np.float32)
        self.node(
            "Resize",
            [f"t{step.inputs[0]}", "", self.constant(f"{target}_scales", scales)],
            target,
            mode="linear",
            coordinate_transformation_mode=mode,
        )

    def depth_to_space(self, step: Operator) -> None:
        self.node("DepthToSpace", [f"t{step.inputs[0]}"], f"t{step.outputs[0]}", blocksize=step.block, mode="DCR")

    def step(self, step: Operator) -> None:
        """Emit the ONNX nodes of one operator."""
        emit = {
            "ADD": self.add,
            "CONV_2D": self.convolution,
            "DEPTHWISE_CONV_2D": self.convolution,
            "DEPTH_TO_SPACE": self.depth_to_space,
            "MAX_POOL_2D": self.max_pool,
            "PAD": self.pad,
            "PRELU": self.prelu,
            "RESHAPE": self.reshape,
            "RESIZE_BILINEAR": self.resize,
        }.get(step.kind)
        if emit is None:
            raise _refuse(f"operator {step.kind} is not supported")
        emit(step)

    def publish(self, outputs: tuple[Output, ...]) -> list[onnx.ValueInfoProto]:
        by_name = {self.graph.tensors[i].name: i for i in self.graph.outputs}
        if sorted(by_name) != sorted(output.source for output in outputs):
            raise _refuse(f"its outputs are {sorted(by_name)}")
        infos = []
        for output in outputs:
            index = by_name[output.source]
            if int(np.prod(output.shape[1:])) != int(np.prod(self.shape(index)[1:])):
                raise _refuse(f"output {output.source} has the shape {self.shape(index)}, not {output.shape}")
            wanted = self.constant(f"{output.name}_shape", np.array([-1, *output.shape[1:]], np.int64))
            self.node("Reshape", [self.flat(index), wanted], output.name)
            shape = [self.batch, *output.shape[1:]]
            infos.append(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, shape))
        return infos


def convert_tflite(data: bytes, *, outputs: tuple[Output, ...], batch: int | None) -> bytes:
    """Convert a TFLite image model to ONNX with one input ``input`` of float32 [batch, C, H, W].

    Args:
        data: The whole TFLite file.
        outputs: Every output of the source, with the name and shape it is published under.
        batch: The fixed batch size, or None for a dynamic one.

    Returns:
        The serialised, checked ONNX model (opset 17, float32).

    Raises:
        PackError: The file is damaged or uses what the converter does not know (``unconvertible``).
    """
    graph = read_tflite(data)
    try:
        return _convert(graph, outputs=outputs, batch=batch)
    except (IndexError, KeyError, ValueError, TypeError, ArithmeticError, MemoryError) as exc:
        raise _refuse(f"its operators contradict one another ({exc})") from exc


def _convert(graph: Graph, *, outputs: tuple[Output, ...], batch: int | None) -> bytes:
    size: int | str = "N" if batch is None else batch
    builder = _Builder(graph=graph, batch=size)
    if len(graph.inputs) != 1 or len(builder.shape(graph.inputs[0])) != 4:
        raise _refuse("it does not have exactly one image input")
    _, height, width, channels = builder.shape(graph.inputs[0])
    for step in graph.operators:
        builder.step(step)
    infos = builder.publish(outputs)
    source = f"t{graph.inputs[0]}"
    for node in builder.nodes:
        node.input[:] = ["input" if name == source else name for name in node.input]
    return serialise(
        nodes=builder.nodes,
        inputs=[helper.make_tensor_value_info("input", TensorProto.FLOAT, [size, channels, height, width])],
        outputs=infos,
        initializers=list(builder.initializers.values()),
    )
