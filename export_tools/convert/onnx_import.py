"""ONNX files of others: checked, brought to one opset, and given the names and the shapes their description promises.

Nothing of the file is run, and nothing outside it is read: a model that keeps weights in other files, brings operators
of its own or branches is refused, and so is one that would run for longer than a door can wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import onnx
from google.protobuf.message import DecodeError
from onnx import checker, shape_inference, version_converter

from device.errors import PackError
from device.vision.manifest import TensorSpec
from export_tools.cards import OutputSpec
from export_tools.convert.onnx_cost import MAX_NODES, require_bounded
from export_tools.convert.onnx_writer import IR_VERSION, OPSET

_DEFAULT_DOMAINS: Final = frozenset(("", "ai.onnx"))
#: What checker, shape inference and converter raise about a file that is not what it says.
_INVALID: Final = (
    checker.ValidationError,
    shape_inference.InferenceError,
    version_converter.ConvertError,
    RuntimeError,
    ValueError,
    IndexError,
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a file: its name, and its shape with None for each free size; None where not even told."""

    name: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """What goes into a file and what comes out, as far as the file tells; float32 throughout."""

    input: Tensor
    outputs: tuple[Tensor, ...]


def read_signature(source: bytes, *, input_shape: Sequence[int | None] | None = None) -> Signature:
    """What an ONNX file takes and gives; its graph is looked at, not run.

    Args:
        source: The file.
        input_shape: Sizes for the input, from which those of the outputs are found out; if None, as the file tells.

    Raises:
        PackError: The file is damaged, or not of the kind that can be imported (``unconvertible``).
    """
    model = _prepared(source)
    graph = model.graph
    given = _only_input(graph)
    if input_shape is not None:
        graph.input[0].CopyFrom(_described(given, name=given.name, shape=input_shape))
        del graph.value_info[:]
        for info in graph.output:
            info.type.tensor_type.ClearField("shape")
        try:
            graph = shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
        except _INVALID as exc:
            raise _invalid(exc) from exc
    outputs = (info for info in graph.output if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT)
    return Signature(input=_tensor(graph.input[0]), outputs=tuple(map(_tensor, outputs)))


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
    model = _prepared(source)
    graph = model.graph
    given = _only_input(graph)
    found = {info.name: info for info in graph.output}
    if missing := [spec.source for spec in outputs if spec.source not in found]:
        raise _refuse(f"it has no output {', '.join(missing)}; it has {', '.join(found)}")
    described = [_described(given, name=model_input.name, shape=model_input.shape)]
    kept = [_described(found[spec.source], name=spec.name, shape=spec.shape) for spec in outputs]
    _rename(graph, {given.name: model_input.name, **{spec.source: spec.name for spec in outputs}})
    del graph.input[:], graph.output[:], graph.value_info[:], graph.quantization_annotation[:]
    graph.input.extend(described)
    graph.output.extend(kept)
    data = _checked(model)
    require_bounded(model)
    return data


def _prepared(source: bytes) -> onnx.ModelProto:
    model = _parse(source)
    _refuse_what_is_not_self_contained(model)
    return _at_opset(model)


def _parse(source: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_from_string(source)
    except (DecodeError, ValueError) as exc:
        raise _refuse("it is truncated or no ONNX file") from exc
    if not model.graph.node or not model.opset_import:
        raise _refuse("it is truncated or no ONNX file")
    if len(model.graph.node) > MAX_NODES:
        raise _refuse(f"it has {len(model.graph.node)} nodes, and at most {MAX_NODES} are taken")
    return model


def _refuse_what_is_not_self_contained(model: onnx.ModelProto) -> None:
    foreign = sorted(
        {f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in _DEFAULT_DOMAINS}
    )
    if foreign or model.functions:
        raise _refuse(f"it brings operators of its own: {', '.join(foreign) or 'functions'}")
    for node in model.graph.node:
        # Whatever the attribute says of its own type: what it holds is looked at.
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise _refuse(f"it branches ({node.op_type})")
    if model.graph.sparse_initializer:
        raise _refuse("it keeps weights in sparse form")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in _tensors(model)):
        raise _refuse("it keeps weights in other files")


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every constant: weights, and what nodes hold themselves."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def _at_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    own = max((opset.version for opset in model.opset_import if opset.domain in _DEFAULT_DOMAINS), default=0)
    if not 1 <= own <= OPSET:
        raise _refuse(f"it is of opset {own}, and 1 to {OPSET} are known")
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", own))
    model.ir_version = IR_VERSION  # since 4 constants need not be listed as inputs
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [info for info in model.graph.input if info.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    try:
        # First: the converter trusts what it is given.
        checker.check_model(model)
        if own < OPSET:
            model = version_converter.convert_version(model, OPSET)
    except checker.ValidationError as exc:
        raise _invalid(exc) from exc
    except _INVALID as exc:
        raise _refuse(f"it cannot be brought from opset {own} to {OPSET} ({_first_line(exc)})") from exc
    model.ir_version = IR_VERSION
    model.producer_name = "doorward-export"
    model.producer_version = model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:], model.training_info[:]
    return model


def _only_input(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    if len(graph.input) != 1 or graph.input[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise _refuse(f"it has {len(graph.input)} inputs, or not one of float32")
    return graph.input[0]


def _rename(graph: onnx.GraphProto, renames: dict[str, str]) -> None:
    """Rename tensors; a name that is taken by another tensor moves out of the way."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in graph.initializer}
    taken |= set(renames.values())
    mapping = dict(renames)
    for new in renames.values():
        if new in taken and new not in renames:
            aside = f"{new}_of_source"
            while aside in taken:
                aside += "_"
            taken.add(aside)
            mapping[new] = aside
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [mapping.get(name, name) for name in names]
    for tensor in graph.initializer:
        tensor.name = mapping.get(tensor.name, tensor.name)


def _described(info: onnx.ValueInfoProto, *, name: str, shape: Sequence[int | None]) -> onnx.ValueInfoProto:
    own = info.type.tensor_type
    if own.elem_type != onnx.TensorProto.FLOAT or len(own.shape.dim) not in (0, len(shape)):
        raise _refuse(f"{info.name} is not float32 with {len(shape)} dimensions")
    for dim, wanted in zip(own.shape.dim, shape, strict=False):
        size = _size(dim)
        if None not in (wanted, size) and size != wanted:
            raise _refuse(f"{info.name} has size {size} where {wanted} is described")
    sizes = ["batch" if dim is None else dim for dim in shape]
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes)


def _tensor(info: onnx.ValueInfoProto) -> Tensor:
    own = info.type.tensor_type
    return Tensor(info.name, tuple(map(_size, own.shape.dim)) if own.HasField("shape") else None)


def _size(dim: onnx.TensorShapeProto.Dimension) -> int | None:
    """A size that is fixed; some exporters write 0 or -1 for a free one."""
    return dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None


def _checked(model: onnx.ModelProto) -> bytes:
    try:
        checker.check_model(model, full_check=True)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        return bytes(model.SerializeToString(deterministic=True))
    except _INVALID as exc:
        raise _invalid(exc) from exc


def _invalid(exc: Exception) -> PackError:
    return _refuse(f"it is not valid as described ({_first_line(exc)})")


def _first_line(exc: Exception) -> str:
    return (str(exc).strip() or type(exc).__name__).partition("\n")[0][:300]


def _refuse(what: str) -> PackError:
    return PackError(
        f"the ONNX file cannot be used: {what}",
        reason="unconvertible",
        hint=f"compare the description with the file, or export it again: opset up to {OPSET}, one float32 input",
    )
