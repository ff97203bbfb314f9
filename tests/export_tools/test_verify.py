"""Verifying: drift by hand, a model that was changed, TensorRT on its stand-in, signatures on the command line."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from onnx import numpy_helper

from device.errors import ModelError, PackError
from device.interfaces import InferenceSession
from device.keys import KeyFile, StateKeys
from device.vision.manifest import Family, Manifest, ModelEntry, Precision, Role
from device.vision.pack import MAC_NAME, MANIFEST_NAME, SIGNATURE_NAME, Pack, load_pack, write_manifest
from export_tools import golden
from export_tools.build import read_sources
from export_tools.cards import load_pack_card
from export_tools.cli import run
from export_tools.convert.convert import convert
from export_tools.engine.builder import build_engine
from export_tools.precision.artefact import make_artefact
from export_tools.precision.fp16 import to_fp16
from export_tools.precision.graph import open_session
from export_tools.sources.fetch import Fetcher, default_cache
from export_tools.verify import (
    EMBEDDER_FACTORS,
    FACTORS,
    FP32_COSINE,
    FP32_SHARE,
    MEASURED,
    Backend,
    Verification,
    drift_of,
    limit_of,
    saturates,
    verify,
)
from tests.standins.gpu import Machine, install


@pytest.fixture
def state(tmp_path: Path, door_state: Path) -> Path:
    """A state directory with the pack `door`, to be written to."""
    copy = tmp_path / "state"
    shutil.copytree(door_state / "packs" / "door", copy / "packs" / "door")
    shutil.copy(door_state / "state.key", copy)
    return copy


@pytest.fixture
def folder(state: Path) -> Path:
    """The pack in it."""
    return state / "packs" / "door"


@pytest.fixture
def key(state: Path) -> bytes:
    """What seals it."""
    return StateKeys.derive(KeyFile(state / "state.key").load()).pack_mac


def _entry(pack: Pack, role: Role, **changes: Any) -> ModelEntry:
    return pack.model(role).model_copy(update=changes)


def _reseal(folder: Path, key: bytes, change: Callable[[dict[str, Any]], None], **sealed: Any) -> None:
    """Change the manifest of a pack and seal it under the right key."""
    manifest = load_pack(folder, mac_key=key).manifest
    tree = manifest.model_dump()
    change(tree)
    for name in (MANIFEST_NAME, MAC_NAME, SIGNATURE_NAME):
        (folder / name).unlink(missing_ok=True)
    write_manifest(folder, type(manifest).model_validate(tree), mac_key=key, **sealed)


def _replace(folder: Path, key: bytes, role: Role, data: bytes, **changes: Any) -> None:
    """Put another file in a model's place, vouched for by the right key."""
    (folder / f"{role}.onnx").write_bytes(data)
    found = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data), **changes}
    _reseal(folder, key, lambda tree: tree["models"][role].update(found))


def _one_weight_changed(data: bytes, *, factor: float) -> bytes:
    """The largest weight of the first convolution, `factor` times as large."""
    model = onnx.load_from_string(data)
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    weight = next(each for each in model.graph.initializer if each.name == first.input[1])
    values = numpy_helper.to_array(weight).copy()
    values.flat[int(np.abs(values).argmax())] *= factor
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    changed: bytes = model.SerializeToString()
    return changed


def test_a_sound_pack_does_not_drift_where_it_was_built(folder: Path, key: bytes) -> None:
    """FP32 gives the same numbers again, every model of it."""
    found = verify(folder, mac_key=key)
    found.require()
    assert {row.role for row in found.rows} == set(found.pack.manifest.models)
    assert {(row.backend, row.precision) for row in found.rows} == {("onnxruntime", "fp32")}
    assert all(row.drift is not None and row.drift <= row.limit for row in found.rows)
    assert (found.signed, found.signature_checked) == (False, False)


