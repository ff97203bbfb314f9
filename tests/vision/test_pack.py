"""Packs: only what was built and sealed here is loaded, to the byte."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.errors import PackError
from device.vision.manifest import FAMILIES, REQUIRED_ROLES, Manifest, Role
from device.vision.pack import load_pack, write_manifest

KEY = bytes(range(32))
GOLDEN = b"golden"
ENGINE = b"engine"
CONTENTS: dict[Role, bytes] = {role: role.encode() * (position + 3) for position, role in enumerate(REQUIRED_ROLES)}


def _manifest(contents: dict[Role, bytes]) -> dict[str, Any]:
    models = {
        role: {
            "file": f"{role}.onnx",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "model_id": f"{role}-1",
            "family": FAMILIES[role][0],
            "min_score": 0.5 if role == "detector" else None,
            "precision": "fp32",
            "preprocessing": {"colour": "rgb", "mean": 0.0, "divisor": 255.0, "geometry": "face_roi", "roi_scale": 1.5},
            "input": {"name": "input", "shape": [None, 3, 8, 8], "meaning": "picture"},
            "outputs": [{"name": "output", "shape": [None, 4], "meaning": "numbers"}],
            "source": {
                "origin": "p",
                "version": "1",
                "file": "p-1.zip",
                "file_sha256": "0" * 64,
                "member": "m",
                "member_sha256": "0" * 64,
                "licence": {"id": "CC0-1.0", "commercial_use": True},
            },
        }
        for role, data in contents.items()
    }
    points = [
        {"fmr": 1e-3, "cosine": 0.9, "fmr_upper_95": 1e-3},
        {"fmr": 1e-5, "cosine": 0.95, "fmr_upper_95": 2e-5},
    ]
    rule = {"model_id": "embedder-1", "mirrored": True, "template": "mean", "photos": 3, "votes": 3, "window": 5}
    return {
        "format": 2,
        "pack": "door",
        "target": "onnxruntime",
        "inputs_sha256": "0" * 64,
        "models": models,
        "golden": {"file": "golden.npz", "sha256": hashlib.sha256(GOLDEN).hexdigest(), "size_bytes": len(GOLDEN)},
        "thresholds": {
            "rule": rule,
            "origin": "calibrated",
            "measurement": "m",
            "comparisons": 300_000,
            "default_fmr": 1e-5,
            "match": points,
        },
        "built_with": {"onnx": "1"},
    }


def _engine(model: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An engine built from this model."""
    return {
        "file": model["file"].replace(".onnx", ".engine"), "sha256": hashlib.sha256(ENGINE).hexdigest(),
        "size_bytes": len(ENGINE), "tensorrt": "10.3.0", "gpu": "Orin", "compute_capability": "8.7",
        "model_sha256": model["sha256"], **changes,
    }  # fmt: skip


def _for_tensorrt(manifest: dict[str, Any]) -> None:
    manifest["target"] = "tensorrt"
    for model in manifest["models"].values():
        model["engine"] = _engine(model)


