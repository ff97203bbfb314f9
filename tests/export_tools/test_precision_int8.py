"""INT8: the same bytes everywhere, near FP32, and what each runtime accepts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from device.errors import PackError
from device.vision.backends.onnx import OnnxSession
from export_tools.cards import RANGES_DIRECTORY
from export_tools.precision.calibration import record_ranges
from export_tools.precision.drift import compare_outputs, run_all
from export_tools.precision.int8 import Activation, quantize
from export_tools.precision.ranges import Ranges, Span, load_ranges
from export_tools.precision.tensorrt_rules import tensorrt_ready
from tests.export_tools import precision_models as small

SCHEMES: tuple[Activation, ...] = ("u8", "s8")


@pytest.fixture(scope="module")
def net() -> bytes:
    """A small residual net."""
    return small.residual_net()


@pytest.fixture(scope="module")
def ranges(net: bytes) -> Ranges:
    """Its ranges on noise, rounded so that they are the same on every machine."""
    found = record_ranges(net, small.inputs(32), name="small", description="noise")
    spans = {
        name: span.model_copy(update={"low": np.floor(span.low * 8) / 8, "high": np.ceil(span.high * 8) / 8})
        for name, span in found.tensors.items()
    }
    return found.model_copy(update={"tensors": spans})


def _nodes(data: bytes) -> list[onnx.NodeProto]:
    return list(onnx.load_from_string(data).graph.node)


@pytest.mark.parametrize("activation", SCHEMES)
def test_an_int8_model_answers_nearly_as_its_fp32_model(net: bytes, ranges: Ranges, activation: Activation) -> None:
    """On inputs it was not calibrated with."""
    batches = small.inputs(16, seed=9)
    data = quantize(net, ranges=ranges, activation=activation)
    runs = [run_all(OnnxSession(model, model="m", threads=1), batches) for model in (net, data)]
    assert compare_outputs(*runs)[0].share < 0.05


@pytest.mark.parametrize(
    ("activation", "wanted"),
    [("u8", "1a24ffd85e76e0aa"), ("s8", "7c4d3e9b1e8317da")],
)
def test_the_same_ranges_give_the_same_bytes_on_every_machine(
    net: bytes, ranges: Ranges, activation: Activation, wanted: str
) -> None:
    """The digest was recorded once; Python, numpy and ONNX Runtime of every lock file have to arrive at it."""
    assert hashlib.sha256(quantize(net, ranges=ranges, activation=activation)).hexdigest()[:16] == wanted


def test_unsigned_activations_have_their_own_zero_and_biases_in_32_bits(net: bytes, ranges: Ranges) -> None:
    """What ONNX Runtime's integer kernels need: a Relu's zero point is 0, weights are signed, per output channel."""
    data = quantize(net, ranges=ranges, activation="u8")
    weights = {tensor.name: tensor for tensor in onnx.load_from_string(data).graph.initializer}
    assert weights["p0/zero"].data_type == TensorProto.UINT8
    assert numpy_helper.to_array(weights["r1/zero"]) == 0
    kinds = {tensor.data_type for name, tensor in weights.items() if name.endswith("/int")}
    assert kinds == {TensorProto.INT8, TensorProto.INT32}
    assert numpy_helper.to_array(weights["w1/3/scale"]).shape == (4,)
    assert numpy_helper.to_array(weights["w2/8/scale"]).shape == (5,)


def _stored(net: bytes, ranges: Ranges, activation: Activation, *, tensor: str, span: Span) -> tuple[float, int]:
    """Scale and zero point of a tensor that reaches from one value to another."""
    changed = ranges.model_copy(update={"tensors": {**ranges.tensors, tensor: span}})
    data = quantize(net, ranges=changed, activation=activation)
    found = {each.name: numpy_helper.to_array(each) for each in onnx.load_from_string(data).graph.initializer}
    return float(found[f"{tensor}/scale"]), int(found[f"{tensor}/zero"])


@pytest.mark.parametrize(("low", "high"), [(-4.0, 1.0), (-1.0, 4.0), (-4.0, -1.0)])
def test_a_symmetric_scale_covers_the_side_that_reaches_further(
    net: bytes, ranges: Ranges, low: float, high: float
) -> None:
    """Below zero as well as above: 127 steps to 4, and zero stays zero."""
    scale, zero = _stored(net, ranges, "s8", tensor="p0", span=Span(low=low, high=high))
    assert scale == pytest.approx(4 / 127, rel=1e-6)
    assert zero == 0


@pytest.mark.parametrize(
    ("low", "high", "zero"), [(-1.0, 1.56, 100), (-1.0, 1.6, 98), (0.5, 2.0, 0), (-2.0, -0.5, 255)]
)
def test_an_unsigned_zero_point_is_the_nearest_step(
    net: bytes, ranges: Ranges, low: float, high: float, zero: int
) -> None:
    """99.6 steps below zero are 100 and 98.1 are 98; zero itself is always within reach."""
    scale, found = _stored(net, ranges, "u8", tensor="input", span=Span(low=low, high=high))
    assert scale == pytest.approx((max(high, 0) - min(low, 0)) / 255, rel=1e-6)
    assert found == zero


def test_a_pool_keeps_the_scale_of_its_input(net: bytes, ranges: Ranges) -> None:
    """It moves values without making new ones: a second rounding would be for nothing."""
    data = quantize(net, ranges=ranges, activation="u8")
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(data).graph.initializer}
    assert weights["r0/scale"] == weights["p0/scale"]


def test_the_answer_of_the_model_is_not_rounded(net: bytes, ranges: Ranges) -> None:
    """The last layer writes float."""
    for activation in SCHEMES:
        makers = [
            node for node in _nodes(quantize(net, ranges=ranges, activation=activation)) if "embedding" in node.output
        ]
        assert [node.op_type for node in makers] == ["MatMul"]


def test_symmetric_models_are_ready_for_tensorrt_and_unsigned_ones_are_not(net: bytes, ranges: Ranges) -> None:
    """The control shows that the checker sees something."""
    assert tensorrt_ready(quantize(net, ranges=ranges, activation="s8")) == []
    problems = tensorrt_ready(quantize(net, ranges=ranges, activation="u8"))
    assert any("UINT8" in problem for problem in problems)
    assert any("INT32" in problem for problem in problems)
    assert any("the bias is quantised" in problem for problem in problems)
    assert tensorrt_ready(net) == ["nothing is quantised"]


def _spoilt(data: bytes, *, tensor: str, value: np.ndarray) -> bytes:
    proto = onnx.load_from_string(data)
    for stored in proto.graph.initializer:
        if stored.name == tensor:
            stored.CopyFrom(numpy_helper.from_array(value, tensor))
    return proto.SerializeToString()


@pytest.mark.parametrize(
    ("tensor", "value", "problem"),
    [
        ("p0/zero", np.array(3, np.int8), "not 0"),
        ("p0/scale", np.array(-1, np.float32), "not positive"),
        ("p0/scale", np.array(np.nan, np.float32), "not positive"),
        ("p0/scale", np.ones(4, np.float32), "differ in size"),
        ("w1/3/int", np.full((4, 4, 3, 3), -128, np.int8), "-127 to 127"),
    ],
)
def test_the_checker_finds_what_tensorrt_would_refuse(
    net: bytes, ranges: Ranges, tensor: str, value: np.ndarray, problem: str
) -> None:
    """One fault at a time."""
    data = _spoilt(quantize(net, ranges=ranges, activation="s8"), tensor=tensor, value=value)
    assert any(problem in found for found in tensorrt_ready(data))


def test_an_excluded_node_stays_in_float(net: bytes, ranges: Ranges) -> None:
    """Its weight is kept as it is; one that does not exist is an error, not a wish."""
    data = quantize(net, ranges=ranges, activation="s8", exclude_nodes=("block",))
    assert next(node for node in _nodes(data) if node.name == "block").input[1] == "w1"
    assert tensorrt_ready(data) == []
    with pytest.raises(PackError, match="no node nothing"):
        quantize(net, ranges=ranges, activation="s8", exclude_nodes=("nothing",))


def test_what_looks_at_the_picture_itself_stays_in_float_for_tensorrt(net: bytes, ranges: Ranges) -> None:
    """It has no INT8 kernel for three channels; ONNX Runtime has one."""
    stems = [
        next(node.input[1] for node in _nodes(quantize(net, ranges=ranges, activation=scheme)) if node.name == "stem")
        for scheme in ("s8", "u8")
    ]
    assert stems == ["w0", "w0/0/dq"]
    assert any(
        "so few channels" in problem for problem in tensorrt_ready(quantize(net, ranges=ranges, activation="u8"))
    )


def test_every_reader_has_a_pair_of_its_own_for_tensorrt(net: bytes, ranges: Ranges) -> None:
    """It fuses a pair with the one layer that reads it; ONNX Runtime shares one pair."""
    signed, unsigned = (
        [node for node in _nodes(quantize(net, ranges=ranges, activation=scheme)) if node.input[0] == "p0"]
        for scheme in ("s8", "u8")
    )
    assert [node.op_type for node in signed] == ["QuantizeLinear", "QuantizeLinear"]
    assert [node.op_type for node in unsigned] == ["QuantizeLinear"]


def test_an_empty_channel_with_a_bias_keeps_its_bias() -> None:
    """Its scale follows from the bias, which has to fit into 32 bits; a channel without either has scale 1."""
    weight = np.zeros((2, 1, 1, 1), np.float32)
    weight[0] = 1e-12
    nodes = [
        helper.make_node("Conv", ["input", "w", "b"], ["c"], name="conv"),
        helper.make_node("Conv", ["c", "v"], ["output"], name="next"),
    ]
    weights = [
        small.constant("w", weight),
        small.constant("b", np.array([100, 0], np.float32)),
        small.constant("v", np.ones((1, 2, 1, 1), np.float32)),
    ]
    data = small.model(nodes, weights, inputs=(1, 1, 2, 2), outputs={"output": (1, 1, 2, 2)})
    batches = small.inputs(3, 1, 2, 2)
    ranges = record_ranges(data, batches, name="small", description="noise")
    (answer,) = run_all(OnnxSession(quantize(data, ranges=ranges, activation="u8"), model="m", threads=1), batches)
    assert np.allclose(answer, 100, atol=0.5)


def test_a_matrix_of_the_other_order_is_scaled_along_its_outputs() -> None:
    """A Gemm with transB has its outputs first, one without has them last."""
    for transposed, axis in ((1, 0), (0, 1)):
        shape = (5, 6) if transposed else (6, 5)
        nodes = [helper.make_node("Gemm", ["input", "w"], ["output"], name="gemm", transB=transposed)]
        data = small.model(
            nodes, [small.constant("w", small.values(*shape))], inputs=(1, 6), outputs={"output": (1, 5)}
        )
        ranges = record_ranges(data, small.inputs(3, 6), name="small", description="noise")
        int8 = quantize(data, ranges=ranges, activation="s8")
        assert tensorrt_ready(int8) == []
        (pair,) = (node for node in _nodes(int8) if node.name.startswith("w/"))
        assert next(part.i for part in pair.attribute if part.name == "axis") == axis


def test_what_cannot_be_quantised_is_refused(net: bytes, ranges: Ranges) -> None:
    """A model that is quantised already, and one with nothing in it to quantise."""
    done = quantize(net, ranges=ranges, activation="s8")
    with pytest.raises(PackError, match=r"another model|already"):
        quantize(done, ranges=ranges, activation="s8")
    relu = small.model([helper.make_node("Relu", ["input"], ["output"])], [], inputs=(1, 6), outputs={"output": (1, 6)})
    with pytest.raises(PackError, match="nothing that could be quantised"):
        quantize(
            relu,
            ranges=record_ranges(relu, small.inputs(1, 6), name="relu", description="noise"),
            activation="u8",
        )


def test_an_old_operator_set_is_lifted() -> None:
    """Scales per channel came with 13."""
    old = small.residual_net(opset=11)
    ranges = record_ranges(old, small.inputs(4), name="small", description="noise")
    assert tensorrt_ready(quantize(old, ranges=ranges, activation="s8")) == []


@pytest.mark.parametrize(
    ("role", "name"), [("embedder", "dlib-resnet29-v1"), ("landmarks", "facemesh-468"), ("iris", "mediapipe-iris")]
)
def test_shipped_ranges_give_artefacts_that_each_runtime_takes(door_pack: Path, role: str, name: str) -> None:
    """Without a single picture: a quarter of the size or little more, ready for ONNX Runtime and for TensorRT."""
    reference = (door_pack / f"{role}.onnx").read_bytes()
    ranges = load_ranges(RANGES_DIRECTORY / f"{name}.json")
    signed, unsigned = (quantize(reference, ranges=ranges, activation=scheme) for scheme in ("s8", "u8"))
    assert tensorrt_ready(signed) == []
    assert tensorrt_ready(unsigned)
    assert max(len(signed), len(unsigned)) < 0.35 * len(reference)
