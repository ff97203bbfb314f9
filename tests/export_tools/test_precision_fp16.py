"""FP16: one floating type inside, float32 at the borders, nothing beyond its range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from device.errors import PackError
from device.vision.backends.onnx import OnnxSession
from export_tools.precision.calibration import record_ranges
from export_tools.precision.drift import compare_outputs, run_all
from export_tools.precision.fp16 import to_fp16
from tests.export_tools import precision_models as small


def test_everything_between_the_borders_is_half_precision() -> None:
    """Weights half, inputs and outputs float32, and the answers agree."""
    net = small.residual_net()
    half = to_fp16(net)
    graph = onnx.load_from_string(half).graph
    assert {tensor.data_type for tensor in graph.initializer} == {TensorProto.FLOAT16}
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {TensorProto.FLOAT}
    assert [node.op_type for node in graph.node].count("Cast") == 2
    runs = [run_all(OnnxSession(data, model="m", threads=1), small.inputs(8)) for data in (net, half)]
    assert compare_outputs(*runs)[0].share < 2e-3


def test_the_scales_of_a_resize_stay_float32() -> None:
    """The operator set wants them so; everything else of the node is half."""
    nodes = [helper.make_node("Resize", ["input", "", "scales"], ["output"], mode="nearest")]
    weights = [small.constant("scales", np.array([1, 1, 2, 2], np.float32))]
    half = to_fp16(small.model(nodes, weights, inputs=(1, 3, 4, 4), outputs={"output": (1, 3, 8, 8)}))
    assert onnx.load_from_string(half).graph.initializer[0].data_type == TensorProto.FLOAT


def test_a_weight_beyond_half_precision_is_refused() -> None:
    """It would become infinite."""
    with pytest.raises(PackError, match="reaches") as caught:
        to_fp16(small.residual_net(scale=1e6))
    assert caught.value.reason == "unconvertible"


def test_a_tensor_that_went_beyond_half_precision_is_refused() -> None:
    """Recorded ranges tell what no weight tells."""
    net = small.residual_net(scale=60_000)
    ranges = record_ranges(net, small.inputs(2), name="small", description="noise")
    assert to_fp16(net)
    with pytest.raises(PackError, match="half precision ends at 65504"):
        to_fp16(net, ranges=ranges)


def test_ranges_of_another_model_are_refused() -> None:
    """They would vouch for nothing."""
    ranges = record_ranges(small.residual_net(), small.inputs(2), name="small", description="noise")
    with pytest.raises(PackError, match="another model"):
        to_fp16(small.residual_net(scale=2), ranges=ranges)


def test_a_converted_model_is_not_converted_twice() -> None:
    """FP16 of FP16 says so."""
    with pytest.raises(PackError, match="a model with Cast") as caught:
        to_fp16(to_fp16(small.residual_net()))
    assert caught.value.hint == "start from the FP32 model"


@pytest.mark.parametrize("name", ["detector", "landmarks", "iris", "embedder"])
def test_every_model_of_the_door_halves_without_moving(door_pack: Path, name: str) -> None:
    """On noise: half the size, answers within 2 % of what little they differ among four inputs."""
    full = (door_pack / f"{name}.onnx").read_bytes()
    half = to_fp16(full)
    assert len(half) < 0.56 * len(full)
    sessions = [OnnxSession(data, model=name, threads=1) for data in (full, half)]
    batches = small.inputs(4, *sessions[0].input_shape[1:])
    scale = np.float32(255 if name == "embedder" else 1)
    runs = [run_all(session, [batch * scale for batch in batches]) for session in sessions]
    assert max(output.share for output in compare_outputs(*runs)) < 0.02
