"""Building engines, and for which runtime; on the stand-ins of a machine with a GPU."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from device.errors import ModelError, PackError
from device.vision.backends.engine_tag import EngineTag
from device.vision.backends.tensorrt import TensorRtSession
from export_tools.engine.builder import Batches, BuiltEngine, build_engine
from export_tools.engine.target import Resolved, Wanted, resolve_target
from export_tools.sources.download import Silent
from tests.contracts.test_inference_session import small_model
from tests.standins.gpu import Machine, install, remove

MODEL = small_model("Sqrt")


@dataclass
class Notes(Silent):
    """Remembers what was said."""

    said: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """One line."""
        self.said.append(text)


@pytest.fixture
def notes() -> Notes:
    """Whoever is told."""
    return Notes()


@pytest.fixture(params=["10.3.0", "11.4.0.106"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """With the oldest and the newest TensorRT that the project is held against."""
    return install(Machine(tensorrt=request.param), monkeypatch)


def _header(engine: BuiltEngine) -> dict[str, object]:
    header: dict[str, object] = json.loads(engine.data.partition(b"\n")[0][4:])
    return header


def test_an_engine_runs_where_it_was_built_and_answers_as_its_model(machine: Machine) -> None:
    """From ONNX to numbers, with the tag that the device checks."""
    built = build_engine(MODEL, model="small")
    digest = hashlib.sha256(MODEL).hexdigest()
    assert built.tag == EngineTag(tensorrt=machine.tensorrt, gpu="Orin", compute_capability="8.7", model_sha256=digest)
    session = TensorRtSession(built.data, model="small", tag=built.tag, model_sha256=digest)
    assert (session.run(np.full((8, 4), 9, np.float32))[0] == 3).all()
    assert not machine.contexts
    assert machine.retained == 1


def test_the_network_is_strongly_typed(machine: Machine) -> None:
    """Types are those of the file, with the flag where this TensorRT has it."""
    assert _header(build_engine(MODEL, model="small"))["strongly_typed"] is True


def test_a_free_batch_gets_the_bounds_asked_for_and_a_fixed_one_none(machine: Machine) -> None:
    """1 to 8 unless told otherwise."""
    asked = build_engine(MODEL, model="small", batches=Batches(least=1, typical=2, most=3))
    fixed = build_engine(small_model("Sqrt", batch=2), model="small")
    assert [_header(engine)["batches"] for engine in (asked, fixed)] == [[1, 1, 3], [1, 1, 2]]


@pytest.mark.parametrize("bounds", [(0, 1, 1), (2, 1, 3), (1, 4, 3)])
def test_batches_out_of_order_are_refused(bounds: tuple[int, int, int]) -> None:
    """Before anything is built."""
    with pytest.raises(PackError, match="out of order"):
        Batches(least=bounds[0], typical=bounds[1], most=bounds[2])


def _strange() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("FancyNorm", ["x"], ["y"], name="neck", domain="com.example")],
        "strange",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    data: bytes = helper.make_model(graph).SerializeToString()
    return data


def _quantized(kind: type[np.generic], zero: int) -> bytes:
    weights = [
        numpy_helper.from_array(np.float32(0.1), "scale"),
        numpy_helper.from_array(np.array(zero, kind), "zero"),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="quantize"),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="dequantize"),
        ],
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (_strange(), r"operator FancyNorm \(neck\): Plugin not found"),
        (_quantized(np.uint8, 128), r"operator QuantizeLinear \(quantize\): .*symmetric"),
        (_quantized(np.int8, 3), "symmetric"),
        (b"", "gives no reason"),
        (MODEL[:40], "Failed to parse"),
        (small_model("Add", inputs=2), "one input"),
        (small_model("Neg", kind=TensorProto.FLOAT16), "float32"),
    ],
    ids=["unsupported operator", "u8", "zero point", "empty", "cut", "two inputs", "float16"],
)
def test_a_model_that_tensorrt_does_not_take_is_named_with_the_reason(
    machine: Machine, tmp_path: Path, model: bytes, reason: str
) -> None:
    """Operator and node, and what to do; nothing is written."""
    with pytest.raises(PackError, match=reason) as refused:
        build_engine(model, model="small", timing_cache=tmp_path / "timing")
    assert refused.value.reason == "unsupported"
    assert refused.value.hint
    assert not list(tmp_path.iterdir())
    assert not machine.retained


def test_symmetric_signed_activations_are_taken(machine: Machine) -> None:
    """The INT8 file that is made for TensorRT."""
    assert build_engine(_quantized(np.int8, 0), model="small").data


def test_too_little_workspace_is_an_error_with_tensorrts_words(machine: Machine, tmp_path: Path) -> None:
    """And leaves no timing cache."""
    machine.workspace_needed_bytes = 64 << 20
    with pytest.raises(PackError, match="try a larger workspace") as refused:
        build_engine(MODEL, model="small", workspace_mib=32, timing_cache=tmp_path / "timing")
    assert "--workspace-mib " in refused.value.hint
    assert refused.value.reason == "engine"
    assert not list(tmp_path.iterdir())
    assert build_engine(MODEL, model="small", workspace_mib=64).data


def test_a_second_build_needs_no_timing(machine: Machine, tmp_path: Path, notes: Notes) -> None:
    """The cache is made with its folder, and grows model by model."""
    cache = tmp_path / "timings" / "cache"
    for model, timed in ((MODEL, 1), (MODEL, 1), (small_model("Neg"), 2), (MODEL, 2)):
        build_engine(model, model="small", timing_cache=cache, reporter=notes)
        assert machine.timed == timed
    assert [path.name for path in cache.parent.iterdir()] == ["cache"]
    assert not [text for text in notes.said if "cache" in text]


@pytest.mark.parametrize("content", [b"no cache", b'timing["9.0.0", "Orin", []]', b'timing["10.3.0", "Xavier", []]'])
def test_a_timing_cache_of_another_kind_is_not_used_and_replaced(
    machine: Machine, tmp_path: Path, notes: Notes, content: bytes
) -> None:
    """Damaged, of another version, of another device."""
    cache = tmp_path / "cache"
    cache.write_bytes(content)
    build_engine(MODEL, model="small", timing_cache=cache, reporter=notes)
    assert [text for text in notes.said if "is not used" in text]
    build_engine(MODEL, model="small", timing_cache=cache)
    assert machine.timed == 1


@pytest.mark.parametrize("doubt", ["link", "group", "others", "pipe", "owner"])
def test_a_timing_cache_that_somebody_else_may_have_written_is_not_used(
    machine: Machine, tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch, doubt: str
) -> None:
    """TensorRT would read it unauthenticated; it is replaced by one that only its owner may write."""
    cache = tmp_path / "cache"
    build_engine(MODEL, model="small", timing_cache=cache)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    timed = machine.timed
    if doubt == "link":
        cache.rename(tmp_path / "elsewhere")
        cache.symlink_to(tmp_path / "elsewhere")
    elif doubt == "pipe":
        cache.unlink()
        os.mkfifo(cache)
    elif doubt == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
    else:
        cache.chmod(0o620 if doubt == "group" else 0o602)
    before = (tmp_path / "elsewhere").read_bytes() if doubt == "link" else b""
    build_engine(MODEL, model="small", timing_cache=cache, reporter=notes)
    assert machine.timed == 2 * timed
    assert [text for text in notes.said if "is not used" in text]
    if doubt == "link":
        assert (tmp_path / "elsewhere").read_bytes() == before
    assert not cache.is_symlink()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600


def test_timings_of_a_build_that_ran_meanwhile_are_kept(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last to write adds to what is there."""
    cache, other = tmp_path / "cache", small_model("Neg")
    builder = sys.modules["tensorrt"].Builder
    build = builder.build_serialized_network

    def meanwhile(*arguments: object) -> object:
        monkeypatch.setattr(builder, "build_serialized_network", build)
        build_engine(other, model="other", timing_cache=cache)
        return build(*arguments)

    monkeypatch.setattr(builder, "build_serialized_network", meanwhile)
    build_engine(MODEL, model="small", timing_cache=cache)
    timed = machine.timed
    for model in (MODEL, other):
        build_engine(model, model="small", timing_cache=cache)
    assert machine.timed == timed == 2


