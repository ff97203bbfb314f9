"""What the conversions of precision share: reading a graph, lifting its operator set, proving and writing it."""

from __future__ import annotations

import hashlib
from typing import Final

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import TensorProto, version_converter

from device.errors import ModelError, PackError
from device.vision.backends.onnx import OnnxSession
from export_tools.convert.onnx_writer import IR_VERSION, OPSET

_HINT: Final = "convert the model again from its upstream file: doorward-export convert"


def refuse(message: str, *, hint: str = _HINT) -> PackError:
    """A graph that cannot be converted (``unconvertible``)."""
    return PackError(message, reason="unconvertible", hint=hint)


def load_graph(model: bytes) -> onnx.ModelProto:
    """Parse an ONNX file that is complete in itself.

    Raises:
        PackError: It is cut off, not valid, needs files beside it, or has graphs inside nodes (``unconvertible``).
    """
    try:
        proto = onnx.load_from_string(model)
        tensors = list(proto.graph.initializer)
        if any(tensor.data_location == TensorProto.EXTERNAL for tensor in tensors):
            raise refuse("the model keeps weights in another file")
        onnx.checker.check_model(proto)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as exc:
        raise refuse(f"this is not a valid ONNX model: {_first_line(exc)}") from exc
    if proto.functions or proto.graph.sparse_initializer:
        raise refuse("the model has functions or sparse weights of its own, which no conversion here knows")
    if any(part.g.ByteSize() or part.graphs for node in proto.graph.node for part in node.attribute):
        raise refuse("the model has branches or loops, which no conversion here knows")
    return proto


def dump_graph(proto: onnx.ModelProto) -> bytes:
    """Check a graph, shapes and types included, and write it reproducibly. Raises PackError (``unconvertible``)."""
    try:
        onnx.checker.check_model(proto, full_check=True)
        return bytes(proto.SerializeToString(deterministic=True))
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, EncodeError) as exc:
        raise refuse(f"the converted model is not valid ONNX: {_first_line(exc)}") from exc


def infer(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the type and shape of every tensor. Raises PackError (``unconvertible``)."""
    try:
        return onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError) as exc:
        raise refuse(f"the model's shapes do not fit together: {_first_line(exc)}") from exc


def lift_opset(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same computation in operator set 17 or later. Raises PackError (``unconvertible``)."""
    versions = {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import}
    if foreign := sorted(set(versions) - {"ai.onnx"}):
        raise refuse(f"the model uses operators of {', '.join(foreign)}")
    if versions["ai.onnx"] >= OPSET:
        return proto
    try:
        lifted = version_converter.convert_version(proto, OPSET)
    except (RuntimeError, ValueError) as exc:
        raise refuse(f"the model cannot be lifted to operator set {OPSET}: {_first_line(exc)}") from exc
    # The version before IR 4 lists weights among the inputs; the converter keeps what it finds.
    lifted.ir_version = max(lifted.ir_version, IR_VERSION)
    return lifted


def fingerprint(model: bytes) -> str:
    """Sha256 over what a model computes: operators, their attributes and wiring, and weights.

    Declared shapes, remarks and the producer's name do not count, so that a graph with another batch or another
    picture size keeps its identity, and with it the ranges that were recorded for it.

    Raises:
        PackError: It is no model (``unconvertible``).
    """
    proto = load_graph(model)
    digest = hashlib.sha256()
    parts = [
        *(f"{entry.domain}:{entry.version}".encode() for entry in proto.opset_import),
        *(value.name.encode() for value in (*proto.graph.input, *proto.graph.output)),
    ]
    for node in proto.graph.node:
        plain = onnx.NodeProto()
        plain.CopyFrom(node)
        plain.ClearField("doc_string")
        parts.append(plain.SerializeToString(deterministic=True))
    parts.extend(tensor.SerializeToString(deterministic=True) for tensor in proto.graph.initializer)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def float_tensors(inferred: onnx.ModelProto) -> dict[str, int]:
    """Element type of every floating tensor that is computed or given, by name; weights are not among them."""
    graph = inferred.graph
    weights = {tensor.name for tensor in graph.initializer}
    found = {
        value.name: int(value.type.tensor_type.elem_type)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
    }
    return {name: kind for name, kind in found.items() if name not in weights}


def name_nodes(proto: onnx.ModelProto) -> None:
    """Give every node a name of its own."""
    taken: set[str] = set()
    for number, node in enumerate(proto.graph.node):
        if not node.name or node.name in taken:
            node.name = f"node_{number}_{node.op_type}"
        taken.add(node.name)


def open_session(model: bytes, *, name: str) -> OnnxSession:
    """The converted model in the device's own runtime, which is the last proof. Raises PackError."""
    try:
        return OnnxSession(model, model=name, threads=1)
    except ModelError as exc:
        raise refuse(f"the converted model does not load: {exc.message}") from exc


def _first_line(exc: Exception) -> str:
    return (str(exc).strip() or type(exc).__name__).partition("\n")[0][:300]
