"""What is particular to TensorRT: tags, memory, waiting; on stand-ins, and the proof that these refuse."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from device.errors import ModelError
from device.vision.backends.cuda import Cuda, Gpu, find_gpu
from device.vision.backends.engine_tag import EngineTag
from device.vision.backends.tensorrt import TensorRtSession
from tests.contracts.test_inference_session import small_model
from tests.standins.fake_tensorrt import write_plan
from tests.standins.gpu import ALIGNMENT, LogicError, Machine, install, remove

ROOT = Path(__file__).resolve().parents[2]
MODEL = small_model("Sqrt")
DIGEST = hashlib.sha256(MODEL).hexdigest()
TAG = EngineTag(tensorrt="10.3.0", gpu="Orin", compute_capability="8.7", model_sha256=DIGEST)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A Jetson Orin with JetPack 6."""
    return install(Machine(), monkeypatch)


def _session(machine: Machine, *, tag: EngineTag = TAG, plan: bytes | None = None) -> TensorRtSession:
    return TensorRtSession(
        write_plan(machine, MODEL, most=4) if plan is None else plan, model="small", tag=tag, model_sha256=DIGEST
    )


def _four(batch: int = 1) -> Any:
    return np.full((batch, 4), 4, np.float32)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tensorrt": "10.3.1"}, "by TensorRT 10.3.1, here is 10.3.0"),
        ({"gpu": "Orin NX"}, "for the GPU Orin NX, here is Orin"),
        ({"compute_capability": "8.6"}, "for compute capability 8.6, here is 8.7"),
        ({"model_sha256": "0" * 64}, "from a model of sha256 0000"),
    ],
)
def test_an_engine_of_another_kind_is_never_deserialised(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], reason: str
) -> None:
    """The tag decides before TensorRT sees a byte, and the error says how to build the right one."""
    runtime = sys.modules["tensorrt"].Runtime
    monkeypatch.setattr(runtime, "deserialize_cuda_engine", lambda *_: pytest.fail("deserialised"))
    with pytest.raises(ModelError, match=reason) as refused:
        _session(machine, tag=TAG.model_copy(update=change))
    assert "doorward-export build --target tensorrt" in refused.value.hint
    assert not machine.retained


@pytest.mark.parametrize(
    "other", [Machine(tensorrt="10.16.1.11"), Machine(compute_capability=(8, 6))], ids=["version", "compute capability"]
)
def test_what_tensorrt_refuses_behind_a_right_tag_is_an_error_with_its_own_words(
    machine: Machine, other: Machine
) -> None:
    """A tag that lies changes nothing."""
    with pytest.raises(ModelError, match=r"cannot be loaded: (Serialization assertion|The engine plan file)"):
        _session(machine, plan=write_plan(other, MODEL, most=4))
    assert not machine.memory
    assert not machine.contexts
    assert not machine.retained


def test_a_sister_device_is_refused_although_tensorrt_would_only_warn(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """The control for the tag: the same engine behind a tag that lies is loaded, with a warning."""
    plan = write_plan(Machine(gpu="Orin Nano"), MODEL, most=4)
    _session(machine, plan=plan)
    assert "across different models of devices" in caplog.text
    with pytest.raises(ModelError, match="for the GPU Orin Nano"):
        _session(machine, plan=plan, tag=TAG.model_copy(update={"gpu": "Orin Nano"}))


def test_a_batch_beyond_the_profile_is_refused_and_the_next_is_answered(machine: Machine) -> None:
    """An engine takes the batches it was built for."""
    session = _session(machine)
    with pytest.raises(ModelError, match="batches of 1 to 4, not 5"):
        session.run(_four(5))
    assert (session.run(_four(4))[0] == 2).all()


def test_an_output_whose_size_depends_on_the_data_is_refused(machine: Machine) -> None:
    """Memory is made before the data is known."""
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["places"]), helper.make_node("Cast", ["places"], ["y"], to=1)],
        "places",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, "M"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match="an output y of unknown size"):
        _session(machine, plan=write_plan(machine, model.SerializeToString(), most=4))


def test_all_host_memory_is_page_locked_and_all_device_memory_aligned(machine: Machine) -> None:
    """Copies are asynchronous only from and to page-locked memory."""
    session = _session(machine)
    for batch in (1, 2, 1):
        session.run(_four(batch))
    assert machine.pageable_copies == 0
    assert len(machine.memory) == 4
    assert all(address % ALIGNMENT == 0 for address in machine.memory)


def test_closing_gives_all_memory_back(machine: Machine) -> None:
    """And leaves no context current; a run in between does neither."""
    session = _session(machine)
    session.run(_four(1))
    session.run(_four(2))
    assert not machine.contexts
    session.close()
    assert not machine.memory
    assert not machine.contexts
    assert not machine.retained


def test_a_session_that_is_closed_leaves_the_memory_of_others_alone(machine: Machine) -> None:
    """Each frees its own before it gives the context back, which the others still hold."""
    one, other = _session(machine), _session(machine)
    one.run(_four())
    (answer,) = other.run(_four())
    one.close()
    assert len(machine.memory) == 2
    assert (other.run(np.full((1, 4), 9, np.float32))[0] == 3).all()
    other.close()
    assert (answer == 3).all()


