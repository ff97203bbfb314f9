"""What every inference session promises, over ONNX Runtime and over TensorRT on a stand-in that executes ONNX.

To put another session under the promises, add a maker to ``MAKERS``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from device.errors import ModelError
from device.interfaces import InferenceSession
from device.vision.backends.engine_tag import EngineTag
from device.vision.backends.onnx import OnnxSession
from device.vision.backends.tensorrt import TensorRtSession
from tests.standins.fake_tensorrt import write_plan
from tests.standins.gpu import Machine, install

Maker = Callable[[bytes], InferenceSession]


def small_model(
    *operators: str, batch: int | str = "N", inputs: int = 1, kind: int = TensorProto.FLOAT, width: int = 4
) -> bytes:
    """A model over (batch, width) with one output per operator."""
    names = [f"x{index}" for index in range(inputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, names, [f"y{index}"]) for index, operator in enumerate(operators)],
        "small",
        [helper.make_tensor_value_info(name, kind, [batch, width]) for name in names],
        [helper.make_tensor_value_info(f"y{index}", kind, [batch, width]) for index in range(len(operators))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    data: bytes = model.SerializeToString()
    return data


def _onnx(model: bytes) -> InferenceSession:
    return OnnxSession(model, model="small", threads=1)


def _tensorrt_on(machine: Machine) -> Maker:
    def make(model: bytes) -> InferenceSession:
        digest = hashlib.sha256(model).hexdigest()
        major, minor = machine.compute_capability
        tag = EngineTag(
            tensorrt=machine.tensorrt, gpu=machine.gpu, compute_capability=f"{major}.{minor}", model_sha256=digest
        )
        return TensorRtSession(write_plan(machine, model, most=8), model="small", tag=tag, model_sha256=digest)

    return make


@pytest.fixture(params=["onnxruntime", "tensorrt 10.3.0", "tensorrt 11.4.0.106"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Each session in turn."""
    name, _, version = str(request.param).partition(" ")
    if name == "onnxruntime":
        return _onnx
    return _tensorrt_on(install(Machine(tensorrt=version), monkeypatch))


def _ones(batch: int = 1) -> NDArray[np.float32]:
    return np.ones((batch, 4), np.float32)


def test_answers_are_those_of_the_model(make: Maker) -> None:
    """Any batch goes through, batches may alternate, and all outputs come in the model's order."""
    session = make(small_model("Log", "Sqrt", "Neg"))
    for batch in (1, 3, 2, 3, 1):
        tensor = np.random.default_rng(batch).uniform(1, 9, (batch, 4)).astype(np.float32)
        log, root, negative = session.run(tensor)
        np.testing.assert_allclose(log, np.log(tensor), rtol=1e-5)
        np.testing.assert_allclose(root, np.sqrt(tensor), rtol=1e-5)
        np.testing.assert_array_equal(negative, -tensor)


def test_it_says_what_it_is_and_what_it_takes(make: Maker) -> None:
    """The batch is -1 where it is free."""
    session = make(small_model("Log"))
    assert (session.model, session.input_shape) == ("small", (-1, 4))
    assert make(small_model("Log", batch=2)).input_shape == (2, 4)


def test_outputs_are_float32_and_overwritten_by_the_next_call(make: Maker) -> None:
    """Nothing is allocated per call."""
    session = make(small_model("Sqrt"))
    (first,) = session.run(_ones(2))
    assert (first.dtype, first.shape) == (np.dtype(np.float32), (2, 4))
    (second,) = session.run(np.full((2, 4), 4, np.float32))
    assert second is first
    assert (first == 2).all()


def test_a_changed_tensor_at_the_same_place_is_read_again(make: Maker) -> None:
    """Whatever is bound, the values are those of the call."""
    session = make(small_model("Sqrt"))
    tensor = _ones()
    assert session.run(tensor)[0].max() == 1
    tensor[:] = 9
    assert session.run(tensor)[0].min() == 3


def test_the_tensor_is_left_as_it_was(make: Maker) -> None:
    """It belongs to the caller."""
    tensor = np.full((2, 4), 4, np.float32)
    make(small_model("Sqrt")).run(tensor)
    assert (tensor == 4).all()


@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan, np.inf])
def test_an_output_that_is_not_finite_is_an_error(make: Maker, value: float) -> None:
    """NaN and both infinities, in any place; the next call is answered."""
    session = make(small_model("Log"))
    tensor = _ones(2)
    tensor[1, 2] = value
    with pytest.raises(ModelError, match="not finite"):
        session.run(tensor)
    assert session.run(_ones(2))[0].max() == 0


@pytest.mark.parametrize(
    "tensor",
    [
        np.ones((1, 5), np.float32),
        np.ones((0, 4), np.float32),
        np.ones(4, np.float32),
        np.ones((1, 1, 4), np.float32),
        np.ones((1, 4), np.float64),
        np.ones((1, 4), np.float16),
        np.ones((1, 4), np.uint8),
        np.ones((4, 4), np.float32).T[:2],
        np.ones((2, 8), np.float32)[:, ::2],
    ],
)
def test_a_tensor_of_another_kind_is_refused(make: Maker, tensor: NDArray[np.float32]) -> None:
    """Shape, type and layout are checked before anything reads memory; the next call is answered."""
    session = make(small_model("Log"))
    with pytest.raises(ModelError, match="takes contiguous"):
        session.run(tensor)
    assert session.run(_ones())[0].max() == 0


def test_a_fixed_batch_is_held(make: Maker) -> None:
    """Neither more nor fewer."""
    session = make(small_model("Log", batch=2))
    for batch in (1, 3):
        with pytest.raises(ModelError, match="takes contiguous"):
            session.run(_ones(batch))
    assert session.run(_ones(2))[0].shape == (2, 4)


@pytest.mark.parametrize(
    "model",
    [
        b"",
        b"no model",
        small_model("Log")[:40],
        small_model("Add", inputs=2),
        small_model("Neg", kind=TensorProto.FLOAT16),
    ],
    ids=["empty", "nonsense", "cut", "two inputs", "float16"],
)
def test_what_is_no_such_model_is_refused_with_a_hint(make: Maker, model: bytes) -> None:
    """Damaged files, several inputs, other types."""
    with pytest.raises(ModelError) as refused:
        make(model)
    assert refused.value.hint


def test_a_closed_session_does_not_run(make: Maker) -> None:
    """Closing twice is harmless, running afterwards is an error; what it answered before stays readable."""
    session = make(small_model("Sqrt"))
    (answer,) = session.run(np.full((1, 4), 4, np.float32))
    session.close()
    session.close()
    assert (answer == 2).all()
    with pytest.raises(ModelError, match="closed"):
        session.run(_ones())


def test_two_sessions_do_not_disturb_one_another(make: Maker) -> None:
    """A pack has several models that take turns."""
    root, negative = make(small_model("Sqrt")), make(small_model("Neg"))
    (one,) = root.run(np.full((1, 4), 4, np.float32))
    (other,) = negative.run(np.full((1, 4), 4, np.float32))
    assert (one == 2).all()
    assert (other == -4).all()
    root.close()
    assert (negative.run(_ones())[0] == -1).all()