@pytest.mark.parametrize("role", ["detector", "landmarks", "iris", "embedder"])
def test_one_changed_weight_is_found_though_the_seal_is_right(folder: Path, key: bytes, role: Role) -> None:
    """Whoever can seal a pack can put any model into it; the answers give it away."""
    _replace(folder, key, role, _one_weight_changed((folder / f"{role}.onnx").read_bytes(), factor=1.5))
    found = verify(folder, mac_key=key)
    assert [row.role for row in found.rows if not row.passed] == [role]
    with pytest.raises(PackError, match=rf"{role} \(fp32\) on onnxruntime: \w+ drifts by") as caught:
        found.require()
    assert caught.value.reason == "drift"
    assert "build --force" in caught.value.hint


def test_a_lower_precision_has_a_wider_limit_but_not_as_another_one(folder: Path, key: bytes) -> None:
    """FP16 passes as FP16, and fails when it says that it is FP32."""
    half = to_fp16((folder / "embedder.onnx").read_bytes())
    _replace(folder, key, "embedder", half, precision="fp16")
    verify(folder, mac_key=key).require()
    _replace(folder, key, "embedder", half, precision="fp32")
    with pytest.raises(PackError, match="embedder"):
        verify(folder, mac_key=key).require()


class Answers:
    """A session that answers what it was given."""

    model = "given"
    input_shape = (-1, 3, 150, 150)

    def __init__(self, outputs: tuple[Any, ...]) -> None:
        self._outputs = outputs
        self.closed = False

    def run(self, tensor: Any) -> tuple[Any, ...]:  # noqa: ARG002
        """Always the same."""
        return self._outputs

    def close(self) -> None:
        """Remember."""
        self.closed = True


def _with_embedder(folder: Path, key: bytes, session: InferenceSession) -> Verification:
    """The pack on a backend that has this embedder, and no other model."""

    def open_session(pack: Pack, role: Role) -> InferenceSession:
        if role == "embedder":
            return session
        raise ModelError(f"no {role} in {pack.manifest.pack} here")

    return verify(folder, mac_key=key, backends=[Backend("onnxruntime", open_session)])


def test_a_number_that_is_none_fails(folder: Path, key: bytes) -> None:
    """NaN is within no limit."""
    session = Answers((np.full((3, 128), np.nan, np.float32),))
    found = _with_embedder(folder, key, session)
    row = next(row for row in found.rows if row.role == "embedder")
    assert row.drift is not None
    assert math.isnan(row.drift)
    assert not row.passed
    assert session.closed
    with pytest.raises(PackError, match="embedding is not finite"):
        found.require()


def test_a_model_that_cannot_run_fails_with_its_reason(folder: Path, key: bytes) -> None:
    """Another shape of answer, or none at all."""
    found = _with_embedder(folder, key, Answers((np.ones((3, 64), np.float32),)))
    faults = {row.role: row.fault for row in found.rows}
    assert "number or shape" in faults["embedder"]
    assert faults["iris"] == "no iris in door here"
    assert not any(row.passed for row in found.rows)
    with pytest.raises(PackError, match="no detector in door here"):
        found.require()


def test_drift_is_worked_out_by_hand(folder: Path, key: bytes) -> None:
    """An embedding turned by 60 degrees; a point moved by 1 where points span 4; grids that share their scale."""
    pack = load_pack(folder, mac_key=key)
    one, other = np.zeros((1, 128), np.float32), np.zeros((1, 128), np.float32)
    one[0, 0], other[0, :2] = 2, (0.5, math.sqrt(0.75))
    output, drift = drift_of(_entry(pack, "embedder"), [one], [other])
    assert (output, round(drift, 6)) == ("embedding", 0.5)
    points, presence = np.array([[-2.0, 2.0]], np.float32), np.array([[8.0]], np.float32)
    landmarks = _entry(pack, "landmarks")
    moved = points + np.array([[0, 1]], np.float32)
    assert drift_of(landmarks, [points, presence], [moved, presence]) == ("points", 0.25)
    assert drift_of(landmarks, [points, presence], [points, presence - 1]) == ("presence", 0.125)
    outputs = [pack.model("landmarks").outputs[0].model_copy(update={"name": name}) for name in ("obj_8", "obj_16")]
    grids = _entry(pack, "detector", outputs=outputs)
    near, far = np.array([[0.0, 0.8]], np.float32), np.array([[0.0, 1e-4]], np.float32)
    output, drift = drift_of(grids, [near, far], [near, far * 2])
    assert (output, round(drift, 9)) == ("obj_16", 1.25e-4)


