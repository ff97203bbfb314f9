"""Small ONNX models for the tests of precision, made of whole numbers so that every machine makes the same."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Tensor = NDArray[np.float32]


def values(*shape: int) -> Tensor:
    """Numbers between -0.5 and 0.5, exact in binary."""
    count = int(np.prod(shape))
    numbers = (np.arange(count, dtype=np.int64) * 7919 % 257 - 128) / 256
    return numbers.reshape(shape).astype(np.float32)


def constant(name: str, array: NDArray[np.generic]) -> onnx.TensorProto:
    """A weight."""
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


def model(
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    *,
    inputs: tuple[int | str, ...],
    outputs: dict[str, tuple[int | str, ...]],
    opset: int = 17,
) -> bytes:
    """A model with the input ``input``."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(inputs))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in outputs.items()],
        weights,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return bytes(proto.SerializeToString(deterministic=True))


def residual_net(*, batch: int | str = "N", scale: float = 1.0, opset: int = 17) -> bytes:
    """Convolution, pool, a residual block, average, matrix: what the embedder is made of, 5 numbers per input."""
    make = helper.make_node
    nodes = [
        make("Conv", ["input", "w0", "b0"], ["c0"], name="stem", pads=[1, 1, 1, 1]),
        make("Relu", ["c0"], ["r0"], name="stem_relu"),
        make("MaxPool", ["r0"], ["p0"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        make("Conv", ["p0", "w1", "b1"], ["c1"], name="block", pads=[1, 1, 1, 1]),
        make("Add", ["c1", "p0"], ["a1"], name="add"),
        make("Relu", ["a1"], ["r1"], name="add_relu"),
        make("GlobalAveragePool", ["r1"], ["g"], name="average"),
        make("Flatten", ["g"], ["f"], name="flatten"),
        make("MatMul", ["f", "w2"], ["embedding"], name="matrix"),
    ]
    weights = [
        constant("w0", values(4, 3, 3, 3) * np.float32(scale)),
        constant("b0", values(4)),
        constant("w1", values(4, 4, 3, 3)),
        constant("b1", values(4)),
        constant("w2", values(4, 5)),
    ]
    return model(nodes, weights, inputs=(batch, 3, 8, 8), outputs={"embedding": (batch, 5)}, opset=opset)


def inputs(count: int, *shape: int, seed: int = 1) -> list[Tensor]:
    """Batches of one, values 0..1."""
    rng = np.random.default_rng(seed)
    return [rng.random((1, *(shape or (3, 8, 8))), np.float32) for _ in range(count)]