@pytest.mark.parametrize("fault", ["refuses_execution", "broken"])
def test_a_gpu_that_fails_is_an_error_and_no_answer(machine: Machine, fault: str) -> None:
    """Whether TensorRT says False or the driver raises."""
    session = _session(machine)
    session.run(_four())
    setattr(machine, fault, True)
    with pytest.raises(ModelError, match=r"small failed: (Error Code 1|.*illegal memory access)") as failed:
        session.run(_four())
    assert failed.value.hint
    assert not machine.contexts


def test_without_a_device_the_error_says_so(machine: Machine) -> None:
    """The driver's words and what to look at."""
    machine.devices = 0
    with pytest.raises(ModelError, match="no CUDA device answers: cuInit failed") as refused:
        find_gpu()
    assert refused.value.hint


@pytest.mark.parametrize("absent", ["tensorrt", "pycuda"])
def test_without_the_bindings_the_error_says_which(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    """The modules do not exist on a Raspberry Pi."""
    remove(monkeypatch, *([absent] if absent == "tensorrt" else ["pycuda", "pycuda.driver"]))
    with pytest.raises(ModelError, match=r"(TensorRT|pycuda) cannot be loaded") as refused:
        _session(machine)
    assert "onnxruntime" in refused.value.hint


def test_a_tensorrt_without_named_tensors_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """JetPack 5 and 6.0 bring TensorRT 8."""
    machine = install(Machine(tensorrt="8.6.2"), monkeypatch)
    with pytest.raises(ModelError, match=r"TensorRT 8\.6\.2 is too old") as refused:
        _session(machine, tag=TAG.model_copy(update={"tensorrt": "8.6.2"}))
    assert refused.value.hint


def test_the_gpu_is_named_as_engines_are_tagged(machine: Machine) -> None:
    """Name and compute capability; asking holds nothing."""
    assert find_gpu() == Gpu("Orin", "8.7")
    assert not machine.retained


def test_importing_the_backend_imports_no_driver() -> None:
    """Nothing happens at import."""
    code = (
        "import sys, device.vision.backends.tensorrt as t; raise SystemExit(bool({'tensorrt', 'pycuda'} & "
        "{n.partition('.')[0] for n in sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# ---- Controls: the stand-ins refuse what they stand for


def test_without_waiting_the_stand_in_gives_old_values(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control for the wait: a session that forgets it is caught."""
    session = _session(machine)
    assert (session.run(_four())[0] == 2).all()
    monkeypatch.setattr(Cuda, "synchronize", lambda _: None)
    assert (session.run(np.full((1, 4), 9, np.float32))[0] == 2).all()


def test_before_the_first_wait_the_stand_in_gives_nan(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that nobody wrote is no answer."""
    monkeypatch.setattr(Cuda, "synchronize", lambda _: None)
    with pytest.raises(ModelError, match="not finite"):
        _session(machine).run(_four())


def test_outside_its_context_memory_cannot_be_had(machine: Machine) -> None:
    """As with pycuda."""
    cuda = Cuda()
    with pytest.raises(LogicError, match="no currently active context"):
        cuda.buffer((1, 4))


def test_memory_is_given_back_once(machine: Machine) -> None:
    """As with pycuda."""
    cuda = Cuda()
    with cuda:
        buffer = cuda.buffer((1, 4))
        cuda.free(buffer)
        with pytest.raises(LogicError, match="invalid resource handle"):
            cuda.free(buffer)
        with pytest.raises(LogicError, match="invalid resource handle"):
            cuda.upload(buffer)


def test_an_execution_refuses_what_is_not_set_and_wild_addresses(machine: Machine) -> None:
    """False for what TensorRT sees, a broken machine for what it does not."""
    trt: Any = sys.modules["tensorrt"]

    class Logger(trt.ILogger):  # type: ignore[misc]
        def log(self, severity: Any, msg: str) -> None:  # noqa: ARG002
            said.append(msg)

    said: list[str] = []
    cuda = Cuda()
    with cuda:
        engine = trt.Runtime(Logger()).deserialize_cuda_engine(write_plan(machine, MODEL, most=4))
        context = engine.create_execution_context()
        assert not context.execute_async_v3(cuda.stream_handle)
        assert not context.set_input_shape("x0", (5, 4))
        assert not context.set_input_shape("y0", (1, 4))
        assert context.set_input_shape("x0", (4, 4))
        assert not context.execute_async_v3(cuda.stream_handle)
        buffer = cuda.buffer((4, 4))
        assert not context.set_tensor_address("x0", buffer.address + 4)
        assert not context.set_tensor_address("stranger", buffer.address)
        assert context.set_tensor_address("x0", buffer.address)
        assert context.set_tensor_address("y0", buffer.address + ALIGNMENT)
        assert not context.execute_async_v3(7)
        assert context.execute_async_v3(cuda.stream_handle)
        with pytest.raises(LogicError, match="illegal memory access"):
            cuda.synchronize()
        with pytest.raises(LogicError, match="illegal memory access"):
            cuda.buffer((1, 4))
    assert len(said) == 7