def _fill(directory: Path) -> Path:
    directory.mkdir(parents=True)
    for role, data in CONTENTS.items():
        (directory / f"{role}.onnx").write_bytes(data)
    (directory / "golden.npz").write_bytes(GOLDEN)
    write_manifest(directory, Manifest.model_validate(_manifest(CONTENTS)), mac_key=KEY)
    return directory


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A small sound pack."""
    return _fill(tmp_path / "packs" / "door")


def _reason(action: Callable[[], object]) -> str:
    with pytest.raises(PackError) as refusal:
        action()
    assert refusal.value.hint
    return refusal.value.reason


def test_a_sound_pack_gives_exactly_the_bytes_that_were_sealed(pack: Path) -> None:
    """Every role, with its model id and threshold."""
    loaded = load_pack(pack, mac_key=KEY)
    for role in REQUIRED_ROLES:
        assert loaded.read(role) == CONTENTS[role]
        assert loaded.model(role).model_id == f"{role}-1"
    assert loaded.thresholds.match_cosine == 0.95


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.sampled_from(REQUIRED_ROLES), st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_a_single_flipped_bit_of_a_model_is_refused(
    tmp_path_factory: pytest.TempPathFactory, role: Role, position: int, bit: int
) -> None:
    """Wherever it is."""
    directory = _fill(tmp_path_factory.mktemp("packs") / "door")
    data = bytearray(CONTENTS[role])
    data[position % len(data)] ^= 1 << bit
    (directory / f"{role}.onnx").write_bytes(data)
    loaded = load_pack(directory, mac_key=KEY)
    assert _reason(lambda: loaded.read(role)) == "altered"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_a_single_flipped_bit_of_the_manifest_is_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    """Before it is parsed: the reason is never a matter of syntax."""
    directory = _fill(tmp_path_factory.mktemp("packs") / "door")
    data = bytearray((directory / "manifest.json").read_bytes())
    data[position % len(data)] ^= 1 << bit
    (directory / "manifest.json").write_bytes(data)
    assert _reason(lambda: load_pack(directory, mac_key=KEY)) == "manifest_altered"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_a_single_flipped_bit_of_the_seal_is_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    """Header, key identifier or tag."""
    directory = _fill(tmp_path_factory.mktemp("packs") / "door")
    data = bytearray((directory / "manifest.mac").read_bytes())
    data[position % len(data)] ^= 1 << bit
    (directory / "manifest.mac").write_bytes(data)
    reason = _reason(lambda: load_pack(directory, mac_key=KEY))
    assert reason in {"mac_malformed", "wrong_key", "manifest_altered"}


def test_two_models_that_changed_places_are_called_swapped(pack: Path) -> None:
    """A larger one in a smaller one's place and the other way round."""
    first, last = pack / f"{REQUIRED_ROLES[0]}.onnx", pack / f"{REQUIRED_ROLES[-1]}.onnx"
    first.write_bytes(CONTENTS[REQUIRED_ROLES[-1]])
    last.write_bytes(CONTENTS[REQUIRED_ROLES[0]])
    loaded = load_pack(pack, mac_key=KEY)
    assert _reason(lambda: loaded.read(REQUIRED_ROLES[0])) == "swapped"
    assert _reason(lambda: loaded.read(REQUIRED_ROLES[-1])) == "swapped"


@pytest.mark.parametrize("data", [b"", CONTENTS["iris"][:-1], CONTENTS["iris"] + b"x"])
def test_a_model_of_another_size_is_refused(pack: Path, data: bytes) -> None:
    """Empty, shorter, longer."""
    (pack / "iris.onnx").write_bytes(data)
    loaded = load_pack(pack, mac_key=KEY)
    assert _reason(lambda: loaded.read("iris")) == "size"


@pytest.mark.parametrize("name", ["manifest.json", "manifest.mac", "iris.onnx"])
def test_a_missing_file_is_called_missing(pack: Path, name: str) -> None:
    """Whichever it is."""
    (pack / name).unlink()
    assert _reason(lambda: load_pack(pack, mac_key=KEY)) == "missing"


def test_a_missing_pack_is_called_missing(tmp_path: Path) -> None:
    """With the command that builds it."""
    assert _reason(lambda: load_pack(tmp_path / "door", mac_key=KEY)) == "missing"


def test_a_model_that_vanishes_after_the_pack_was_opened_is_called_missing(pack: Path) -> None:
    """Files are looked at when they are read."""
    loaded = load_pack(pack, mac_key=KEY)
    (pack / "iris.onnx").unlink()
    assert _reason(lambda: loaded.read("iris")) == "missing"


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "iris.onnx.bak", "extra.onnx"])
def test_a_file_the_manifest_does_not_name_is_refused(pack: Path, name: str) -> None:
    """Nobody leaves things in a sealed folder."""
    (pack / name).write_bytes(b"")
    assert _reason(lambda: load_pack(pack, mac_key=KEY)) == "extra_file"


