"""ONNX files of others: what is taken, what it becomes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from device.errors import PackError
from device.vision.backends.onnx import OnnxSession
from device.vision.manifest import TensorSpec
from export_tools.cards import OutputSpec
from export_tools.convert.onnx_import import import_onnx, read_signature
from export_tools.convert.onnx_writer import IR_VERSION, OPSET
from tests.standins.embedder import sface_like

SFACE = sface_like()


def _input(*shape: int | None, name: str = "input") -> TensorSpec:
    return TensorSpec(name=name, shape=list(shape or (1, 3, 112, 112)), meaning="chip")


def _output(*shape: int | None, source: str = "fc1", name: str = "embedding") -> OutputSpec:
    return OutputSpec(name=name, source=source, shape=list(shape or (1, 128)), meaning="embedding")


def _import(data: bytes, *, given: TensorSpec | None = None, outputs: Sequence[OutputSpec] | None = None) -> bytes:
    return import_onnx(data, model_input=given or _input(), outputs=outputs or [_output()])


def _refusal(data: bytes, **described: object) -> PackError:
    with pytest.raises(PackError) as caught:
        _import(data, **described)  # type: ignore[arg-type]
    assert caught.value.reason == "unconvertible"
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value


def _changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_from_string(SFACE)
    change(model)
    return bytes(model.SerializeToString())


def _chips(count: int = 1) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, 3, 112, 112)).astype(np.float32)


def _small(nodes: Sequence[onnx.NodeProto], *, weights: dict[str, np.ndarray] | None = None, **names: str) -> bytes:
    """A graph from ``x`` (1, 4) to ``y`` (1, 4)."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(names.get("given", "x"), TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info(names.get("gives", "y"), TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    )


def _import_small(data: bytes, *, source: str = "y") -> bytes:
    return _import(data, given=_input(1, 4), outputs=[_output(1, 4, source=source)])


# ---- What is taken


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_a_file_of_an_older_opset_gives_the_same_answers(opset: int) -> None:
    """Brought to one opset, constants no longer inputs, names as described; the numbers stay."""
    source = sface_like(opset=opset)
    data = _import(source)
    model = onnx.load_from_string(data)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    assert model.ir_version == IR_VERSION
    assert [info.name for info in model.graph.input] == ["input"]
    assert [info.name for info in model.graph.output] == ["embedding"]
    before, after = (OnnxSession(each, model="test", threads=1) for each in (source, data))
    chips = _chips()
    np.testing.assert_allclose(after.run(chips)[0], before.run(chips)[0].copy(), rtol=1e-6, atol=1e-5)


def test_sizes_that_the_file_leaves_free_are_those_of_the_description() -> None:
    """Fixed to 1, or free by the description's own name."""
    source = sface_like(batch="N")
    assert OnnxSession(_import(source), model="test", threads=1).input_shape == (1, 3, 112, 112)
    free = _import(source, given=_input(None, 3, 112, 112), outputs=[_output(None, 128)])
    session = OnnxSession(free, model="test", threads=1)
    assert session.input_shape == (-1, 3, 112, 112)
    assert session.run(_chips(3))[0].shape == (3, 128)


@pytest.mark.parametrize("unknown", [0, -1])
def test_a_size_of_nothing_is_a_free_one(unknown: int) -> None:
    """Some exporters write 0 or -1 for the batch."""

    def change(model: onnx.ModelProto) -> None:
        for info in (model.graph.input[0], model.graph.output[0]):
            info.type.tensor_type.shape.dim[0].dim_value = unknown

    assert read_signature(_changed(change)).input.shape == (None, 3, 112, 112)
    assert OnnxSession(_import(_changed(change)), model="test", threads=1).input_shape == (1, 3, 112, 112)


