"""Embedders that nobody trained, in the form of published ones: fixed random filters over fixed regions of the chip.

They tell photographs apart by where light and dark are, and know nothing about faces: good enough to show that the
right chip goes in and that the right templates are compared.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 112
_PLANES = 8
_GRID = 7


def sface_like(
    *,
    seed: int = 1,
    dimension: int = 128,
    opset: int = 11,
    batch: int | str = 1,
    output: str = "fc1",
    source: str = "data",
) -> bytes:
    """A network of SFace's signature: ``data`` (1, 3, 112, 112) to ``fc1`` (1, 128), constants listed as inputs.

    Like the published file it scales its input itself, and has convolution, batch normalisation and PReLU.
    """
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray[np.generic]] = {
        "centre": np.array([127.5], np.float32),
        "scale": np.array([1 / 128], np.float32),
        "filters": rng.standard_normal((_PLANES, 3, 5, 5)).astype(np.float32) / 8,
        "gamma": np.ones(_PLANES, np.float32),
        "beta": np.zeros(_PLANES, np.float32),
        "mean": np.zeros(_PLANES, np.float32),
        "variance": np.full(_PLANES, 0.5, np.float32),
        "slope": np.full((_PLANES, 1, 1), 0.25, np.float32),
        "projection": rng.standard_normal((_PLANES * _GRID * _GRID, dimension)).astype(np.float32) / 16,
        "bias": np.zeros(dimension, np.float32),
    }
    nodes = [
        helper.make_node("Sub", [source, "centre"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "filters"], ["filtered"], strides=[4, 4], pads=[2, 2, 2, 2]),
        helper.make_node("BatchNormalization", ["filtered", "gamma", "beta", "mean", "variance"], ["normal"]),
        helper.make_node("PRelu", ["normal", "slope"], ["active"]),
        helper.make_node("AveragePool", ["active"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        # Without what all regions have in common: else every two faces would be near one another.
        helper.make_node("ReduceMean", ["pooled"], ["level"], axes=[2, 3], keepdims=1),
        helper.make_node("Sub", ["pooled", "level"], ["pattern"]),
        helper.make_node("Flatten", ["pattern"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "projection", "bias"], [output]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    listed = [helper.make_tensor_value_info(each.name, each.data_type, list(each.dims)) for each in tensors]
    graph = helper.make_graph(
        nodes,
        "embedder",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, [batch, 3, SIDE, SIDE]), *listed],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, dimension])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