def test_a_pack_of_another_state_directory_is_refused_as_such(pack: Path) -> None:
    """A wrong key is told from an altered manifest."""
    assert _reason(lambda: load_pack(pack, mac_key=bytes(32))) == "wrong_key"


@pytest.mark.parametrize("key", [b"", b"short", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(pack: Path, key: bytes) -> None:
    """An empty key would make a seal that anybody can make."""
    assert _reason(lambda: load_pack(pack, mac_key=key)) == "wrong_key"


@pytest.mark.parametrize("length", [0, 1, 20, 40, 100])
def test_a_truncated_seal_is_refused(pack: Path, length: int) -> None:
    """However much of it is left."""
    seal = (pack / "manifest.mac").read_bytes()
    (pack / "manifest.mac").write_bytes(seal[:length])
    assert _reason(lambda: load_pack(pack, mac_key=KEY)) == "mac_malformed"


def test_a_symbolic_link_is_refused_even_to_the_right_bytes(pack: Path, tmp_path: Path) -> None:
    """A model, the manifest, and the pack itself."""
    elsewhere = tmp_path / "elsewhere"
    (pack / "iris.onnx").rename(elsewhere)
    (pack / "iris.onnx").symlink_to(elsewhere)
    loaded = load_pack(pack, mac_key=KEY)
    assert _reason(lambda: loaded.read("iris")) == "symlink"
    link = tmp_path / "link"
    link.symlink_to(pack)
    assert _reason(lambda: load_pack(link, mac_key=KEY)) == "symlink"
    (pack / "manifest.json").rename(tmp_path / "manifest.json")
    (pack / "manifest.json").symlink_to(tmp_path / "manifest.json")
    assert _reason(lambda: load_pack(pack, mac_key=KEY)) == "symlink"


def test_a_pipe_in_a_models_place_does_not_hold_up_the_start(pack: Path) -> None:
    """It is refused at once."""
    (pack / "iris.onnx").unlink()
    os.mkfifo(pack / "iris.onnx")
    loaded = load_pack(pack, mac_key=KEY)
    assert _reason(lambda: loaded.read("iris")) == "unreadable"


def _reseal(pack: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write an altered manifest under the right key, as another version of the builder might."""
    manifest = _manifest(CONTENTS)
    change(manifest)
    (pack / "manifest.json").unlink()
    (pack / "manifest.mac").unlink()

    class Dumped:
        def model_dump(self, **_: object) -> dict[str, Any]:
            return manifest

    write_manifest(pack, Dumped(), mac_key=KEY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format=1),
        lambda m: m.update(unknown=1),
        lambda m: m.pop("thresholds"),
        lambda m: m["models"].pop("iris"),
        lambda m: m["models"].update(doorbell=m["models"]["iris"]),
        lambda m: m["models"]["iris"].update(file="../iris.onnx"),
        lambda m: m["models"]["iris"].update(file="/iris.onnx"),
        lambda m: m["models"]["iris"].update(file="detector.onnx"),
        lambda m: m["models"]["iris"].update(file="manifest.json"),
        lambda m: m["models"]["iris"].update(size_bytes=-1),
        lambda m: m["models"]["iris"].update(size_bytes="10"),
        lambda m: m["models"]["iris"].update(size_bytes=1 << 40),
        lambda m: m["models"]["iris"].update(sha256="0"),
        lambda m: m["models"]["iris"]["preprocessing"].update(divisor=0),
        lambda m: m["models"]["iris"].update(family="yunet"),
        lambda m: m["models"]["iris"].update(min_score=0.5),
        lambda m: m["models"]["detector"].update(min_score=None),
        lambda m: m["models"]["detector"].update(min_score=float("nan")),
        lambda m: m["models"]["iris"].update(precision="int4"),
        lambda m: m["models"].update(pad_close={**m["models"]["iris"], "family": "minifasnet", "file": "p.onnx"}),
        lambda m: m.update(target="tensorrt"),
        lambda m: m.update(target="cuda"),
        lambda m: m["models"]["iris"].update(engine=_engine(m["models"]["iris"])),
        lambda m: m["golden"].update(file="iris.onnx"),
        lambda m: m["thresholds"]["rule"].update(model_id="another-embedder"),
        lambda m: m["thresholds"]["rule"].update(mirrored=False),
        lambda m: m["thresholds"]["rule"].update(votes=0),
        lambda m: m["thresholds"]["match"][0].update(fmr_upper_95=float("inf")),
        lambda m: m["thresholds"].update(match=[]),
        lambda m: m["thresholds"].update(default_fmr=0.5),
        lambda m: m["thresholds"]["match"].reverse(),
        lambda m: m["thresholds"]["match"][0].update(cosine=float("nan")),
        lambda m: m["thresholds"]["match"][0].update(cosine=0.99),
    ],
)
def test_a_sealed_manifest_that_breaks_the_schema_is_refused(
    pack: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """The seal proves who wrote it, not that this version understands it."""
    _reseal(pack, change)
    assert _reason(lambda: load_pack(pack, mac_key=KEY)) == "schema"


def test_a_sealed_file_that_is_no_json_is_refused(pack: Path) -> None:
    """Even under the right key."""
    _reseal(pack, lambda m: m.clear())
    assert _reason(lambda: load_pack(pack, mac_key=KEY)) == "schema"


def test_a_manifest_is_never_overwritten(pack: Path) -> None:
    """A new pack is a new folder."""
    manifest = Manifest.model_validate(_manifest(CONTENTS))
    assert _reason(lambda: write_manifest(pack, manifest, mac_key=KEY)) == "unwritable"


def test_an_endless_manifest_is_not_read_to_its_end(pack: Path) -> None:
    """Its size is limited before it is authenticated."""
    with (pack / "manifest.json").open("r+b") as file:
        file.truncate(1 << 34)
    assert _reason(lambda: load_pack(pack, mac_key=KEY)) == "manifest_altered"


def test_the_key_is_not_in_the_seal(pack: Path) -> None:
    """Neither in hex nor raw."""
    seal = (pack / "manifest.mac").read_bytes()
    assert KEY not in seal
    assert KEY.hex().encode()[:16] not in seal
    assert json.loads((pack / "manifest.json").read_bytes())["format"] == 2


def test_the_hint_names_the_pack_and_the_state_that_it_was_found_in(tmp_path: Path) -> None:
    """It can be typed as it stands, wherever the state directory is."""
    directory = _fill(tmp_path / "a state" / "packs" / "door")
    command = f"doorward-export build --pack door --state '{tmp_path}/a state'"
    with pytest.raises(PackError) as foreign:
        load_pack(directory, mac_key=bytes(32))
    assert foreign.value.hint.endswith(f": {command}")
    (directory / "manifest.mac").unlink()
    with pytest.raises(PackError) as missing:
        load_pack(directory, mac_key=KEY)
    assert missing.value.hint == f"build the pack again: {command} --force"


@pytest.fixture
def engines(pack: Path) -> Path:
    """The same pack with a TensorRT engine for every model."""
    for role in REQUIRED_ROLES:
        (pack / f"{role}.engine").write_bytes(ENGINE)
    _reseal(pack, _for_tensorrt)
    return pack


def test_an_engine_is_read_only_as_the_bytes_that_were_sealed(engines: Path) -> None:
    """To load an engine is to run what is in it."""
    loaded = load_pack(engines, mac_key=KEY)
    assert loaded.read_engine("iris") == ENGINE
    (engines / "iris.engine").write_bytes(b"Engine")
    assert _reason(lambda: loaded.read_engine("iris")) == "altered"


def test_a_pack_for_onnxruntime_has_no_engine_to_read(pack: Path) -> None:
    """No second choice."""
    assert _reason(lambda: load_pack(pack, mac_key=KEY).read_engine("iris")) == "no_engine"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["models"]["iris"].pop("engine"),
        lambda m: m["models"]["iris"].update(precision="int8-u8"),
        lambda m: m["models"]["iris"]["engine"].update(model_sha256="0" * 64),
        lambda m: m["models"]["iris"]["engine"].update(file="detector.engine"),
        lambda m: m["models"]["iris"]["engine"].update(compute_capability="fast"),
        lambda m: m.update(target="onnxruntime"),
    ],
)
def test_a_manifest_whose_engines_do_not_fit_is_refused(
    engines: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """Each model has its own, built from it, for one GPU."""

    def changed(manifest: dict[str, Any]) -> None:
        _for_tensorrt(manifest)
        change(manifest)

    _reseal(engines, changed)
    assert _reason(lambda: load_pack(engines, mac_key=KEY)) == "schema"


def test_a_pack_without_thresholds_loads_and_has_none_to_give(pack: Path) -> None:
    """An embedder that nobody calibrated opens no door."""
    _reseal(pack, lambda m: m.update(thresholds=None))
    loaded = load_pack(pack, mac_key=KEY)
    assert _reason(lambda: loaded.thresholds) == "uncalibrated"


SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def _sign(pack: Path, key: Ed25519PrivateKey) -> None:
    manifest = Manifest.model_validate_json((pack / "manifest.json").read_bytes())
    for name in ("manifest.json", "manifest.mac"):
        (pack / name).unlink()
    write_manifest(pack, manifest, mac_key=KEY, sign_with=key)


def test_a_pack_signed_by_the_configured_key_loads(pack: Path) -> None:
    """And without a configured key the seal is enough."""
    _sign(pack, SIGNER)
    assert load_pack(pack, mac_key=KEY, signed_by=SIGNER.public_key()).manifest == load_pack(pack, mac_key=KEY).manifest


def test_a_pack_that_is_not_signed_is_refused_where_a_key_is_configured(pack: Path) -> None:
    """The seal of this device does not replace the maker's signature."""
    assert _reason(lambda: load_pack(pack, mac_key=KEY, signed_by=SIGNER.public_key())) == "unsigned"


def test_a_pack_signed_by_another_key_is_refused(pack: Path) -> None:
    """Whoever made it."""
    _sign(pack, Ed25519PrivateKey.generate())
    assert _reason(lambda: load_pack(pack, mac_key=KEY, signed_by=SIGNER.public_key())) == "wrong_signature"


@pytest.mark.parametrize("damage", [b"", b"x" * 64, b"x" * 63, b"x" * 10_000])
def test_a_damaged_signature_is_refused(pack: Path, damage: bytes) -> None:
    """Whatever its length."""
    _sign(pack, SIGNER)
    (pack / "manifest.sig").write_bytes(damage)
    assert _reason(lambda: load_pack(pack, mac_key=KEY, signed_by=SIGNER.public_key())) == "wrong_signature"


def test_a_signature_belongs_to_one_manifest(pack: Path, tmp_path: Path) -> None:
    """Taken from an older pack, it does not vouch for this one, though the device sealed both."""
    _sign(pack, SIGNER)
    old = (pack / "manifest.sig").read_bytes()
    (pack / "manifest.sig").unlink()
    _reseal(pack, lambda m: m["thresholds"].update(default_fmr=1e-3))
    (pack / "manifest.sig").write_bytes(old)
    assert _reason(lambda: load_pack(pack, mac_key=KEY, signed_by=SIGNER.public_key())) == "wrong_signature"


def test_a_signature_behind_a_link_is_not_followed(pack: Path, tmp_path: Path) -> None:
    """Like every other file of a pack."""
    _sign(pack, SIGNER)
    (pack / "manifest.sig").rename(tmp_path / "elsewhere")
    (pack / "manifest.sig").symlink_to(tmp_path / "elsewhere")
    assert _reason(lambda: load_pack(pack, mac_key=KEY, signed_by=SIGNER.public_key())) == "symlink"
