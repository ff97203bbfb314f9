"""ONNX files as this project writes them: one opset, checked, the same bytes each time."""

from __future__ import annotations

from typing import Final

import onnx
from onnx import helper

from device.errors import PackError

OPSET: Final = 17
"""The newest opset that every onnxruntime since 1.12 and TensorRT 8.6 load; scales per channel need 13."""
IR_VERSION: Final = 8


def serialise(
    *,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[onnx.TensorProto],
) -> bytes:
    """Assemble, check with onnx's own checker and shape inference, and serialise one model, reproducibly.

    Raises:
        PackError: The graph is not valid (``unconvertible``).
    """
    model = helper.make_model(
        helper.make_graph(nodes, "doorward", inputs, outputs, initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="doorward-export",
        ir_version=IR_VERSION,
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise PackError(f"the converted model is not valid ONNX ({exc})", reason="unconvertible") from exc
    return bytes(model.SerializeToString(deterministic=True))
