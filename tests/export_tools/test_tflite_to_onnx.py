"""The TFLite converter, operator by operator against LiteRT, and what it refuses."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import PackError
from export_tools.convert.tflite_reader import read_tflite
from export_tools.convert.tflite_to_onnx import Output, convert_tflite
from tests.export_tools.tflite_writer import ModelWriter, SparseRows, options

SAME, VALID, RELU, RELU6 = 0, 1, 1, 3


def _noise(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def _output_shape(model: ModelWriter) -> tuple[int, ...]:
    return model.tensors[-1][1]


def _converted(model: ModelWriter) -> Any:
    """A session of the converted model; its output is flattened per picture in NHWC order."""
    count = int(np.prod(_output_shape(model)[1:]))
    output = Output(source="out", name="out", shape=(-1, count))
    data = convert_tflite(model.data(), outputs=(output,), batch=None)
    return ort.InferenceSession(data, providers=["CPUExecutionProvider"])


def _litert(model: ModelWriter, picture: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # type: ignore[import-untyped]

    runtime = Interpreter(
        model_content=model.data(),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    runtime.allocate_tensors()
    runtime.set_tensor(runtime.get_input_details()[0]["index"], picture)
    runtime.invoke()
    return runtime.get_tensor(runtime.get_output_details()[0]["index"])


def _convolution(*, size: int, kernel: int, stride: int, padding: int, activation: int = 0) -> ModelWriter:
    model = ModelWriter()
    source = model.value("in", (1, size, size, 3))
    after = -(-size // stride) if padding == SAME else (size - kernel) // stride + 1
    inputs = [source, model.constant(_noise(5, kernel, kernel, 3)), model.constant(_noise(5))]
    table = options(
        "Conv2DOptions", Padding=padding, StrideW=stride, StrideH=stride, FusedActivationFunction=activation,
        DilationWFactor=1, DilationHFactor=1,
    )  # fmt: skip
    model.operator("CONV_2D", inputs, model.value("out", (1, after, after, 5)), table)
    return model


def _depthwise() -> ModelWriter:
    model = ModelWriter()
    source = model.value("in", (1, 8, 8, 4))
    padded = model.value("padded", (1, 10, 10, 4))
    amounts = model.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    half = model.constant(_noise(1, 3, 3, 4).astype(np.float16))
    weights = model.value("weights", (1, 3, 3, 4))
    bias = model.constant(_noise(4))
    model.operator("PAD", [source, amounts], padded, options("PadOptions"))
    model.operator("DEQUANTIZE", [half], weights, options("DequantizeOptions"))
    table = options(
        "DepthwiseConv2DOptions", Padding=VALID, StrideW=2, StrideH=2, DepthMultiplier=1, FusedActivationFunction=RELU6,
        DilationWFactor=1, DilationHFactor=1,
    )  # fmt: skip
    model.operator("DEPTHWISE_CONV_2D", [padded, weights, bias], model.value("out", (1, 4, 4, 4)), table)
    return model


def _prelu(slopes: Any) -> ModelWriter:
    model = ModelWriter()
    source = model.value("in", (1, 4, 4, 3))
    slope = model.constant(np.array(slopes, np.float32).reshape(1, 1, 3))
    model.operator("PRELU", [source, slope], model.value("out", (1, 4, 4, 3)))
    return model


def _residual() -> ModelWriter:
    """Pool, zero channels behind, sum with itself, then flattened: the layout has to be NHWC again."""
    model = ModelWriter()
    source = model.value("in", (1, 6, 6, 3))
    pooled, wide = model.value("pooled", (1, 3, 3, 3)), model.value("wide", (1, 3, 3, 5))
    total = model.value("sum", (1, 3, 3, 5))
    amounts = model.constant(np.array([[0, 0], [0, 0], [0, 0], [0, 2]], np.int32))
    shape = model.constant(np.array([1, 45], np.int32))
    pool = options("Pool2DOptions", Padding=SAME, StrideW=2, StrideH=2, FilterWidth=3, FilterHeight=3)
    model.operator("MAX_POOL_2D", [source], pooled, pool)
    model.operator("PAD", [pooled, amounts], wide, options("PadOptions"))
    model.operator("ADD", [wide, wide], total, options("AddOptions", FusedActivationFunction=RELU))
    model.operator("RESHAPE", [total, shape], model.value("out", (1, 45)), options("ReshapeOptions"))
    return model


def _resized(*, half_pixel: bool, align_corners: bool) -> ModelWriter:
    model = ModelWriter()
    source = model.value("in", (1, 5, 5, 2))
    size = model.constant(np.array([10, 10], np.int32))
    table = options("ResizeBilinearOptions", HalfPixelCenters=half_pixel, AlignCorners=align_corners)
    model.operator("RESIZE_BILINEAR", [source, size], model.value("out", (1, 10, 10, 2)), table)
    return model


def _depth_to_space() -> ModelWriter:
    model = ModelWriter()
    source = model.value("in", (1, 3, 3, 8))
    table = options("DepthToSpaceOptions", BlockSize=2)
    model.operator("DEPTH_TO_SPACE", [source], model.value("out", (1, 6, 6, 2)), table)
    return model


MODELS = {
    "same padding, odd size": lambda: _convolution(size=7, kernel=3, stride=2, padding=SAME),
    "same padding, even size is asymmetric": lambda: _convolution(size=8, kernel=3, stride=2, padding=SAME),
    "same padding, even kernel": lambda: _convolution(size=8, kernel=2, stride=1, padding=SAME, activation=RELU),
    "valid padding": lambda: _convolution(size=8, kernel=3, stride=2, padding=VALID, activation=RELU6),
    "padded depthwise, half precision": _depthwise,
    "prelu below one": lambda: _prelu([0.25, -0.5, 1.0]),
    "prelu above one": lambda: _prelu([0.25, 1.5, 0.0]),
    "pool, channel pad, sum, flatten": _residual,
    "resize, half pixel": lambda: _resized(half_pixel=True, align_corners=False),
    "resize, corners": lambda: _resized(half_pixel=False, align_corners=True),
    "resize, plain": lambda: _resized(half_pixel=False, align_corners=False),
    "depth to space": _depth_to_space,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_each_operator_gives_the_numbers_of_litert(name: str) -> None:
    """Padding, layout, activations and interpolation are LiteRT's."""
    model = MODELS[name]()
    picture = _noise(*model.tensors[0][1], seed=7)
    expected = _litert(model, picture).reshape(1, -1)
    answer = _converted(model).run(None, {"input": picture.transpose(0, 3, 1, 2).copy()})[0]
    assert np.abs(answer - expected).max() < 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_gives_what_its_pictures_give_alone(name: str) -> None:
    """The free batch axis survives every reshape."""
    session, shape = _converted(MODELS[name]()), MODELS[name]().tensors[0][1]
    pictures = _noise(3, shape[3], shape[1], shape[2], seed=2)
    together = session.run(None, {"input": pictures})[0]
    alone = np.concatenate([session.run(None, {"input": picture[None]})[0] for picture in pictures])
    assert np.abs(together - alone).max() < 1e-5


