"""Fixed and free sizes: the batch of a model, and the picture size of one that takes any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from device.errors import ModelError
from export_tools.precision.graph import dump_graph, infer, load_graph, open_session, refuse

FREE_BATCH: Final = "N"
"""Name of the free dimension."""
_TRIED: Final = 3
"""A free batch is tried with so many inputs at once."""
_AGREEMENT: Final = 1e-4
"""Share of an output's range by which one input may answer differently alone and in a batch: sums in another order."""


def with_batch(model: bytes, *, batch: int | None) -> bytes:
    """Set the batch of the input and of all outputs, and prove by running it that rows stay rows.

    Args:
        model: One input; all dimensions but the first fixed.
        batch: How many inputs at once, 1..1024; None leaves it free.

    Raises:
        PackError: The batch is part of the graph (a Reshape to [1, ...]), or it is no such model (``unconvertible``).
    """
    if batch is not None and not 1 <= batch <= 1024:
        raise refuse(f"a batch of {batch} is not allowed", hint="use 1 to 1024, or leave it free")
    data = _set_batch(load_graph(model), batch)
    _prove_rows(data, single=_set_batch(load_graph(model), 1), count=_TRIED if batch is None else batch)
    return data


def with_input_shape(model: bytes, shape: Sequence[int]) -> bytes:
    """Fix every dimension of the single input, and with it those of all outputs.

    Args:
        model: One input.
        shape: Its new shape, such as (1, 3, 480, 640); fixed dimensions of the model must agree.

    Raises:
        PackError: The graph does not allow this shape (``unconvertible``).
    """
    proto = load_graph(model)
    (value,) = _single_input(proto)
    dims = value.type.tensor_type.shape.dim
    if len(dims) != len(shape) or any(size < 1 for size in shape):
        raise refuse(f"the input of the model has {len(dims)} dimensions, {list(shape)} was asked for")
    for dim, size in zip(dims, shape, strict=True):
        if dim.HasField("dim_value") and dim.dim_value != size:
            raise refuse(f"the input of the model is fixed to {_shape(value)}, {list(shape)} was asked for")
        dim.Clear()
        dim.dim_value = size
    inferred = _infer_outputs(proto)
    if any(not isinstance(size, int) for output in inferred.graph.output for size in _shape(output)):
        raise refuse(f"the outputs for the input {list(shape)} cannot be told from the graph")
    data = dump_graph(_with_outputs(proto, inferred))
    session = open_session(data, name="reshaped")
    try:
        session.run(_noise(tuple(shape)))
    except ModelError as exc:
        raise refuse(f"the model does not run with an input of {list(shape)}: {exc.message}") from exc
    finally:
        session.close()
    return data


def _set_batch(proto: onnx.ModelProto, batch: int | None) -> bytes:
    (value,) = _single_input(proto)
    if any(not isinstance(size, int) for size in _shape(value)[1:]):
        raise refuse(f"the input {_shape(value)} has other free dimensions", hint="fix height and width first")
    for part in (value, *proto.graph.output):
        dims = part.type.tensor_type.shape.dim
        if not dims:
            raise refuse(f"{part.name} has no batch")
        dims[0].Clear()
        if batch is None:
            dims[0].dim_param = FREE_BATCH
        else:
            dims[0].dim_value = batch
    inferred = _infer_outputs(proto)
    for output in inferred.graph.output:
        found = _shape(output)
        # A dimension that inference cannot tell is told by running the model.
        if isinstance(found[0], int) and found[0] != batch:
            raise refuse(
                f"the batch of output {output.name} is {found[0]} whatever the input's: it is written into the graph",
                hint="convert the model for this batch instead: the batch stands in its pack description",
            )
    return dump_graph(proto)


def _prove_rows(data: bytes, *, single: bytes, count: int) -> None:
    """Run ``count`` different inputs at once and one by one: each output must be the same."""
    together, alone = open_session(data, name="batched"), open_session(single, name="single")
    rows = _noise((count, *together.input_shape[1:]))
    try:
        answers = [output.copy() for output in together.run(rows)]
        for number in range(count):
            for answer, wanted in zip(answers, alone.run(rows[number : number + 1]), strict=True):
                span = float(np.ptp(wanted)) or 1.0
                if answer.shape[0] != count or not np.abs(answer[number] - wanted[0]).max() <= _AGREEMENT * span:
                    raise refuse(f"input {number} of a batch of {count} answers differently than alone")
    except ModelError as exc:
        raise refuse(f"the model does not run with a batch of {count}: {exc.message}") from exc
    finally:
        together.close()
        alone.close()


def _single_input(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    if len(inputs) != 1 or not inputs[0].type.tensor_type.shape.dim:
        raise refuse(f"the model has {len(inputs)} inputs, one with a batch is needed")
    return inputs


def _infer_outputs(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Infer with nothing said about outputs and inner tensors, so that only the graph itself speaks."""
    silent = onnx.ModelProto()
    silent.CopyFrom(proto)
    del silent.graph.value_info[:]
    del proto.graph.value_info[:]
    for output in silent.graph.output:
        output.type.tensor_type.ClearField("shape")
    return infer(silent)


def _with_outputs(proto: onnx.ModelProto, inferred: onnx.ModelProto) -> onnx.ModelProto:
    for output, found in zip(proto.graph.output, inferred.graph.output, strict=True):
        output.CopyFrom(found)
    return proto


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in value.type.tensor_type.shape.dim
    ]


def _noise(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(0).random(shape, np.float32)
