"""Fixed and free sizes: what the graph allows is set, what it does not is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from device.errors import PackError
from export_tools.precision.batch import with_batch, with_input_shape
from export_tools.precision.graph import fingerprint
from tests.export_tools import precision_models as small


def _sizes(data: bytes) -> list[list[int | str]]:
    graph = onnx.load_from_string(data).graph
    return [
        [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]


def _hard_coded(shape: list[int]) -> bytes:
    """One Reshape that says how large the batch is."""
    nodes = [helper.make_node("Reshape", ["input", "shape"], ["output"], name="reshape")]
    weights = [small.constant("shape", np.array(shape, np.int64))]
    return small.model(nodes, weights, inputs=(1, 6), outputs={"output": (1, 6)})


@pytest.mark.parametrize(("batch", "wanted"), [(1, 1), (4, 4), (None, "N")])
def test_the_batch_of_inputs_and_outputs_is_set(batch: int | None, wanted: int | str) -> None:
    """Fixed to a number, or free."""
    assert _sizes(with_batch(small.residual_net(), batch=batch)) == [[wanted, 3, 8, 8], [wanted, 5]]


def test_a_fixed_batch_can_be_freed_again() -> None:
    """Whatever was set before."""
    fixed = with_batch(small.residual_net(), batch=2)
    assert _sizes(with_batch(fixed, batch=None)) == [["N", 3, 8, 8], ["N", 5]]


def test_a_batch_written_into_the_graph_is_refused() -> None:
    """A Reshape to [1, 6] gives one row whatever comes in."""
    with pytest.raises(PackError, match=r"written into the graph|shapes do not fit") as caught:
        with_batch(_hard_coded([1, 6]), batch=2)
    assert caught.value.reason == "unconvertible"
    assert with_batch(_hard_coded([1, 6]), batch=1)


def test_a_graph_that_mixes_rows_is_refused() -> None:
    """Its output has the right shape; only running it shows that the inputs get into one another."""
    nodes = [helper.make_node("Softmax", ["input"], ["output"], axis=0)]
    data = small.model(nodes, [], inputs=("N", 6), outputs={"output": ("N", 6)})
    with pytest.raises(PackError, match="answers differently than alone"):
        with_batch(data, batch=None)


@pytest.mark.parametrize("batch", [0, -1, 1025])
def test_an_impossible_batch_is_refused(batch: int) -> None:
    """Nothing is computed for it."""
    with pytest.raises(PackError, match="is not allowed"):
        with_batch(small.residual_net(), batch=batch)


def test_height_and_width_have_to_be_fixed_before_the_batch() -> None:
    """The device's runtime takes a free batch only."""
    nodes = [helper.make_node("Relu", ["input"], ["output"])]
    data = small.model(nodes, [], inputs=(1, 3, "h", "w"), outputs={"output": (1, 3, "h", "w")})
    with pytest.raises(PackError, match="other free dimensions"):
        with_batch(data, batch=2)
    assert _sizes(with_input_shape(data, (1, 3, 4, 6))) == [[1, 3, 4, 6], [1, 3, 4, 6]]


@pytest.mark.parametrize("shape", [(1, 3, 9, 8), (1, 3, 8), (1, 3, 0, 8)])
def test_an_input_shape_that_contradicts_the_model_is_refused(shape: tuple[int, ...]) -> None:
    """Fixed dimensions stay what they are."""
    with pytest.raises(PackError, match="was asked for"):
        with_input_shape(small.residual_net(), shape)


def test_another_batch_is_the_same_computation() -> None:
    """Ranges recorded for one serve the other; another weight is another model."""
    net = small.residual_net()
    assert fingerprint(with_batch(net, batch=2)) == fingerprint(net)
    assert fingerprint(small.residual_net(scale=2)) != fingerprint(net)


def test_a_truncated_file_is_refused() -> None:
    """Cut off anywhere."""
    net = small.residual_net()
    for end in range(1, len(net), 97):
        with pytest.raises(PackError) as caught:
            with_batch(net[:end], batch=1)
        assert caught.value.reason == "unconvertible"


def test_yunet_is_fixed_to_a_size_of_choice(shared: Path) -> None:
    """Its height and width are free as published; cells of 8, 16 and 32 pixels follow."""
    data = (shared / "models/face_detection_yunet_2026may.onnx").read_bytes()
    sizes = _sizes(with_input_shape(data, (1, 3, 96, 128)))
    assert sizes[0] == [1, 3, 96, 128]
    assert [size[1] for size in sizes[1:]] == [192, 48, 12] * 4