def test_a_timing_cache_that_cannot_be_written_is_said_and_the_engine_built(
    machine: Machine, tmp_path: Path, notes: Notes
) -> None:
    """It only saves time."""
    (tmp_path / "file").write_bytes(b"")
    assert build_engine(MODEL, model="small", timing_cache=tmp_path / "file" / "cache", reporter=notes).data
    assert any("cannot be written" in text for text in notes.said)


def test_without_a_gpu_no_engine_is_built(machine: Machine, tmp_path: Path) -> None:
    """Nothing is written either."""
    machine.devices = 0
    with pytest.raises(ModelError, match="no CUDA device"):
        build_engine(MODEL, model="small", timing_cache=tmp_path / "timing")
    assert not list(tmp_path.iterdir())


# ---- Which runtime


def test_auto_is_tensorrt_where_everything_answers(machine: Machine) -> None:
    """And says which; who asked for it by name need not be told."""
    reason = f"TensorRT {machine.tensorrt} on Orin, compute capability 8.7"
    assert resolve_target("auto") == Resolved("tensorrt", reason)
    assert resolve_target("tensorrt") == Resolved("tensorrt")


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [("tensorrt", "no TensorRT here"), ("pycuda", "pycuda cannot be loaded"), ("gpu", "no CUDA device")],
)
def test_auto_is_onnxruntime_elsewhere_and_tensorrt_by_name_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, lacking: str, reason: str
) -> None:
    """With the reason in both."""
    if lacking == "gpu":
        machine.devices = 0
    else:
        remove(monkeypatch, *{"pycuda": ("pycuda", "pycuda.driver")}.get(lacking, (lacking,)))
    resolved = resolve_target("auto")
    assert resolved.target == "onnxruntime"
    assert reason in str(resolved.reason)
    with pytest.raises(PackError, match="TensorRT cannot be loaded" if lacking == "tensorrt" else reason) as refused:
        resolve_target("tensorrt")
    assert (refused.value.reason, refused.value.exit_code) == ("target", 70)
    assert refused.value.hint


@pytest.mark.parametrize(("wanted", "reason"), [("onnxruntime", None), ("auto", "no TensorRT here")])
def test_a_machine_without_bindings_builds_for_onnxruntime(
    wanted: Wanted, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Raspberry Pi."""
    remove(monkeypatch, "tensorrt", "pycuda", "pycuda.driver")
    assert resolve_target(wanted) == Resolved("onnxruntime", reason)
