"""A model that would never end, or fill the memory, is refused before it runs; real networks are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from device.errors import PackError
from device.vision.manifest import TensorSpec
from export_tools.cards import OutputSpec, load_pack_card
from export_tools.convert import onnx_cost
from export_tools.convert.convert import convert
from export_tools.convert.onnx_cost import cost_of, require_bounded
from export_tools.convert.onnx_import import import_onnx
from export_tools.sources.fetch import Fetcher, default_cache
from tests.standins.embedder import sface_like

Weights = dict[str, np.ndarray]


def _model(nodes: Sequence[onnx.NodeProto], weights: Weights | None = None, *, batch: int | str = 1) -> onnx.ModelProto:
    """From ``x`` (batch, 3, 112, 112) to ``y`` (batch, 128)."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 112, 112])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 128])],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _import(model: onnx.ModelProto, *, batch: int | None = 1) -> bytes:
    return import_onnx(
        model.SerializeToString(),
        model_input=TensorSpec(name="input", shape=[batch, 3, 112, 112], meaning="chip"),
        outputs=[OutputSpec(name="embedding", source="y", shape=[batch, 128], meaning="embedding")],
    )


_EMBED = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["e"])]
_W = np.ones((3 * 112 * 112, 128), np.float32)


def _summed(nodes: Sequence[onnx.NodeProto], last: str, weights: Weights) -> onnx.ModelProto:
    """An embedder that adds the greatest number of another computation to what it answers."""
    tail = [helper.make_node("ReduceMax", [last], ["r"], keepdims=0), helper.make_node("Add", ["e", "r"], ["y"])]
    return _model([*_EMBED, *nodes, *tail], {"w": _W, **weights})


def test_multiplications_are_counted_as_by_hand() -> None:
    """Convolution, matrix product and pooling of known sizes."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], group=1),
        helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["y"], transB=1),
    ]
    weights = {"k": np.ones((8, 3, 3, 3), np.float32), "w": np.ones((128, 8 * 28 * 28), np.float32)}
    made = [8 * 56 * 56, 8 * 28 * 28, 8 * 28 * 28, 128]
    read = [3 * 112 * 112 + 8 * 27, made[0], made[1], made[2] + 128 * made[2]]
    products = made[0] * 27 + made[1] * 4 + 128 * made[2]
    cost = cost_of(_model(nodes, weights))
    assert cost.elements == sum(made)
    assert cost.macs == products + 16 * (sum(made) + sum(read))


@pytest.mark.parametrize("batch", [1, 2, "N"])
def test_an_embedder_of_ordinary_size_is_taken(batch: int | str) -> None:
    """Whatever its batch."""
    require_bounded(onnx.load_from_string(sface_like(batch=batch, opset=17)))


def test_a_free_batch_that_the_graph_asks_for_is_taken() -> None:
    """The way PyTorch exports ``x.view(x.size(0), -1)``."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["flat"], axis=0),
        helper.make_node("Reshape", ["x", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    weights = {"first": np.array(0, np.int64), "axes": np.array([0], np.int64), "rest": np.array([-1], np.int64)}
    assert _import(_model(nodes, {"w": _W, **weights}, batch="N"), batch=None)


@pytest.mark.shared
def test_models_of_the_packs_are_taken() -> None:
    """They have less than a hundredth of what is allowed."""
    card, _ = load_pack_card("door-plus")
    fetcher = Fetcher(cache=default_cache(), offline=True)
    for model in card.models.values():
        if model.converter == "onnx":
            data = convert(model, fetcher.read(card.sources[model.source]))
            assert cost_of(onnx.load_from_string(data)).macs < onnx_cost.MAX_MACS / 20


def test_a_chain_of_large_products_is_refused() -> None:
    """128 billions of multiplications in a few kilobytes, and as many again for each node more."""
    nodes = [helper.make_node("Tile", ["e", "often"], ["t"]), helper.make_node("Transpose", ["t"], ["u"], perm=[1, 0]),
             helper.make_node("MatMul", ["t", "u"], ["m0"]),
             *(helper.make_node("MatMul", [f"m{k}", "m0"], [f"m{k + 1}"]) for k in range(4))]  # fmt: skip
    with pytest.raises(PackError, match="multiplications"):
        _import(_summed(nodes, "m4", {"often": np.array([4000, 1], np.int64)}))


def test_a_large_constant_of_few_bytes_is_refused() -> None:
    """Its shape is known before it is made."""
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["s"])]
    with pytest.raises(PackError, match="million numbers"):
        _import(_summed(nodes, "s", {"shape": np.array([100_000, 40_000], np.int64)}))


def test_a_large_sparse_constant_is_refused() -> None:
    """One number on the disk, billions in memory."""
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32)),
        helper.make_tensor("i", TensorProto.INT64, [1], [0]),
        [200_000, 20_000],
    )
    with pytest.raises(PackError):
        _import(_summed([helper.make_node("Constant", [], ["s"], sparse_value=sparse)], "s", {}))


def test_reading_a_large_tensor_again_and_again_is_refused() -> None:
    """Nothing is multiplied and nothing large is made."""
    weights = {"big": np.zeros((1 << 20,), np.float32)}
    nodes = [helper.make_node("ReduceMax", ["big"], [f"r{k}"], keepdims=1) for k in range(2500)]
    with pytest.raises(PackError, match="multiplications"):
        _import(_summed(nodes, "r2499", weights))


def test_a_shape_that_follows_from_values_is_refused() -> None:
    """It could be anything."""
    nodes = [
        helper.make_node("ReduceMax", ["e"], ["top"], keepdims=0),
        helper.make_node("Cast", ["top"], ["many"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["many", "one"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["s"]),
    ]
    with pytest.raises(PackError, match="cannot be told"):
        _import(_summed(nodes, "s", {"one": np.array([1], np.int64)}))


def test_a_graph_that_grows_faster_than_its_batch_is_refused() -> None:
    """Small for one picture, endless for the three of the golden vectors."""
    nodes = [helper.make_node("Shape", ["x"], ["s0"], start=0, end=1)]
    nodes += [helper.make_node("Mul", [f"s{k}", f"s{k}"], [f"s{k + 1}"]) for k in range(5)]
    nodes.append(helper.make_node("ConstantOfShape", ["s5"], ["s"]))
    nodes.append(helper.make_node("ReduceMax", ["s"], ["r"], keepdims=0))
    nodes.append(helper.make_node("Add", ["e", "r"], ["y"]))
    with pytest.raises(PackError):
        _import(_model([*_EMBED, *nodes], {"w": _W}, batch="N"), batch=None)


@pytest.mark.parametrize("kind", ["Einsum", "Det", "CumSum"])
def test_an_operator_of_unknown_length_is_refused_by_name(kind: str) -> None:
    """Whatever its shapes."""
    made = {
        "Einsum": helper.make_node("Einsum", ["e", "e"], ["s"], equation="ij,kl->ijkl"),
        "Det": helper.make_node("Det", ["square"], ["s"]),
        "CumSum": helper.make_node("CumSum", ["e", "axis"], ["s"]),
    }
    weights: Weights = {"square": np.eye(4, dtype=np.float32), "axis": np.array(1, np.int64)}
    with pytest.raises(PackError, match=kind):
        _import(_summed([made[kind]], "s", weights))


def test_a_graph_of_countless_nodes_is_refused_before_it_is_checked() -> None:
    """Checking alone would take long."""
    nodes = [helper.make_node("Identity", ["x"], [f"n{k}"]) for k in range(onnx_cost.MAX_NODES + 1)]
    with pytest.raises(PackError, match="nodes"):
        _import(_model(nodes))
