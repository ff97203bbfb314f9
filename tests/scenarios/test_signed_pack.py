"""A door that trusts one maker: only packs that this maker signed are loaded, whoever holds the state's own key.

The attacker here can do whatever the owner of the state directory can: the pack is sealed anew under the state key, so
that only the signature stands between the door and another model, another threshold.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from device import cli
from device.keys import KeyFile, StateKeys
from device.vision.manifest import Manifest, OperatingPoint
from device.vision.pack import MAC_NAME, MANIFEST_NAME, SIGNATURE_NAME, load_pack, write_manifest
from export_tools import cli as export_cli


class Maker:
    """Who signs packs: a key in a PEM file, and a configuration that trusts it."""

    def __init__(self, folder: Path, name: str, clip: Path) -> None:
        key = Ed25519PrivateKey.generate()
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.key = key
        self.digits = key.public_key().public_bytes_raw().hex()
        self.config = folder / f"{name}.yaml"
        self.config.write_text(f"models: {{signing_key: {self.digits}}}\ncamera: {{source: {clip}, pace: fast}}\n")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, configurations and a second of an empty room."""
    folder = tmp_path_factory.mktemp("workshop")
    writer = cv2.VideoWriter(str(folder / "room.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for number in range(10):
        writer.write(np.full((240, 320, 3), 100 + number, np.uint8))
    writer.release()
    return folder


@pytest.fixture(scope="module")
def maker(workshop: Path) -> Maker:
    """Whom the door trusts."""
    return Maker(workshop, "maker", workshop / "room.avi")


@pytest.fixture(scope="module")
def stranger(workshop: Path) -> Maker:
    """Somebody else with a key."""
    return Maker(workshop, "stranger", workshop / "room.avi")


@pytest.fixture(scope="module")
def signed_state(workshop: Path, maker: Maker) -> Path:
    """A state directory whose pack was built with the maker's key; not to be written to."""
    state = workshop / "signed"
    assert (
        _export("build", "--pack", "door", "--state", state, "--target", "onnxruntime", "--sign-with", maker.pem) == 0
    )
    return state


@pytest.fixture
def state(signed_state: Path, tmp_path: Path) -> Path:
    """A copy to be tampered with."""
    copy = tmp_path / "state"
    shutil.copytree(signed_state, copy)
    copy.chmod(0o700)
    return copy


@pytest.fixture
def pack(state: Path) -> Path:
    """The pack in it."""
    return state / "packs" / "door"


@pytest.fixture
def mac_key(state: Path) -> bytes:
    """What the attacker holds: the key that seals the packs of this state."""
    return StateKeys.derive(KeyFile(state / "state.key").load()).pack_mac


@pytest.fixture
def door(state: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Maker], Any]:
    """The daemon and `check` under a maker's configuration: the daemon's exit code and words, and check's line."""

    def both(trusted: Maker) -> tuple[int, str, dict[str, str]]:
        capsys.readouterr()
        before = ["--state", str(state), "--config", str(trusted.config)]
        code = cli.run([*before, "run"])
        said = capsys.readouterr().err
        cli.run([*before, "check", "--json"])
        lines = json.loads(capsys.readouterr().out)["checks"]
        return code, said, next(line for line in lines if line["name"] == "pack")

    return both


@pytest.fixture(autouse=True)
def logging_ends_with_the_test() -> Iterator[None]:
    """What the daemon does to logging is undone, like its streams."""
    root, ours = logging.getLogger(), logging.getLogger("device")
    handlers, root_level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(root_level)
    ours.setLevel(our_level)


def _export(*arguments: str | Path) -> int:
    return export_cli.run([str(argument) for argument in arguments])


def _seal_anew(pack: Path, mac_key: bytes, manifest: Manifest, **sealed: Any) -> None:
    for name in (MANIFEST_NAME, MAC_NAME, SIGNATURE_NAME):
        (pack / name).unlink(missing_ok=True)
    write_manifest(pack, manifest, mac_key=mac_key, **sealed)


def _with_an_open_door(manifest: Manifest) -> Manifest:
    """Thresholds under which nearly everybody matches."""
    assert manifest.thresholds is not None
    point = OperatingPoint(fmr=1e-5, cosine=0.1, fmr_upper_95=1e-5)
    thresholds = manifest.thresholds.model_copy(update={"match": [point], "default_fmr": 1e-5})
    return Manifest.model_validate({**dict(manifest), "thresholds": thresholds})


def _refused(told: tuple[int, str, dict[str, str]], message: str) -> None:
    code, said, line = told
    assert code == 70
    assert message in said
    assert "hint: " in said
    assert "--sign-with KEY" in said
    assert "Traceback" not in said
    assert (line["outcome"], message in line["detail"]) == ("fail", True)


def test_a_pack_of_the_trusted_maker_is_loaded(door: Callable[[Maker], Any], maker: Maker) -> None:
    """The control: the daemon runs to the end of its recording."""
    code, said, line = door(maker)
    assert code == 0, said
    assert line["outcome"] == "pass"


def test_a_pack_of_another_maker_is_refused(door: Callable[[Maker], Any], stranger: Maker) -> None:
    """A valid signature of the wrong key."""
    _refused(door(stranger), "is not signed by the configured key")


def test_a_pack_without_a_signature_is_refused(door: Callable[[Maker], Any], maker: Maker, pack: Path) -> None:
    """Taken away, the seal untouched."""
    (pack / SIGNATURE_NAME).unlink()
    _refused(door(maker), "is not signed")


def test_a_threshold_changed_by_the_holder_of_the_state_key_is_refused(
    door: Callable[[Maker], Any], maker: Maker, pack: Path, mac_key: bytes
) -> None:
    """Sealed anew: without a signature, with the old one, with the attacker's own."""
    signature = (pack / SIGNATURE_NAME).read_bytes()
    manifest = _with_an_open_door(load_pack(pack, mac_key=mac_key).manifest)
    _seal_anew(pack, mac_key, manifest)
    _refused(door(maker), "is not signed")
    _seal_anew(pack, mac_key, manifest, signature=signature)
    _refused(door(maker), "is not signed by the configured key")
    _seal_anew(pack, mac_key, manifest, sign_with=Ed25519PrivateKey.generate())
    _refused(door(maker), "is not signed by the configured key")


def test_the_same_change_opens_a_door_that_trusts_its_state_key_alone(
    state: Path, pack: Path, mac_key: bytes, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control: it is the signature that stops the attack, nothing else."""
    _seal_anew(pack, mac_key, _with_an_open_door(load_pack(pack, mac_key=mac_key).manifest))
    config = workshop / "trusting.yaml"
    config.write_text(f"camera: {{source: {workshop / 'room.avi'}, pace: fast}}\n")
    assert cli.run(["--state", str(state), "--config", str(config), "run"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(
    door: Callable[[Maker], Any], maker: Maker, pack: Path, length: int
) -> None:
    """Cut, emptied, lengthened."""
    signature = (pack / SIGNATURE_NAME).read_bytes()
    (pack / SIGNATURE_NAME).write_bytes((signature + b"\0")[:length])
    _refused(door(maker), "is not signed by the configured key")


def test_verify_asks_for_the_same_signature(
    state: Path, maker: Maker, stranger: Maker, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the maker's side, by the digits that the configuration holds."""
    assert _export("verify", "--state", state, "--signed-by", maker.digits) == 0
    assert _export("verify", "--state", state, "--signed-by", stranger.digits) == 70
    (pack / SIGNATURE_NAME).unlink()
    assert _export("verify", "--state", state, "--signed-by", maker.digits) == 70
    assert "hint: " in capsys.readouterr().err


def test_a_pack_built_anew_without_the_key_is_refused_until_it_is_signed(
    door: Callable[[Maker], Any], maker: Maker, state: Path
) -> None:
    """The installer forgot it, is told, and repeats the command with it."""
    build = ("build", "--pack", "door", "--state", state, "--target", "onnxruntime", "--force")
    assert _export(*build) == 0
    _refused(door(maker), "is not signed")
    assert _export(*build, "--sign-with", maker.pem) == 0
    assert door(maker)[0] == 0