def test_a_certain_presence_may_move_in_int8_and_an_uncertain_one_may_not(folder: Path, key: bytes) -> None:
    """A logit of 29 or of 26 is a face all the same; FP32 has to give the very number."""
    pack = load_pack(folder, mac_key=key)
    points, certain = np.array([[-2.0, 2.0]], np.float32), np.array([[29.0]], np.float32)
    int8 = _entry(pack, "landmarks", precision="int8-u8")
    assert drift_of(int8, [points, certain], [points, certain - 3])[1] == 0
    assert drift_of(int8, [points, certain], [points, certain - 25]) == ("presence", 0.5)
    assert drift_of(_entry(pack, "landmarks"), [points, certain], [points, certain - 2.9])[1] == pytest.approx(0.1)
    assert math.isnan(drift_of(int8, [points, certain], [points, certain * np.nan])[1])


def test_an_output_that_was_zero_may_not_move(folder: Path, key: bytes) -> None:
    """There is no share of nothing."""
    entry = _entry(load_pack(folder, mac_key=key), "landmarks")
    zero, one = np.zeros((1, 2), np.float32), np.ones((1, 1), np.float32)
    assert drift_of(entry, [zero, one], [zero, one])[1] == 0
    assert drift_of(entry, [zero, one], [zero + 1, one]) == ("points", math.inf)


def test_limits_follow_from_what_was_measured(folder: Path, key: bytes) -> None:
    """Precision by precision; TensorRT's FP32 is TF32; nobody measured INT8 of the liveness networks."""
    pack = load_pack(folder, mac_key=key)
    half = _entry(pack, "embedder", precision="fp16")
    assert limit_of(half, "onnxruntime") == EMBEDDER_FACTORS["fp16"] * MEASURED["dlib-resnet"]["fp16"]
    assert limit_of(_entry(pack, "embedder"), "tensorrt") == limit_of(half, "tensorrt")
    assert limit_of(_entry(pack, "embedder", family="minifasnet", precision="int8-u8"), "onnxruntime") is None
    ordered = [limit_of(_entry(pack, "embedder", precision=p), "onnxruntime") for p in ("fp32", "fp16", "int8-u8")]
    assert ordered == sorted(limit for limit in ordered if limit is not None)


def test_other_processors_may_add_this_much_and_no_more() -> None:
    """Four times for FP16, twice for INT8; sixteen times where 1 - cosine is the square of an error."""
    assert FACTORS == {"fp16": 4, "int8-u8": 2, "int8-s8": 2}
    assert EMBEDDER_FACTORS == {"fp16": 16, "int8-u8": 2, "int8-s8": 2}
    assert FP32_SHARE <= 1e-4
    assert FP32_COSINE <= 1e-7


def _drifts(pack: Pack, fetcher: Fetcher) -> dict[tuple[Family, Precision], float]:
    """The greatest drift of each family of a pack at each precision it may run at, made and run as `verify` does."""
    card, _ = load_pack_card(pack.manifest.pack)
    sources = read_sources(card, fetcher)
    recorded = pack.read_file(pack.manifest.golden)
    found: dict[tuple[Family, Precision], float] = {}
    for role, model in card.models.items():
        reference = convert(model, sources[role])
        vectors = golden.load(recorded, role, model.preprocessing)
        for precision in model.precisions:
            if precision != "fp32":
                session = open_session(make_artefact(model, reference, precision), name=precision)
                given = golden.run(session, vectors.inputs, batch=model.input.shape[0])
                drift = drift_of(_entry(pack, role, precision=precision), vectors.outputs, given)[1]
                key = model.family, precision
                found[key] = max(found.get(key, 0.0), drift)
    return found


