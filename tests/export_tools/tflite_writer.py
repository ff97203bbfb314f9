"""TFLite flatbuffers, written: models of one or a few operators, for tests of the reader and the converter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import tflite  # type: ignore[import-untyped]

TYPES = {"<f4": tflite.TensorType.FLOAT32, "<f2": tflite.TensorType.FLOAT16, "<i4": tflite.TensorType.INT32}


Options = Callable[[Any], tuple[int, int]]


@dataclass
class SparseRows:
    """Compressed rows: how a constant's values spread over its last axis."""

    segments: list[int]
    indices: list[int]
    order: list[int] = field(default_factory=list)


@dataclass
class ModelWriter:
    """Collects tensors and operators; tensor 0 is the input."""

    tensors: list[tuple[str, tuple[int, ...], str, bytes, SparseRows | None]] = field(default_factory=list)
    operators: list[tuple[int, list[int], list[int], Any]] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def value(self, name: str, shape: tuple[int, ...]) -> int:
        """A tensor that is computed; the first one is the input."""
        self.tensors.append((name, shape, "<f4", b"", None))
        return len(self.tensors) - 1

    def constant(self, values: Any, *, shape: tuple[int, ...] | None = None, sparse: SparseRows | None = None) -> int:
        """A tensor with data."""
        array = np.ascontiguousarray(values)
        self.tensors.append((f"c{len(self.tensors)}", shape or array.shape, array.dtype.str, array.tobytes(), sparse))
        return len(self.tensors) - 1

    def operator(self, kind: str, inputs: list[int], output: int, options: Options | None = None) -> int:
        """An operator; ``options`` builds its table and returns its kind and offset."""
        self.operators.append((getattr(tflite.BuiltinOperator, kind), inputs, [output], options))
        return output

    def data(self) -> bytes:
        """The whole file."""
        b = flatbuffers.Builder(1024)
        buffers = [_buffer(b, b"")] + [_buffer(b, tensor[3]) for tensor in self.tensors]
        tensors = [_tensor(b, tensor, index + 1) for index, tensor in enumerate(self.tensors)]
        codes = sorted({kind for kind, *_ in self.operators})
        operators = [_operator(b, entry, codes) for entry in self.operators]
        code_offsets = []
        for code in codes:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
            tflite.OperatorCodeAddBuiltinCode(b, code)
            tflite.OperatorCodeAddVersion(b, 1)
            code_offsets.append(tflite.OperatorCodeEnd(b))
        inputs, outputs = _ints(b, [0]), _ints(b, self.outputs or [len(self.tensors) - 1])
        tensor_vector, operator_vector = _offsets(b, tensors), _offsets(b, operators)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensor_vector)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, operator_vector)
        subgraphs = _offsets(b, [tflite.SubGraphEnd(b)])
        code_vector, buffer_vector = _offsets(b, code_offsets), _offsets(b, buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, code_vector)
        tflite.ModelAddSubgraphs(b, subgraphs)
        tflite.ModelAddBuffers(b, buffer_vector)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())


def _offsets(b: Any, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _ints(b: Any, values: list[int]) -> int:
    return int(b.CreateNumpyVector(np.array(values, np.int32)))


def _buffer(b: Any, data: bytes) -> int:
    vector = b.CreateNumpyVector(np.frombuffer(data, np.uint8)) if data else None
    tflite.BufferStart(b)
    if vector is not None:
        tflite.BufferAddData(b, vector)
    return int(tflite.BufferEnd(b))


def _dimension(b: Any, size: int, sparse: SparseRows | None) -> int:
    tables = []
    if sparse is not None:
        for values in (sparse.segments, sparse.indices):
            vector = _ints(b, values)
            tflite.Int32VectorStart(b)
            tflite.Int32VectorAddValues(b, vector)
            tables.append(tflite.Int32VectorEnd(b))
    tflite.DimensionMetadataStart(b)
    kind = tflite.DimensionType.DENSE if sparse is None else tflite.DimensionType.SPARSE_CSR
    tflite.DimensionMetadataAddFormat(b, kind)
    tflite.DimensionMetadataAddDenseSize(b, size if sparse is None else 0)
    if sparse is not None:
        vector_type = tflite.SparseIndexVector.Int32Vector
        tflite.DimensionMetadataAddArraySegmentsType(b, vector_type)
        tflite.DimensionMetadataAddArraySegments(b, tables[0])
        tflite.DimensionMetadataAddArrayIndicesType(b, vector_type)
        tflite.DimensionMetadataAddArrayIndices(b, tables[1])
    return int(tflite.DimensionMetadataEnd(b))


def _tensor(b: Any, tensor: tuple[str, tuple[int, ...], str, bytes, SparseRows | None], buffer: int) -> int:
    name, shape, dtype, _, sparse = tensor
    name_offset, shape_offset, sparsity = b.CreateString(name), _ints(b, list(shape)), None
    if sparse is not None:
        axes = [_dimension(b, size, sparse if i == len(shape) - 1 else None) for i, size in enumerate(shape)]
        axis_vector, order = _offsets(b, axes), _ints(b, sparse.order or list(range(len(shape))))
        tflite.SparsityParametersStart(b)
        tflite.SparsityParametersAddTraversalOrder(b, order)
        tflite.SparsityParametersAddDimMetadata(b, axis_vector)
        sparsity = tflite.SparsityParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape_offset)
    tflite.TensorAddType(b, TYPES.get(dtype, tflite.TensorType.INT8))
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name_offset)
    if sparsity is not None:
        tflite.TensorAddSparsity(b, sparsity)
    return int(tflite.TensorEnd(b))


def _operator(b: Any, entry: tuple[int, list[int], list[int], Any], codes: list[int]) -> int:
    kind, inputs, outputs, options = entry
    table = options(b) if options is not None else None
    input_vector, output_vector = _ints(b, inputs), _ints(b, outputs)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, codes.index(kind))
    tflite.OperatorAddInputs(b, input_vector)
    tflite.OperatorAddOutputs(b, output_vector)
    if table is not None:
        tflite.OperatorAddBuiltinOptionsType(b, table[0])
        tflite.OperatorAddBuiltinOptions(b, table[1])
    return int(tflite.OperatorEnd(b))


def options(name: str, **fields: int) -> Options:
    """The options table ``name`` (such as ``Conv2DOptions``) with these fields."""

    def build(b: Any) -> tuple[int, int]:
        getattr(tflite, f"{name}Start")(b)
        for key, value in fields.items():
            getattr(tflite, f"{name}Add{key}")(b, value)
        return getattr(tflite.BuiltinOptions, name), int(getattr(tflite, f"{name}End")(b))

    return build