def _sparse(rows: SparseRows) -> ModelWriter:
    model = ModelWriter()
    source = model.value("in", (1, 4, 4, 3))
    packed = model.constant(np.array([1, 2, 3], np.float32), shape=(2, 1, 1, 3), sparse=rows)
    dense = model.value("dense", (2, 1, 1, 3))
    model.operator("DENSIFY", [packed], dense, options("DensifyOptions"))
    table = options("Conv2DOptions", Padding=VALID, StrideW=1, StrideH=1, DilationWFactor=1, DilationHFactor=1)
    model.operator(
        "CONV_2D", [source, dense, model.constant(np.zeros(2, np.float32))], model.value("out", (1, 4, 4, 2)), table
    )
    return model


def test_sparse_weights_become_dense_ones() -> None:
    """Segments say how many values a row has, indices where they stand."""
    graph = read_tflite(_sparse(SparseRows(segments=[0, 1, 3], indices=[2, 0, 1])).data())
    dense = graph.tensors[graph.operators[0].inputs[1]].constant
    assert dense is not None
    assert dense.reshape(2, 3).tolist() == [[0, 0, 1], [2, 3, 0]]


@pytest.mark.parametrize(
    "rows",
    [
        SparseRows(segments=[0, 1], indices=[2, 0, 1]),
        SparseRows(segments=[0, 3, 1], indices=[2, 0, 1]),
        SparseRows(segments=[0, 1, 4], indices=[2, 0, 1]),
        SparseRows(segments=[0, 1, 3], indices=[2, 0, 3]),
        SparseRows(segments=[0, 1, 3], indices=[2, 0, -1]),
        SparseRows(segments=[0, 1, 2], indices=[2, 0]),
        SparseRows(segments=[0, 1, 3], indices=[2, 0, 1], order=[0, 1, 3, 2]),
    ],
)
def test_sparse_weights_that_contradict_themselves_are_refused(rows: SparseRows) -> None:
    """No index reaches outside the tensor."""
    with pytest.raises(PackError, match="sparse"):
        read_tflite(_sparse(rows).data())


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 64, b"\x1c\0\0\0TFL3", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_tflite_file_is_refused(data: bytes) -> None:
    """Empty, short, zero, or something else."""
    with pytest.raises(PackError) as refusal:
        read_tflite(data)
    assert refusal.value.reason == "unconvertible"


