"""What a maker's routine commands put the maker's signature under: nothing that only the state's own key vouches for.

The attacker holds the key of the state directory, as in ``test_signed_pack.py``, and waits for the maker to calibrate
or to build again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from device.keys import KeyFile, StateKeys
from device.vision.manifest import Manifest, OperatingPoint, Thresholds
from device.vision.pack import MAC_NAME, MANIFEST_NAME, SIGNATURE_NAME, Pack, load_pack, write_manifest
from export_tools import cli
from export_tools.build import verify_pack
from export_tools.commands import calibrate as command
from export_tools.evaluate import worker

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
EVIL = "another model"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The maker's key."""
    path = tmp_path_factory.mktemp("maker") / "maker.pem"
    path.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture
def state(tmp_path: Path, door_state: Path) -> Path:
    """A state directory whose pack the maker signed."""
    copy = tmp_path / "state"
    shutil.copytree(door_state / "packs" / "door", copy / "packs" / "door")
    copy.chmod(0o700)
    shutil.copy(door_state / "state.key", copy)
    pack = load_pack(copy / "packs" / "door", mac_key=_mac_key(copy))
    _seal_anew(copy, pack.manifest, sign_with=KEY)
    return copy


@pytest.fixture
def calibrate(state: Path, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The maker's command; a picture that is looked at is an error."""
    images = tmp_path / "strangers"
    (images / "one").mkdir(parents=True)
    (images / "one" / "1.jpg").write_bytes(b"a picture")

    def measured(*_: object, **__: object) -> None:
        pytest.fail("a model was loaded")

    monkeypatch.setattr(worker, "load_vision", measured)
    return lambda *words: _run("calibrate", "--state", state, "--images", images, "--target-fmr", "0.1",
                               "--sign-with", pem, *words)  # fmt: skip


@pytest.fixture
def build(state: Path, pem: Path) -> Callable[..., int]:
    """The maker builds again, with the key, from what is cached."""
    return lambda *words: _run("build", "--state", state, "--target", "onnxruntime", "--offline", "--force",
                               "--sign-with", pem, *words)  # fmt: skip


def _run(*words: str | Path) -> int:
    return cli.run([str(word) for word in words])


def _mac_key(state: Path) -> bytes:
    return StateKeys.derive(KeyFile(state / "state.key").load()).pack_mac


def _folder(state: Path) -> Path:
    return state / "packs" / "door"


def _signed(state: Path) -> Pack:
    """What a door loads that trusts the maker."""
    return load_pack(_folder(state), mac_key=_mac_key(state), signed_by=KEY.public_key())


def _seal_anew(state: Path, manifest: Manifest, **sealed: Any) -> None:
    for name in (MANIFEST_NAME, MAC_NAME, SIGNATURE_NAME):
        (_folder(state) / name).unlink(missing_ok=True)
    write_manifest(_folder(state), manifest, mac_key=_mac_key(state), **sealed)


def _swap_embedder(state: Path, **sealed: Any) -> None:
    """Another model in the embedder's place, vouched for by the state's key."""
    folder = _folder(state)
    manifest = load_pack(folder, mac_key=_mac_key(state)).manifest
    entry = manifest.models["embedder"]
    model = onnx.load(folder / entry.file)
    model.doc_string = EVIL
    data = model.SerializeToString()
    (folder / entry.file).write_bytes(data)
    changed = entry.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)})
    tree = {**dict(manifest), "models": {**manifest.models, "embedder": changed}}
    _seal_anew(state, Manifest.model_validate(tree), **sealed)


def _calibrated(manifest: Manifest, *, cosine: float) -> Manifest:
    """As if a calibration of this door had given this threshold."""
    assert manifest.thresholds is not None
    rule = manifest.thresholds.rule.model_copy(update={"model_id": manifest.models["embedder"].model_id})
    thresholds = Thresholds(
        rule=rule,
        origin="calibrated",
        measurement="a test",
        comparisons=1_000_000,
        default_fmr=1e-5,
        match=[OperatingPoint(fmr=1e-5, cosine=cosine, fmr_upper_95=2e-5)],
    )
    return Manifest.model_validate({**dict(manifest), "thresholds": thresholds})


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_calibrating_never_signs_a_pack_that_was_not_signed(
    state: Path, calibrate: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """A model was exchanged and the signature taken away: nothing in the pack is loaded, nothing is written."""
    _swap_embedder(state)
    before = (_folder(state) / MANIFEST_NAME).read_bytes()
    assert calibrate("--accept-unproven", *words) == 70
    said = capsys.readouterr().err
    assert "is not signed" in said
    assert "doorward-export build" in said
    assert "--sign-with KEY --force" in said
    assert (_folder(state) / MANIFEST_NAME).read_bytes() == before
    assert not (_folder(state) / SIGNATURE_NAME).exists()


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_what_was_read_is_what_is_checked(
    state: Path, calibrate: Callable[..., int], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], tmp_path: Path
) -> None:
    """The attacker's pack lies there when it is first read, the maker's from then on: that is not what is checked."""
    good = tmp_path / "good"
    shutil.copytree(_folder(state), good)
    _swap_embedder(state, signature=(good / SIGNATURE_NAME).read_bytes())
    first = verify_pack

    def then_exchanged(*arguments: Any, **options: Any) -> Any:
        try:
            return first(*arguments, **options)
        finally:
            shutil.rmtree(_folder(state))
            shutil.copytree(good, _folder(state))

    monkeypatch.setattr(command, "verify_pack", then_exchanged)
    assert calibrate("--accept-unproven", *words) == 70
    assert EVIL.encode() not in _signed(state).read("embedder")


def test_building_never_signs_a_calibration_that_was_not_signed(
    state: Path, build: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Loose thresholds under the state's key alone: without a signature, with the old one, with somebody else's."""
    forged = _calibrated(_signed(state).manifest, cosine=0.1)
    old = (_folder(state) / SIGNATURE_NAME).read_bytes()
    for sealed in ({}, {"signature": old}, {"sign_with": Ed25519PrivateKey.generate()}):
        _seal_anew(state, forged, **sealed)
        assert build() == 70
        said = capsys.readouterr().err
        assert "not signed by this key" in said
        assert "--drop-calibration" in said
        assert "calibrate --sign-with KEY" in said
    assert build("--drop-calibration") == 0
    thresholds = _signed(state).thresholds
    assert (thresholds.origin, thresholds.match_cosine) == ("published", 0.9547)


def test_building_keeps_a_calibration_that_the_maker_signed(state: Path, build: Callable[..., int]) -> None:
    """Of a whole pack, and of one in which a model was damaged: what counts is the manifest."""
    _seal_anew(state, _calibrated(_signed(state).manifest, cosine=0.985), sign_with=KEY)
    assert build() == 0
    assert _signed(state).thresholds.match_cosine == 0.985
    (_folder(state) / "iris.onnx").write_bytes(b"x")
    assert build() == 0
    assert _signed(state).thresholds.match_cosine == 0.985