def test_names_that_are_taken_move_out_of_the_way() -> None:
    """The file calls its own tensors `input` and `embedding`, and what they would be renamed to as well."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["input"]),
        helper.make_node("Add", ["input", "embedding"], ["input_of_source"]),
        helper.make_node("Add", ["input_of_source", "x"], ["y"]),
    ]
    source = _small(nodes, weights={"two": np.full(1, 2, np.float32), "embedding": np.ones((1, 4), np.float32)})
    session = OnnxSession(_import_small(source), model="test", threads=1)
    assert session.run(np.full((1, 4), 3, np.float32))[0].tolist() == [[10.0] * 4]


def test_input_and_output_may_swap_names() -> None:
    """What is called `embedding` goes in, what is called `input` comes out."""
    source = _small([helper.make_node("Neg", ["embedding"], ["input"])], given="embedding", gives="input")
    session = OnnxSession(_import_small(source, source="input"), model="test", threads=1)
    assert session.run(np.ones((1, 4), np.float32))[0].tolist() == [[-1.0] * 4]


def test_outputs_that_are_not_described_are_left_out() -> None:
    """And what only they need may stay as it is."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.output.append(helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [None] * 4))

    graph = onnx.load_from_string(_import(_changed(change))).graph
    assert [info.name for info in graph.output] == ["embedding"]


def test_the_same_file_gives_the_same_bytes() -> None:
    """A second build is the first one."""
    assert _import(SFACE) == _import(SFACE)


def test_what_the_producer_wrote_about_itself_does_not_travel() -> None:
    """Names, texts and metadata of the file's maker are no part of a model."""

    def change(model: onnx.ModelProto) -> None:
        model.doc_string = model.producer_version = model.graph.doc_string = "made on somebody's machine"
        model.metadata_props.add(key="author", value="somebody")

    assert b"somebody" not in _import(_changed(change))


def test_the_signature_tells_input_and_outputs_without_running_anything() -> None:
    """Names and shapes as the file has them; unknown sizes are found out from the input."""
    found = read_signature(sface_like(batch="N", dimension=512))
    assert (found.input.name, found.input.shape) == ("data", (None, 3, 112, 112))
    assert [(each.name, each.shape) for each in found.outputs] == [("fc1", (None, 512))]

    def forget(model: onnx.ModelProto) -> None:
        for dim in model.graph.output[0].type.tensor_type.shape.dim:
            dim.Clear()

    again = read_signature(_changed(forget), input_shape=(1, 3, 112, 112))
    assert [(each.name, each.shape) for each in again.outputs] == [("fc1", (1, 128))]


# ---- What is refused


@pytest.mark.parametrize("length", [0, 1, 100, 2000, len(SFACE) // 2, len(SFACE) - 1])
def test_a_truncated_file_is_refused(length: int) -> None:
    """Wherever it was cut."""
    assert "truncated" in _refusal(SFACE[:length]).message


@pytest.mark.parametrize("data", [b"no model", b"\x00" * 64, b"PK\x03\x04" + bytes(64), b"<html></html>"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    """Text, zeros, an archive, the page of an error."""
    _refusal(data)


def test_an_operator_that_does_not_exist_is_named() -> None:
    """In the standard's own domain."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node[4].op_type = "Conjure"

    assert "Conjure" in _refusal(_changed(change)).message


@pytest.mark.parametrize("domain", ["com.microsoft", "ai.onnx.ml", "mine"])
def test_operators_of_other_domains_are_refused_by_name(domain: str) -> None:
    """Code that somebody else would have to bring."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node[4].domain = domain
        model.opset_import.append(helper.make_opsetid(domain, 1))

    assert f"{domain}.PRelu" in _refusal(_changed(change)).message


def test_functions_of_the_files_own_are_refused() -> None:
    """They are operators by another name."""
    body = [helper.make_node("Neg", ["a"], ["b"])]
    own = helper.make_function("mine", "Own", ["a"], ["b"], body, [helper.make_opsetid("", 13)])
    assert "functions" in _refusal(_changed(lambda model: model.functions.append(own))).message


def test_weights_in_other_files_are_refused_wherever_they_are() -> None:
    """Initialisers, and what a node holds itself: nothing outside the file is read."""

    def outside(tensor: TensorProto) -> TensorProto:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")
        return tensor

    def initialiser(model: onnx.ModelProto) -> None:
        outside(model.graph.initializer[2])

    def constant(model: onnx.ModelProto) -> None:
        held = outside(numpy_helper.from_array(np.ones(1, np.float32)))
        model.graph.node.insert(0, helper.make_node("Constant", [], ["held"], value=held))

    def named_only(model: onnx.ModelProto) -> None:
        model.graph.initializer[2].external_data.add(key="location", value="weights.bin")

    for change in (initialiser, constant, named_only):
        assert "other files" in _refusal(_changed(change)).message


def test_sparse_weights_are_refused() -> None:
    """Nothing here counts or renames them."""

    def change(model: onnx.ModelProto) -> None:
        values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
        indices = numpy_helper.from_array(np.zeros(1, np.int64), "places")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))

    assert "sparse" in _refusal(_changed(change)).message


@pytest.mark.parametrize("branch", ["If", "Loop"])
def test_branches_and_loops_are_refused(branch: str) -> None:
    """A graph in a graph: no conversion of precision knows it, and a loop may never end."""
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1, 4])
    constant = helper.make_node("Constant", [], ["inner"], value=numpy_helper.from_array(np.ones((1, 4), np.float32)))
    body = helper.make_graph([constant], "body", [], [value])
    if branch == "If":
        node = helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body)
    else:
        node = helper.make_node("Loop", ["often", "yes", "x"], ["y"], body=body)
    weights = {"yes": np.array(True), "often": np.array(1, np.int64)}
    with pytest.raises(PackError, match=rf"branches \({branch}\)"):
        _import_small(_small([node], weights=weights))


