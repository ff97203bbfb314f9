"""ONNX Runtime behind the inference contract: real sessions over models of a few nodes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from device.errors import ModelError
from device.vision.backends.onnx import OnnxSession


def _model(operator: str, *, batch: int | str = "N", inputs: int = 1, extra: str | None = None) -> bytes:
    """A model of one operator over (batch, 4)."""
    names = [f"x{index}" for index in range(inputs)]
    shape_out = [extra or batch, 4]
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"])],
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 4]) for name in names],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape_out)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture
def log() -> OnnxSession:
    """Natural logarithm: not finite for zero and below."""
    return OnnxSession(_model("Log"), model="log", threads=1)


def test_answers_are_those_of_the_model(log: OnnxSession) -> None:
    """Any batch goes through."""
    for batch in (1, 3, 2, 3):
        tensor = np.random.default_rng(batch).uniform(1, 9, (batch, 4)).astype(np.float32)
        (answer,) = log.run(tensor)
        np.testing.assert_allclose(answer, np.log(tensor), rtol=1e-5)


def test_a_changed_tensor_at_the_same_place_is_read_again(log: OnnxSession) -> None:
    """The input stays bound, its values do not."""
    tensor = np.ones((1, 4), np.float32)
    assert log.run(tensor)[0].max() == 0
    tensor[:] = np.e
    np.testing.assert_allclose(log.run(tensor)[0], 1, rtol=1e-6)


def test_outputs_are_written_into_the_same_array(log: OnnxSession) -> None:
    """Nothing is allocated per call."""
    first = log.run(np.ones((2, 4), np.float32))[0]
    assert log.run(np.full((2, 4), 2, np.float32))[0] is first


@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan, np.inf])
def test_an_output_that_is_not_finite_is_an_error(log: OnnxSession, value: float) -> None:
    """NaN and both infinities, in any place."""
    tensor = np.ones((2, 4), np.float32)
    tensor[1, 2] = value
    with pytest.raises(ModelError, match="not finite"):
        log.run(tensor)
    log.run(np.ones((2, 4), np.float32))


@pytest.mark.parametrize(
    "tensor",
    [
        np.ones((1, 5), np.float32),
        np.ones((0, 4), np.float32),
        np.ones(4, np.float32),
        np.ones((1, 4), np.float64),
        np.ones((4, 4), np.float32).T[:2],
    ],
)
def test_a_tensor_of_another_kind_is_refused(log: OnnxSession, tensor: np.ndarray) -> None:
    """Shape, type and layout are checked before the runtime reads memory."""
    with pytest.raises(ModelError, match="takes contiguous"):
        log.run(tensor)


def test_a_fixed_batch_is_held(log: OnnxSession) -> None:
    """-1 only where the batch is free."""
    session = OnnxSession(_model("Log", batch=2), model="log", threads=1)
    assert (session.input_shape, log.input_shape) == ((2, 4), (-1, 4))
    with pytest.raises(ModelError, match="takes contiguous"):
        session.run(np.ones((1, 4), np.float32))


@pytest.mark.parametrize(
    "data", [b"", b"no model", _model("Log")[:40], _model("Add", inputs=2), _model("Log", extra="M")]
)
def test_bytes_that_are_no_such_model_are_an_error(data: bytes) -> None:
    """Damaged files, several inputs, outputs of unknown size."""
    with pytest.raises(ModelError):
        OnnxSession(data, model="broken", threads=1)


def test_a_closed_session_does_not_run(log: OnnxSession) -> None:
    """Closing twice is harmless, running afterwards is an error."""
    log.close()
    log.close()
    with pytest.raises(ModelError, match="closed"):
        log.run(np.ones((1, 4), np.float32))
