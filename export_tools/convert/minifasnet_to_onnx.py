"""MiniFASNet (minivision-ai/Silent-Face-Anti-Spoofing, Apache-2.0) -> ONNX, built from its state dict alone.

The two published networks share one chain: a strided convolution, a depthwise one, three times a strided block with
residual blocks behind it, a pointwise and a 5 x 5 depthwise convolution, a linear classifier. V1SE differs from V2 by
its channel counts, which are read off the weights, and by a squeeze-excite module in the last block of each stage.
Batch normalisation is folded in float64; what follows the last convolution is linear and becomes one matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from device.errors import PackError
from export_tools.convert.onnx_writer import serialise
from export_tools.convert.pth_reader import StateDict, read_state_dict

INPUT_PX: Final = 80
CLASSES: Final = 3
_STAGES: Final = (("conv_23", "conv_3", 4), ("conv_34", "conv_4", 6), ("conv_45", "conv_5", 2))
"""Strided block, stage of residual blocks, their number."""
_BATCH_NORM_EPSILON: Final = 1e-5
"""PyTorch's default, which the networks were trained with; it is not part of a state dict."""
_TRAINED_IN_PARALLEL: Final = "module."
"""PyTorch's DataParallel puts this before every name."""
_COUNTER: Final = "num_batches_tracked"

Array = npt.NDArray[np.float64]


def _refuse(message: str) -> PackError:
    return PackError(
        f"MiniFASNet: {message}",
        reason="unconvertible",
        hint="Only the two published networks, V2 (2.7x) and V1SE (4x), are supported.",
    )


@dataclass(slots=True)
class _Weights:
    """The tensors by name, each to be taken exactly once."""

    left: StateDict

    @classmethod
    def of(cls, state: StateDict) -> _Weights:
        """Without the prefix of parallel training, without the counters that only training reads."""
        names = {name: name.removeprefix(_TRAINED_IN_PARALLEL) for name in state}
        if len(set(names.values())) != len(state):
            raise _refuse("two tensors of one name")
        kept = {names[name]: values for name, values in state.items() if not _is_counter(name, values)}
        return cls(kept)

    def take(self, name: str, shape: tuple[int | None, ...]) -> Array:
        """One float32 tensor of this shape (None: any size) in float64."""
        values = self.left.pop(name, None)
        if values is None:
            raise _refuse(f"tensor {name} is missing")
        fits = values.ndim == len(shape) and all(
            found >= 1 and wanted in (None, found) for wanted, found in zip(shape, values.shape, strict=True)
        )
        if values.dtype != np.float32 or not fits:
            raise _refuse(f"tensor {name} is {values.dtype} of shape {values.shape}")
        return values.astype(np.float64)

    def batch_norm(self, name: str, channels: int) -> tuple[Array, Array]:
        """Scale and shift per channel."""
        gamma, beta, mean, variance = (
            self.take(f"{name}.{part}", (channels,)) for part in ("weight", "bias", "running_mean", "running_var")
        )
        if variance.min() < 0:
            raise _refuse(f"{name} has a negative variance")
        scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
        return scale, beta - mean * scale

    def convolution(self, name: str, norm: str, shape: tuple[int | None, ...]) -> tuple[Array, Array]:
        """Weights and bias of a convolution without bias and the batch normalisation behind it."""
        weights = self.take(f"{name}.weight", shape)
        scale, shift = self.batch_norm(norm, weights.shape[0])
        return weights * scale[:, None, None, None], shift


def _is_counter(name: str, values: npt.NDArray[Any]) -> bool:
    return name.rpartition(".")[2] == _COUNTER and values.dtype == np.int64 and values.shape == ()


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    channels: int
    side: int


