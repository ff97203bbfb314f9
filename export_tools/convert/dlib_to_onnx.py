"""dlib's face recognition network -> ONNX, with everything foldable folded.

The affine layers go into the convolutions before them; the input's mean and its division by 256 go into the
first convolution, which has no padding, so this is exact up to rounding. The result takes raw RGB 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from device.errors import PackError
from export_tools.convert.dlib_reader import Layer, Network, read_dlib
from export_tools.convert.onnx_writer import serialise

_INPUT_DIVISOR: Final = 256.0
"""dlib's ``input_rgb_image_sized`` divides by 256, not by 255."""

Array = npt.NDArray[Any]


def _refuse(message: str) -> PackError:
    return PackError(f"dlib network: {message}", reason="unconvertible")


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    shape: tuple[int, int, int]


@dataclass(slots=True)
class _Builder:
    current: _Value
    remembered: _Value | None = None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, values: Array) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, inputs: list[str], shape: tuple[int, int, int], **attributes: Any) -> _Value:
        if min(shape) < 1:
            raise _refuse(f"a {kind} leaves nothing of its input")
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return _Value(name, shape)

    def windowed(self, layer: Layer, channels: int) -> tuple[int, int, int]:
        """Output shape, rounded down as dlib does."""
        rows, columns = (
            1 + (size + 2 * pad - extent) // stride
            for size, pad, extent, stride in zip(
                self.current.shape[1:], layer.padding, layer.window, layer.stride, strict=True
            )
        )
        return channels, rows, columns

    def convolution(self, layer: Layer, weights: Array, bias: Array) -> None:
        if weights.shape[1] != self.current.shape[0]:
            raise _refuse(f"a convolution of {weights.shape[1]} channels meets {self.current.shape[0]}")
        name = f"v{len(self.nodes)}"
        inputs = [
            self.current.name,
            self.constant(f"{name}_w", weights.astype(np.float32)),
            self.constant(f"{name}_b", bias.astype(np.float32)),
        ]
        self.current = self.node(
            "Conv",
            inputs,
            self.windowed(layer, weights.shape[0]),
            kernel_shape=list(layer.window),
            strides=list(layer.stride),
            pads=[*layer.padding, *layer.padding],
        )

    def pool(self, layer: Layer) -> None:
        channels = self.current.shape[0]
        if layer.window == (0, 0):
            if layer.kind != "avg_pool":
                raise _refuse("a maximum over everything")
            self.current = self.node("GlobalAveragePool", [self.current.name], (channels, 1, 1))
            return
        if 0 in layer.window or 0 in layer.stride or layer.padding != (0, 0):
            raise _refuse(f"a pool with window {layer.window}, padding {layer.padding}")
        self.current = self.node(
            "MaxPool" if layer.kind == "max_pool" else "AveragePool",
            [self.current.name],
            self.windowed(layer, channels),
            kernel_shape=list(layer.window),
            strides=list(layer.stride),
        )

    def padded(self, value: _Value, shape: tuple[int, int, int]) -> _Value:
        """Zeros behind the last channel, below and to the right, up to ``shape``."""
        if value.shape == shape:
            return value
        extra = [large - small for large, small in zip(shape, value.shape, strict=True)]
        pads = self.constant(f"v{len(self.nodes)}_pads", np.array([0, 0, 0, 0, 0, *extra], np.int64))
        return self.node("Pad", [value.name, pads], shape)

    def add_remembered(self) -> None:
        if self.remembered is None:
            raise _refuse("a sum without its second value")
        left, right = self.current.shape, self.remembered.shape
        shape = (max(left[0], right[0]), max(left[1], right[1]), max(left[2], right[2]))
        pair = [self.padded(self.current, shape).name, self.padded(self.remembered, shape).name]
        self.current = self.node("Add", pair, shape)
        self.remembered = None

    def dense(self, layer: Layer, weights: Array) -> None:
        if self.current.shape != (weights.shape[0], 1, 1):
            raise _refuse(f"a dense layer of {weights.shape[0]} inputs meets {self.current.shape}")
        flat = self.node("Flatten", [self.current.name], self.current.shape)
        matrix = self.constant(f"{layer.kind}_w", weights)
        self.current = self.node("MatMul", [flat.name, matrix], (weights.shape[1], 1, 1))

    def mark(self, layer: Layer) -> None:
        if layer.saves:
            self.remembered = self.current
        elif layer.swaps:
            if self.remembered is None:
                raise _refuse("a shortcut without its beginning")
            self.current, self.remembered = self.remembered, self.current


def _weights(layer: Layer) -> tuple[Array, Array]:
    if layer.weights is None or layer.bias is None:
        raise _refuse(f"a {layer.kind} without weights")
    return layer.weights.astype(np.float64), layer.bias.astype(np.float64)


def _folded(layer: Layer, affine: Layer | None, network: Network, *, first: bool) -> tuple[Array, Array]:
    """Weights and bias of a convolution with its neighbours folded in, computed in float64."""
    weights, bias = _weights(layer)
    if first:
        if layer.padding != (0, 0) or weights.shape[1] != 3:
            raise _refuse("the mean cannot be folded into a first convolution with padding")
        bias = bias - np.einsum("oikl,i->o", weights, np.array(network.mean)) / _INPUT_DIVISOR
        weights = weights / _INPUT_DIVISOR
    if affine is not None:
        gamma, beta = _weights(affine)
        if gamma.shape != bias.shape:
            raise _refuse("an affine layer does not fit the convolution before it")
        weights, bias = weights * gamma[:, None, None, None], bias * gamma + beta
    return weights, bias


def convert_dlib(data: bytes) -> bytes:
    """Convert dlib's face recognition ResNet to ONNX.

    Args:
        data: The whole .dat file.

    Returns:
        A serialised model (opset 17, float32): ``input`` [N, 3, 150, 150] RGB 0..255, ``embedding`` [N, 128],
        not of unit length.

    Raises:
        PackError: The file is damaged or holds another kind of network (``unconvertible``).
    """
    network = read_dlib(data)
    builder = _Builder(current=_Value("input", (3, network.rows, network.columns)))
    layers = network.layers
    for position, layer in enumerate(layers):
        builder.mark(layer)
        following = layers[position + 1] if position + 1 < len(layers) else None
        if layer.kind == "con":
            affine = following if following is not None and following.kind == "affine" else None
            builder.convolution(layer, *_folded(layer, affine, network, first=position == 0))
        elif layer.kind == "affine":
            if position == 0 or layers[position - 1].kind != "con" or layer.saves or layer.swaps:
                raise _refuse("an affine layer that does not follow a convolution")
        elif layer.kind == "relu":
            builder.current = builder.node("Relu", [builder.current.name], builder.current.shape)
        elif layer.kind in ("max_pool", "avg_pool"):
            builder.pool(layer)
        elif layer.kind == "add_prev":
            builder.add_remembered()
        elif layer.weights is not None:
            builder.dense(layer, layer.weights)
    if not layers or layers[0].kind != "con" or layers[-1].kind != "fc":
        raise _refuse("it does not run from a convolution to a dense layer")
    builder.nodes[-1].output[0] = "embedding"
    size: list[str | int | None] = ["N", 3, network.rows, network.columns]
    return serialise(
        nodes=builder.nodes,
        inputs=[helper.make_tensor_value_info("input", TensorProto.FLOAT, size)],
        outputs=[helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", builder.current.shape[0]])],
        initializers=builder.initializers,
    )