def _require_measured(found: dict[tuple[Family, Precision], float]) -> None:
    """Within a fifth of the table, upwards and downwards; where 8-bit products saturate INT8 answers otherwise."""
    cpuinfo = Path("/proc/cpuinfo")
    rough = saturates(machine=platform.machine(), cpuinfo=cpuinfo.read_text() if cpuinfo.is_file() else "")
    table = {key: MEASURED[key[0]][key[1]] for key in found}
    off = {key: (drift, table[key]) for key, drift in found.items() if not 1 / 1.2 <= drift / table[key] <= 1.2}
    assert not {key: figures for key, figures in off.items() if not (rough and key[1].startswith("int8"))}


def test_what_the_limits_rest_on_is_what_the_models_of_door_do(door_pack: Path, door_keys: StateKeys) -> None:
    """Every allowed precision drifts as the table says: other ranges or converters make it stale, and that is seen."""
    found = _drifts(load_pack(door_pack, mac_key=door_keys.pack_mac), Fetcher(cache=default_cache()))
    assert {family for family, _ in found} == {"blazeface-full", "facemesh", "mediapipe-iris", "dlib-resnet"}
    assert len(found) == 10
    _require_measured(found)


def test_what_the_limits_rest_on_is_what_the_models_of_door_plus_do(
    door_plus_pack: Path, door_plus_keys: StateKeys, shared: Path
) -> None:
    """The same for YuNet and the two liveness networks, of which the worse counts."""
    pack = load_pack(door_plus_pack, mac_key=door_plus_keys.pack_mac)
    found = _drifts(pack, Fetcher(cache=default_cache(), mirror=shared / "models"))
    assert len(found) == 13
    _require_measured(found)


def test_a_processor_without_vnni_is_recognised() -> None:
    """Only on x86-64: ARM does not saturate there."""
    assert saturates(machine="x86_64", cpuinfo="flags : fpu avx2 avx512f")
    assert not saturates(machine="x86_64", cpuinfo="flags : fpu avx2 avx512_vnni")
    assert not saturates(machine="x86_64", cpuinfo="flags : avx_vnni")
    assert not saturates(machine="aarch64", cpuinfo="Features : fp asimd")


def _for_tensorrt(folder: Path, key: bytes, *, answers_of: Role | None = None) -> None:
    """Give every model an engine, built on the stand-in; that of one role out of a model with one weight changed."""
    tree = load_pack(folder, mac_key=key).manifest.model_dump()
    tree["target"] = "tensorrt"
    for role in tree["models"]:
        data = (folder / f"{role}.onnx").read_bytes()
        built = build_engine(_one_weight_changed(data, factor=1.5) if role == answers_of else data, model=role)
        (folder / f"{role}.engine").write_bytes(built.data)
        digests = {"sha256": hashlib.sha256(built.data).hexdigest(), "size_bytes": len(built.data)}
        tag = {**built.tag.model_dump(), "model_sha256": hashlib.sha256(data).hexdigest()}
        tree["models"][role]["engine"] = {"file": f"{role}.engine", **digests, **tag}
    for name in (MANIFEST_NAME, MAC_NAME):
        (folder / name).unlink()
    write_manifest(folder, Manifest.model_validate(tree), mac_key=key)