@dataclass(slots=True)
class _Builder:
    weights: _Weights
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, values: Array) -> str:
        """A float32 constant; float64 that does not fit is refused."""
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if not np.isfinite(narrow).all():
            raise _refuse(f"{name} does not fit into float32")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(narrow), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def convolution(
        self,
        x: _Value,
        name: str,
        *,
        conv: str = "conv",
        norm: str = "bn",
        side: int = 1,
        stride: int = 1,
        depthwise: bool = False,
        padded: bool = True,
    ) -> _Value:
        """A square convolution with its batch normalisation; ``padded`` keeps the side of an odd window."""
        shape = (x.channels if depthwise else None, 1 if depthwise else x.channels, side, side)
        weights, bias = self.weights.convolution(f"{name}.{conv}", f"{name}.{norm}", shape)
        pad = side // 2 if padded else 0
        output = f"{name}.{conv}"
        self.node(
            "Conv",
            [x.name, self.constant(f"{output}_w", weights), self.constant(f"{output}_b", bias)],
            output,
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[pad] * 4,
            group=x.channels if depthwise else 1,
        )
        return _Value(output, weights.shape[0], (x.side + 2 * pad - side) // stride + 1)

    def prelu(self, x: _Value, name: str) -> _Value:
        """max(x, a * x), the same number as PReLU where every a <= 1."""
        slope = self.weights.take(f"{name}.prelu.weight", (x.channels,))
        if slope.max() > 1:
            raise _refuse(f"{name} has a slope above 1")
        constant = self.constant(f"{name}.prelu_a", slope[:, None, None])
        scaled = self.node("Mul", [x.name, constant], f"{name}.prelu_scaled")
        return _Value(self.node("Max", [x.name, scaled], f"{name}.prelu"), x.channels, x.side)

    def conv_block(self, x: _Value, name: str, **window: Any) -> _Value:
        return self.prelu(self.convolution(x, name, **window), name)

    def squeeze_excite(self, x: _Value, name: str) -> _Value:
        """Every channel times a gate between 0 and 1 that follows from all channels' means."""
        mean = _Value(self.node("GlobalAveragePool", [x.name], f"{name}.mean"), x.channels, 1)
        narrow = self.convolution(mean, name, conv="fc1", norm="bn1")
        relu = _Value(self.node("Relu", [narrow.name], f"{name}.relu"), narrow.channels, 1)
        wide = self.convolution(relu, name, conv="fc2", norm="bn2")
        if wide.channels != x.channels:
            raise _refuse(f"{name} gates {wide.channels} of {x.channels} channels")
        gate = self.node("Sigmoid", [wide.name], f"{name}.gate")
        return _Value(self.node("Mul", [x.name, gate], f"{name}.gated"), x.channels, x.side)

    def block(self, x: _Value, name: str, *, stride: int) -> _Value:
        """Pointwise, depthwise 3 x 3, pointwise without activation."""
        wide = self.conv_block(x, f"{name}.conv")
        wide = self.conv_block(wide, f"{name}.conv_dw", side=3, stride=stride, depthwise=True)
        return self.convolution(wide, f"{name}.project")

    def residual(self, x: _Value, name: str, *, gated: bool) -> _Value:
        y = self.block(x, name, stride=1)
        if y.channels != x.channels:
            raise _refuse(f"{name} turns {x.channels} channels into {y.channels}")
        if gated:
            y = self.squeeze_excite(y, f"{name}.se_module")
        return _Value(self.node("Add", [x.name, y.name], f"{name}.sum"), x.channels, x.side)

    def classifier(self, x: _Value) -> None:
        """Linear, batch normalisation and linear, multiplied into one matrix; then the softmax."""
        flat = self.node("Flatten", [x.name], "flat")
        inner = self.weights.take("linear.weight", (None, x.channels * x.side * x.side))
        scale, shift = self.weights.batch_norm("bn", inner.shape[0])
        outer = self.weights.take("prob.weight", (CLASSES, inner.shape[0]))
        matrix = self.constant("classifier_w", outer @ (inner * scale[:, None]))
        bias = self.constant("classifier_b", outer @ shift)
        logits = self.node("Gemm", [flat, matrix, bias], "logits", transB=1)
        self.node("Softmax", [logits], "probabilities", axis=1)


def convert_minifasnet(source: bytes, *, batch: int | None) -> bytes:
    """Convert MiniFASNet V2 or V1SE to ONNX; which one it is follows from the weights.

    Args:
        source: The whole .pth file.
        batch: The fixed batch size, or None for a dynamic one.

    Returns:
        A serialised model (opset 17, float32): ``input`` [batch, 3, 80, 80] BGR 0..255, ``probabilities`` [batch, 3],
        of which number 1 means a live face and the others kinds of attack.

    Raises:
        PackError: The file asks for more than tensors (``pickle_code``), is damaged, or holds another network
            (``unconvertible``); every tensor must be there and none may be left over.
    """
    builder = _Builder(_Weights.of(read_state_dict(source)))
    gated = any(".se_module." in name for name in builder.weights.left)
    x = builder.conv_block(_Value("input", 3, INPUT_PX), "conv1", side=3, stride=2)
    x = builder.conv_block(x, "conv2_dw", side=3, depthwise=True)
    for strided, stage, blocks in _STAGES:
        x = builder.block(x, strided, stride=2)
        for number in range(blocks):
            x = builder.residual(x, f"{stage}.model.{number}", gated=gated and number == blocks - 1)
    x = builder.conv_block(x, "conv_6_sep")
    x = builder.convolution(x, "conv_6_dw", side=x.side, depthwise=True, padded=False)
    builder.classifier(x)
    if builder.weights.left:
        raise _refuse(f"{len(builder.weights.left)} tensors are left over, {min(builder.weights.left)} among them")
    size: int | str = "N" if batch is None else batch
    return serialise(
        nodes=builder.nodes,
        inputs=[helper.make_tensor_value_info("input", TensorProto.FLOAT, [size, 3, INPUT_PX, INPUT_PX])],
        outputs=[helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [size, CLASSES])],
        initializers=builder.initializers,
    )
