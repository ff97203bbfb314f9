"""ONNX files of others: checked, brought to one opset, and given the names and the shapes their description promises.

Nothing of the file is run, and nothing outside it is read: a model that keeps weights in other files, brings operators
of its own or branches is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from google.protobuf.message import DecodeError
from onnx import checker, shape_inference, version_converter

from device.errors import PackError
from device.vision.manifest import TensorSpec
from export_tools.cards import OutputSpec
from export_tools.convert.tflite_to_onnx import IR_VERSION, OPSET


def import_onnx(source: bytes, *, model_input: TensorSpec, outputs: Sequence[OutputSpec]) -> bytes:
    """Bring a published ONNX file into the form all models of a pack have.

    Args:
        source: The file.
        model_input: The only input: its new name and its shape; where the file leaves a size free, it is fixed.
        outputs: Which outputs to keep, under which names and in which order.

    Returns:
        The serialised, checked model.

    Raises:
        PackError: The file is damaged, or is not what is described (``unconvertible``).
    """
    model = _parse(source)
    _refuse_what_is_not_self_contained(model)
    model = _at_opset(model)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in constants]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise _refuse(f"it has {len(inputs)} inputs, or not one of float32")
    found = {info.name: info for info in graph.output}
    if missing := [spec.source for spec in outputs if spec.source not in found]:
        raise _refuse(f"it has no output {', '.join(missing)}; it has {', '.join(found)}")
    renames = {inputs[0].name: model_input.name, **{spec.source: spec.name for spec in outputs}}
    _rename(graph, renames)
    kept = [found[spec.source] for spec in outputs]
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.append(_described(inputs[0], model_input))
    graph.output.extend(_described(info, spec) for info, spec in zip(kept, outputs, strict=True))
    return _checked(model)


def _parse(source: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_from_string(source)
    except DecodeError as exc:
        raise _refuse("it is truncated or no ONNX file") from exc
    if not model.graph.node or not model.opset_import:
        raise _refuse("it is truncated or no ONNX file")
    return model


def _refuse_what_is_not_self_contained(model: onnx.ModelProto) -> None:
    foreign = sorted(
        {f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in {"", "ai.onnx"}}
    )
    if foreign or model.functions:
        raise _refuse(f"it brings operators of its own: {', '.join(foreign) or 'functions'}")
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type in {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}:
                raise _refuse(f"it branches ({node.op_type})")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise _refuse("it keeps weights in other files")


def _at_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    own = max((opset.version for opset in model.opset_import if opset.domain in {"", "ai.onnx"}), default=0)
    model.ir_version = max(model.ir_version, 4)  # from 4 on constants need not be listed as inputs
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [info for info in model.graph.input if info.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    if own < OPSET:
        try:
            # RuntimeError is all that the converter's C++ side raises.
            model = version_converter.convert_version(model, OPSET)
        except (RuntimeError, ValueError) as exc:
            raise _refuse(f"it cannot be brought from opset {own} to {OPSET} ({exc})") from exc
    model.ir_version = IR_VERSION
    model.producer_name = "doorward-export"
    model.producer_version = model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:], model.training_info[:]
    return model


def _rename(graph: onnx.GraphProto, renames: dict[str, str]) -> None:
    """Rename tensors; a name that is taken by another tensor moves out of the way."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in graph.initializer}
    aside = {new: f"{new}_of_source" for new in renames.values() if new in taken and new not in renames}
    mapping = {**aside, **renames}
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [mapping.get(name, name) for name in names]
    for tensor in graph.initializer:
        tensor.name = mapping.get(tensor.name, tensor.name)


def _described(info: onnx.ValueInfoProto, spec: TensorSpec) -> onnx.ValueInfoProto:
    own = info.type.tensor_type
    if own.elem_type != onnx.TensorProto.FLOAT or len(own.shape.dim) not in (0, len(spec.shape)):
        raise _refuse(f"{info.name} is not float32 with {len(spec.shape)} dimensions")
    for dim, wanted in zip(own.shape.dim, spec.shape, strict=False):
        if wanted is not None and dim.HasField("dim_value") and dim.dim_value != wanted:
            raise _refuse(f"{info.name} has size {dim.dim_value} where {wanted} is described")
    shape = ["batch" if dim is None else dim for dim in spec.shape]
    return onnx.helper.make_tensor_value_info(spec.name, onnx.TensorProto.FLOAT, shape)


def _checked(model: onnx.ModelProto) -> bytes:
    try:
        checker.check_model(model, full_check=True)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (checker.ValidationError, shape_inference.InferenceError) as exc:
        first = str(exc).partition("\n")[0]
        raise _refuse(f"it is not valid as described ({first})") from exc
    return bytes(model.SerializeToString(deterministic=True))


def _refuse(what: str) -> PackError:
    return PackError(
        f"the ONNX file cannot be used: {what}",
        reason="unconvertible",
        hint="compare the description with the file, or export the model again: opset 11 to 17, one float32 input",
    )