def test_engines_are_held_against_the_same_answers(folder: Path, key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack for TensorRT runs on both; memory of the GPU is given back."""
    machine = install(Machine(), monkeypatch)
    _for_tensorrt(folder, key)
    found = verify(folder, mac_key=key)
    found.require()
    models = set(found.pack.manifest.models)
    assert {(row.role, row.backend) for row in found.rows} == {
        (role, backend) for role in models for backend in ("onnxruntime", "tensorrt")
    }
    assert not machine.memory


def test_an_engine_of_another_model_is_found_by_its_answers(
    folder: Path, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ONNX file beside it is sound."""
    install(Machine(), monkeypatch)
    _for_tensorrt(folder, key, answers_of="landmarks")
    found = verify(folder, mac_key=key)
    assert [(row.role, row.backend) for row in found.rows if not row.passed] == [("landmarks", "tensorrt")]


def test_engines_of_another_tensorrt_fail_with_its_version(
    folder: Path, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not loaded."""
    install(Machine(), monkeypatch)
    _for_tensorrt(folder, key)
    install(Machine(tensorrt="11.4.0.106"), monkeypatch)
    with pytest.raises(PackError, match=r"on tensorrt: .*by TensorRT 10\.3\.0, here is 11\.4\.0") as caught:
        verify(folder, mac_key=key).require()
    assert "build the pack again on this device" in caught.value.hint


# ---- The command


def test_the_command_tells_drift_and_limit(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for machines."""
    assert run(["verify", "--state", str(state)]) == 0
    assert "complete and unaltered, not signed" in capsys.readouterr().out
    assert run(["verify", "--state", str(state), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert len(told["drift"]) == 4
    assert all(row["passed"] and row["drift"] <= row["limit"] for row in told["drift"])


def test_drift_ends_the_command_with_70(
    state: Path, folder: Path, key: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the table, which says the same."""
    _replace(folder, key, "iris", _one_weight_changed((folder / "iris.onnx").read_bytes(), factor=2))
    assert run(["verify", "--state", str(state), "--json"]) == 70
    said = capsys.readouterr()
    assert "do not answer as they did" in said.err
    assert "hint: build the pack again" in said.err
    told = json.loads(said.out)
    assert not told["ok"]
    assert [row["role"] for row in told["drift"] if not row["passed"]] == ["iris"]
    assert run(["verify", "--state", str(state)]) == 70
    assert "FAILED" in capsys.readouterr().out


def test_an_altered_file_ends_the_command_before_any_model_runs(
    state: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bytes come first."""
    data = bytearray((folder / "golden.npz").read_bytes())
    data[-1] ^= 1
    (folder / "golden.npz").write_bytes(data)
    assert run(["verify", "--state", str(state)]) == 70
    assert "sha256" in capsys.readouterr().err


def test_a_signature_is_checked_by_key_or_file(
    state: Path, folder: Path, key: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hex digits or PEM; another key, or none, is refused."""
    own, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    digits = own.public_key().public_bytes_raw().hex()
    call = ["verify", "--state", str(state), "--signed-by"]
    assert run([*call, digits]) == 70
    assert "not signed" in capsys.readouterr().err
    _reseal(folder, key, lambda _: None, sign_with=own)
    pem = tmp_path / "public.pem"
    pem.write_bytes(own.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for given in (digits, digits.upper(), str(pem)):
        assert run([*call, given]) == 0
        assert "signature verified" in capsys.readouterr().out
    assert run([*call, other.public_key().public_bytes_raw().hex()]) == 70
    assert "not signed by" in capsys.readouterr().err
    assert run(["verify", "--state", str(state)]) == 0
    assert "signed (not checked" in capsys.readouterr().out


def test_what_is_no_public_key_is_refused(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, a file of something else, a key of another kind."""
    foreign = tmp_path / "ec.pem"
    public = generate_private_key(SECP256R1()).public_key()
    foreign.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "text").write_text("no key")
    for given, message in (
        (str(tmp_path / "none.pem"), "cannot read"),
        ("ab" * 31, "cannot read"),
        (str(tmp_path / "text"), "not a public key"),
        (str(foreign), "not an Ed25519 key"),
    ):
        assert run(["verify", "--state", str(state), "--signed-by", given]) == 64
        assert message in capsys.readouterr().err