@given(st.integers(min_value=0))
def test_a_truncated_model_is_refused_or_read_whole(cut: int) -> None:
    """Only PackError leaves the reader."""
    data = _depthwise().data()
    with contextlib.suppress(PackError):
        convert_tflite(data[: cut % len(data)], outputs=(Output(source="out", name="out", shape=(-1, 64)),), batch=1)


@given(st.integers(min_value=8), st.integers(min_value=1, max_value=255))
def test_a_flipped_byte_is_converted_or_refused_but_never_crashes(position: int, change: int) -> None:
    """Only PackError leaves the converter."""
    data = bytearray(_depthwise().data())
    data[position % len(data)] ^= change
    with contextlib.suppress(PackError):
        convert_tflite(bytes(data), outputs=(Output(source="out", name="out", shape=(-1, 64)),), batch=1)


def test_absurd_shapes_are_refused() -> None:
    """A tensor may not claim more than any model of a door has."""
    model = _prelu([0, 0, 0])
    model.tensors[0] = ("in", (1, 60000, 60000, 3), "<f4", b"", None)
    with pytest.raises(PackError, match="shape"):
        read_tflite(model.data())


def test_a_constant_of_another_size_than_declared_is_refused() -> None:
    """Three values do not fill four places."""
    model = _prelu([0, 0, 0])
    name, _, dtype, data, _ = model.tensors[1]
    model.tensors[1] = (name, (1, 1, 4), dtype, data, None)
    with pytest.raises(PackError, match="declared"):
        read_tflite(model.data())


def test_an_unknown_operator_is_refused_by_name() -> None:
    """Nothing is guessed."""
    model = ModelWriter()
    source = model.value("in", (1, 4, 4, 3))
    model.operator("HARD_SWISH", [source], model.value("out", (1, 4, 4, 3)))
    with pytest.raises(PackError, match="HARD_SWISH"):
        read_tflite(model.data())


def test_quantised_weights_are_refused() -> None:
    """Only float models are converted."""
    model = ModelWriter()
    source = model.value("in", (1, 4, 4, 3))
    slope = model.constant(np.zeros((1, 1, 3), np.int8))
    model.operator("PRELU", [source, slope], model.value("out", (1, 4, 4, 3)))
    with pytest.raises(PackError, match="element type"):
        read_tflite(model.data())


@pytest.mark.parametrize(
    "outputs",
    [
        (Output(source="other", name="out", shape=(-1, 48)),),
        (Output(source="out", name="out", shape=(-1, 47)),),
        (),
    ],
)
def test_outputs_that_are_not_as_described_are_refused(outputs: tuple[Output, ...]) -> None:
    """A description of another model does not pass."""
    with pytest.raises(PackError, match="output"):
        convert_tflite(_prelu([0, 0, 0]).data(), outputs=outputs, batch=1)