@pytest.mark.parametrize("claimed", [onnx.AttributeProto.UNDEFINED, onnx.AttributeProto.FLOAT])
def test_a_graph_that_says_it_is_none_is_refused_all_the_same(claimed: onnx.AttributeProto.AttributeType) -> None:
    """What an attribute holds counts, not what it calls itself."""

    def change(model: onnx.ModelProto) -> None:
        hidden = model.graph.node[4].attribute.add(name="body")
        hidden.g.node.add(op_type="Neg")
        hidden.type = claimed

    assert "branches" in _refusal(_changed(change)).message


def test_two_inputs_are_refused() -> None:
    """A model of this project sees one picture."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))

    assert "2 inputs" in _refusal(_changed(change)).message


def test_an_input_of_another_type_is_refused() -> None:
    """Bytes instead of float32."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16

    _refusal(_changed(change))


@pytest.mark.parametrize("number", range(10))
def test_weights_of_a_type_that_does_not_exist_are_refused(number: int) -> None:
    """Whichever tensor it is: checker and converter each find some of them, in their own words."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[number].data_type = 118

    _refusal(_changed(change))


@pytest.mark.parametrize(
    "described",
    [
        {"given": _input(1, 3, 96, 112)},
        {"given": _input(2, 3, 112, 112)},
        {"given": _input(1, 3, 112)},
        {"outputs": [_output(1, 512)]},
        {"outputs": [_output(1, 128, 1, 1)]},
        {"outputs": [_output(2, 128)]},
    ],
)
def test_a_description_of_other_sizes_is_refused(described: dict[str, object]) -> None:
    """What the device relies on is what the file has."""
    _refusal(SFACE, **described)


def test_a_size_that_the_graph_contradicts_is_refused() -> None:
    """The file leaves its output free; the description says 512, and 128 come out."""

    def change(model: onnx.ModelProto) -> None:
        for dim in model.graph.output[0].type.tensor_type.shape.dim:
            dim.Clear()

    _refusal(_changed(change), outputs=[_output(1, 512)])


def test_a_missing_output_is_named_with_those_there_are() -> None:
    """So that the description can be corrected."""
    message = _refusal(SFACE, outputs=[_output(source="embedding_1")]).message
    assert "embedding_1" in message
    assert "fc1" in message


@pytest.mark.parametrize("opset", [0, OPSET + 1, 1000])
def test_an_opset_that_is_not_known_is_refused(opset: int) -> None:
    """A newer one may mean something else by the same names."""

    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = opset

    assert f"opset {opset}" in _refusal(_changed(change)).message


@settings(max_examples=150, deadline=None)
@given(
    cut=st.integers(0, len(SFACE)),
    flips=st.lists(st.tuples(st.integers(0, len(SFACE) - 1), st.integers(1, 255)), max_size=4),
    heads=st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 255)), max_size=4),
    keep=st.booleans(),
)
def test_cut_and_flipped_bytes_are_refused_or_still_a_model(
    cut: int, flips: list[tuple[int, int]], heads: list[tuple[int, int]], keep: bool
) -> None:
    """No other exception than the project's own; what is taken has the shapes it was asked for."""
    data = bytearray(SFACE)
    for place, change in (*flips, *heads):
        data[place] ^= change
    damaged = bytes(data if keep else data[:cut])
    try:
        read_signature(damaged)
        taken = _import(damaged)
    except PackError:
        return
    assert [info.name for info in onnx.load_from_string(taken).graph.input] == ["input"]
