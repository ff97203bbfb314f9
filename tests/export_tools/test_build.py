"""Building a pack: from a description and small archives to a sealed folder, and what stops it."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console

from device.errors import DownloadError, PackError
from device.vision.manifest import REQUIRED_ROLES, OperatingPoint
from device.vision.pack import MAC_NAME, MANIFEST_NAME, load_pack, write_manifest
from export_tools import build, cards, cli, recipe
from export_tools.build import build_pack, pack_directory, replace_thresholds, verify_pack
from export_tools.cards import load_pack_card
from export_tools.commands.progress import TerminalReporter
from export_tools.recipe import BuildOptions
from export_tools.sources.fetch import Fetcher
from tests.export_tools import dat_writer
from tests.export_tools.tflite_writer import ModelWriter

KEY = bytes(range(32))


def _tflite() -> bytes:
    model = ModelWriter()
    source = model.value("in", (1, 4, 4, 3))
    slope = model.constant(np.array([0.25, 0.5, 1.5], np.float32).reshape(1, 1, 3))
    model.operator("PRELU", [source, slope], model.value("out", (1, 4, 4, 3)))
    return model.data()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A description of the pack `small` and the one archive it needs, in the cache; no network."""
    members = {"small.tflite": _tflite(), "small.dat": dat_writer.small_network()[0].data()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "small-1.zip").write_bytes(buffer.getvalue())
    card = yaml.safe_load((cards.PACKS_DIRECTORY / "door.yaml").read_bytes())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    card["pack"] = "small"
    card["sources"] = {
        "small": {
            "project": "small", "version": "1", "file": "small-1.zip", "kind": "zip", "sha256": digest,
            "size_bytes": len(buffer.getvalue()),
        }
    }  # fmt: skip
    for role, model in card["models"].items():
        member = "small.dat" if role == "embedder" else "small.tflite"
        data = members[member]
        model |= {
            "source": "small", "member": member, "member_sha256": hashlib.sha256(data).hexdigest(),
            "member_size_bytes": len(data),
        }  # fmt: skip
        model["input"]["shape"] = [None, 3, 15, 15] if role == "embedder" else [1, 3, 4, 4]
        shape = [None, 5] if role == "embedder" else [1, 48]
        model["outputs"] = [{"name": "out", "source": "out", "shape": shape, "meaning": "numbers"}]
        if role == "embedder":
            model["outputs"][0]["name"] = "embedding"
    packs = tmp_path / "descriptions"
    packs.mkdir()
    (packs / "small.yaml").write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
    monkeypatch.setattr(cards, "PACKS_DIRECTORY", packs)
    return tmp_path


@pytest.fixture
def offline(workplace: Path, listener: Any) -> Fetcher:
    """A fetcher that has the archive and nothing else."""
    return Fetcher(cache=workplace / "cache", offline=True, reporter=listener)


def _build(workplace: Path, fetcher: Fetcher, **options: Any) -> Any:
    return build_pack("small", state=workplace / "state", mac_key=KEY, fetcher=fetcher, options=BuildOptions(**options))


def _change_card(workplace: Path, old: str, new: str) -> None:
    path = workplace / "descriptions" / "small.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_pack_is_built_sealed_and_nothing_is_left_beside_it(workplace: Path, offline: Fetcher) -> None:
    """The manifest says where everything came from."""
    result = _build(workplace, offline)
    assert result.built
    packs = workplace / "state" / "packs"
    assert sorted(path.name for path in packs.iterdir()) == [".lock", "small"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (packs.parent, packs, packs / "small")] == [0o700] * 3
    manifest = load_pack(packs / "small", mac_key=KEY).manifest
    assert manifest.models["embedder"].source.file == "small-1.zip"
    assert manifest.thresholds == load_pack_card("small")[0].thresholds
    assert {"numpy", "onnx", "onnxruntime", "tflite", "python", "converter"} == set(manifest.built_with)


def test_a_second_build_does_nothing_and_needs_no_archive(workplace: Path, offline: Fetcher) -> None:
    """The same inputs, a sound pack."""
    _build(workplace, offline)
    (workplace / "cache" / "small-1.zip").unlink()
    assert not _build(workplace, offline).built
    with pytest.raises(DownloadError):
        _build(workplace, offline, force=True)
    assert verify_pack(pack_directory(workplace / "state", "small"), mac_key=KEY)


def test_a_forced_build_gives_the_same_bytes(workplace: Path, offline: Fetcher) -> None:
    """Conversion is reproducible."""
    first = _build(workplace, offline).pack
    second = _build(workplace, offline, force=True)
    assert second.built
    assert all(first.model(role).sha256 == second.pack.model(role).sha256 for role in REQUIRED_ROLES)


def test_another_description_is_built_again(workplace: Path, offline: Fetcher, listener: Any) -> None:
    """Its hash is in the manifest."""
    _build(workplace, offline)
    _change_card(workplace, "0.9547", "0.9548")
    result = _build(workplace, offline)
    assert result.built
    assert result.pack.thresholds.match_cosine == 0.9548
    assert any("another description" in note for note in listener.notes)


def test_a_converter_that_changed_builds_again(
    workplace: Path, offline: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its revision is part of the inputs."""
    _build(workplace, offline)
    monkeypatch.setattr(recipe, "CONVERTER_REVISION", recipe.CONVERTER_REVISION + 1)
    assert _build(workplace, offline).built


@pytest.mark.parametrize("damage", ["altered", "missing", "extra", "foreign key", "file", "dangling link"])
def test_a_pack_that_does_not_verify_is_built_again_and_the_user_is_told(
    workplace: Path, offline: Fetcher, listener: Any, damage: str
) -> None:
    """Whatever is wrong with it."""
    pack = _build(workplace, offline).pack.directory
    key = KEY
    if damage == "altered":
        (pack / "iris.onnx").write_bytes(b"x")
    elif damage == "missing":
        (pack / "iris.onnx").unlink()
    elif damage == "extra":
        (pack / "more.onnx").write_bytes(b"x")
    elif damage == "foreign key":
        key = bytes(32)
    else:
        pack.rename(workplace / "elsewhere")
        if damage == "file":
            pack.write_bytes(b"x")
        else:
            pack.symlink_to(workplace / "nowhere")
    result = build_pack("small", state=workplace / "state", mac_key=key, fetcher=offline)
    assert result.built
    assert any("built again" in note for note in listener.notes)
    assert sorted(path.name for path in pack.parent.iterdir()) == [".lock", "small"]


def test_a_build_that_fails_leaves_the_old_pack_as_it_was(
    workplace: Path, offline: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is moved before everything is verified."""
    _build(workplace, offline)

    def broken(*_: object, **__: object) -> bytes:
        raise PackError("no", reason="unconvertible")

    monkeypatch.setattr(build, "convert", broken)
    with pytest.raises(PackError):
        _build(workplace, offline, force=True)
    packs = workplace / "state" / "packs"
    assert sorted(path.name for path in packs.iterdir()) == [".lock", "small"]
    assert verify_pack(packs / "small", mac_key=KEY)


def test_what_a_killed_build_left_is_cleared_away(workplace: Path, offline: Fetcher) -> None:
    """A workshop without a builder."""
    leftover = workplace / "state" / "packs" / ".small.abc123"
    leftover.mkdir(parents=True)
    (leftover / "iris.onnx").write_bytes(b"half")
    _build(workplace, offline)
    assert not leftover.exists()


def test_a_model_of_other_shapes_than_described_is_refused(workplace: Path, offline: Fetcher) -> None:
    """What the vision stages rely on is proven when the pack is built."""
    _change_card(workplace, "- 15\n      - 15", "- 16\n      - 16")
    with pytest.raises(PackError, match="promises") as refusal:
        _build(workplace, offline)
    assert refusal.value.reason == "card"
    assert not (workplace / "state" / "packs" / "small").exists()


def test_a_state_directory_that_cannot_be_written_is_named(workplace: Path, offline: Fetcher) -> None:
    """A file lies in its place."""
    (workplace / "state").write_bytes(b"")
    with pytest.raises(PackError, match="state") as refusal:
        _build(workplace, offline)
    assert refusal.value.reason == "unwritable"


def _run(workplace: Path, *arguments: str) -> int:
    return cli.run([*arguments, "--pack", "small"])


def test_the_command_builds_and_verifies_and_answers_in_json(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`build` makes the key, `verify` only uses it."""
    state, cache = ["--state", str(workplace / "state")], ["--cache", str(workplace / "cache")]
    assert _run(workplace, "build", *state, *cache, "--offline", "--json") == 0
    built = json.loads(capsys.readouterr().out)
    assert built["built"] is True
    assert set(built["models"]) == set(REQUIRED_ROLES)
    assert _run(workplace, "build", *state, *cache, "--offline") == 0
    assert "is up to date" in capsys.readouterr().out
    assert _run(workplace, "verify", *state, "--json") == 0
    assert json.loads(capsys.readouterr().out)["match_cosine"] == 0.9547
    assert _run(workplace, "verify", *state) == 0
    assert "complete and unaltered" in capsys.readouterr().out


def test_why_a_target_was_chosen_is_told_once_and_after_what_may_go_wrong(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before an error that has nothing to do with it, not where nothing was built, not to whoever chose."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    places = ["--state", str(workplace / "state"), "--cache", str(workplace / "cache"), "--offline"]
    assert _run(workplace, "build", *places, "--precision", "iris=int8-u8") == 70
    assert "target" not in capsys.readouterr().err
    why = "built for onnxruntime: no TensorRT here\n"
    for arguments, expected in (([], True), ([], False), (["--force", "--target", "onnxruntime"], False)):
        assert _run(workplace, "build", *places, *arguments) == 0
        told = capsys.readouterr()
        assert (why in told.out) is expected
        assert "target" not in told.err
    assert _run(workplace, "build", *places, "--json") == 0
    assert json.loads(capsys.readouterr().out)["target_reason"] == "no TensorRT here"


def test_the_command_fetches_from_a_mirror(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a cache of its own."""
    places = ["--mirror", str(workplace / "cache"), "--cache", str(workplace / "other"), "--json"]
    assert _run(workplace, "fetch", *places) == 0
    fetched = json.loads(capsys.readouterr().out)
    assert fetched["files"] == {"small-1.zip": str(workplace / "other" / "small-1.zip")}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["verify"], 74),
        (["build", "--target", "onnxruntime", "--offline", "--cache", "/nonexistent"], 68),
        (["build", "--colour", "red"], 64),
        (["conjure"], 64),
    ],
)
def test_the_command_ends_with_the_exit_code_of_its_error(
    workplace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, monkeypatch: Any
) -> None:
    """And one line each for what happened and what to do."""
    monkeypatch.setenv("DOORWARD_STATE", str(workplace / "state"))
    assert _run(workplace, *arguments) == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mirror", "{tmp}/absent"), "absent is no folder"),
        (("--mirror", "{tmp}/cache/small-1.zip"), "small-1.zip is no folder"),
        (("--target", "onnxruntime", "--workspace-mib", "0"), "--workspace-mib 0"),
        (("--workspace-mib", "-1"), "--workspace-mib -1"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_also_where_it_is_not_needed(
    workplace: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    """The cache has everything, and no engine is built: the mistake would be found another day."""
    given = [option.format(tmp=workplace) for option in options]
    words = ["--pack", "small", "--offline", "--cache", str(workplace / "cache"), "--state", str(workplace / "state")]
    assert cli.run(["build", *words, *given]) == 64
    assert said in capsys.readouterr().err
    assert not (workplace / "state").exists()


def test_an_altered_pack_fails_the_verification(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 70, and the file is named."""
    state = ["--state", str(workplace / "state")]
    assert _run(workplace, "build", *state, "--cache", str(workplace / "cache"), "--offline") == 0
    (workplace / "state" / "packs" / "small" / "iris.onnx").write_bytes(b"x")
    assert _run(workplace, "verify", *state) == 70
    assert "iris.onnx" in capsys.readouterr().err


def test_no_new_key_is_made_beside_an_old_database(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lost key is an error; a new one would hide it until the daemon starts."""
    (workplace / "state").mkdir()
    (workplace / "state" / "doorward.db").write_bytes(b"encrypted")
    assert _run(workplace, "build", "--state", str(workplace / "state"), "--offline") == 74
    assert "key" in capsys.readouterr().err
    assert not (workplace / "state" / "state.key").exists()


def test_progress_is_a_bar_on_a_terminal_and_a_line_elsewhere() -> None:
    """Two files in a row, both shown."""
    for terminal, expected in ((True, "━"), (False, "fetching a.zip (1.0 MB)")):
        screen = io.StringIO()
        reporter = TerminalReporter(Console(file=screen, force_terminal=terminal, width=100))
        for name in ("a.zip", "b.zip"):
            reporter.begin(name, total=1_000_000, done=0)
            reporter.at(1_000_000)
            reporter.end()
        assert expected in screen.getvalue()
        assert "a.zip" in screen.getvalue()
        assert "b.zip" in screen.getvalue()


def test_an_archives_name_leaves_room_for_its_bar() -> None:
    """On the 80 columns of a usual terminal, next to size and time."""
    screen = io.StringIO()
    reporter = TerminalReporter(Console(file=screen, force_terminal=True, width=80))
    name = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    reporter.begin(name, total=1_000_000, done=0)
    reporter.at(1_000_000)
    reporter.end()
    assert "━" * 20 in screen.getvalue()
    assert "mediapipe " in screen.getvalue()


def test_a_pack_is_signed_although_nothing_else_changed(workplace: Path, offline: Fetcher) -> None:
    """`--sign-with` on an unsigned pack, and on one that somebody else signed; a third time there is nothing to do."""
    _build(workplace, offline)
    for key in (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2)):
        assert _build(workplace, offline, sign_with=key).built
        pack = pack_directory(workplace / "state", "small")
        assert load_pack(pack, mac_key=KEY, signed_by=key.public_key())
        assert not _build(workplace, offline, sign_with=key).built


def test_the_command_tells_the_key_that_a_door_has_to_name(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """64 hex digits for models.signing_key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (workplace / "key.pem").write_bytes(pem)
    places = ["--state", str(workplace / "state"), "--cache", str(workplace / "cache"), "--offline"]
    assert _run(workplace, "build", *places, "--sign-with", str(workplace / "key.pem")) == 0
    assert f"models.signing_key: {key.public_key().public_bytes_raw().hex()}" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_signing_key_that_is_none_is_refused_before_anything_is_built(
    workplace: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    """With the command that makes one."""
    (workplace / "key.pem").write_bytes(content)
    assert (
        _run(workplace, "build", "--state", str(workplace / "state"), "--sign-with", str(workplace / "key.pem")) == 64
    )
    assert "openssl genpkey" in capsys.readouterr().err
    assert not (workplace / "state").exists()


def test_building_needs_none_of_the_tools_that_measure() -> None:
    """A device installs neither scikit-learn nor matplotlib."""
    script = "import sys, export_tools.cli; print([n for n in ('sklearn', 'scipy', 'matplotlib') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- A door's own calibration


def _calibrate(workplace: Path, fetcher: Fetcher, *, cosine: float = 0.985) -> None:
    """As `calibrate` does, for the embedder that is there."""
    pack = verify_pack(pack_directory(workplace / "state", "small"), mac_key=KEY)
    thresholds = pack.thresholds.model_copy(
        update={
            "origin": "calibrated",
            "rule": pack.thresholds.rule.model_copy(update={"model_id": pack.model("embedder").model_id}),
            "default_fmr": 1e-6,
            "match": [OperatingPoint(fmr=1e-6, cosine=cosine, fmr_upper_95=3e-6)],
        }
    )
    replace_thresholds(pack, thresholds, mac_key=KEY, reporter=fetcher.reporter)


@pytest.mark.parametrize("damage", ["a byte", "missing", "extra", "link"])
def test_a_damaged_file_does_not_cost_the_door_its_calibration(
    workplace: Path, offline: Fetcher, listener: Any, damage: str
) -> None:
    """The manifest is authentic; that somebody without any key spoilt a file must not loosen the door."""
    pack = _build(workplace, offline).pack.directory
    _calibrate(workplace, offline)
    file = pack / "iris.onnx"
    if damage == "a byte":
        file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    elif damage == "missing":
        file.unlink()
    elif damage == "extra":
        (pack / "more.onnx").write_bytes(b"x")
    else:
        file.unlink()
        file.symlink_to("/dev/zero")
    result = _build(workplace, offline)
    assert result.built
    assert (result.pack.thresholds.origin, result.pack.thresholds.match_cosine) == ("calibrated", 0.985)
    assert any("are kept" in note for note in listener.notes)


@pytest.mark.parametrize("damage", ["manifest", "seal", "another pack"])
def test_a_calibration_that_nothing_vouches_for_any_more_is_said_to_be_lost(
    workplace: Path, offline: Fetcher, listener: Any, damage: str
) -> None:
    """Nobody can tell what was in it."""
    pack = _build(workplace, offline).pack.directory
    _calibrate(workplace, offline)
    if damage == "manifest":
        (pack / MANIFEST_NAME).write_bytes((pack / MANIFEST_NAME).read_bytes() + b" ")
    elif damage == "seal":
        (pack / MAC_NAME).unlink()
    else:
        manifest = load_pack(pack, mac_key=KEY).manifest.model_copy(update={"pack": "other"})
        for name in (MANIFEST_NAME, MAC_NAME):
            (pack / name).unlink()
        write_manifest(pack, manifest, mac_key=KEY)
    assert _build(workplace, offline).pack.thresholds.origin == "published"
    assert any("calibration, if this door had one, is lost" in note for note in listener.notes)


@pytest.mark.parametrize(
    "change",
    [
        ("divisor: 1", "divisor: 2"),
        ("name: embedding", "name: embedded"),
        ("meaning: numbers", "meaning: many numbers"),
    ],
)
def test_a_calibration_holds_for_one_network_fed_in_one_way(
    workplace: Path, offline: Fetcher, change: tuple[str, str]
) -> None:
    """The name of the model stays the same: file, feeding and output are compared as well."""
    _build(workplace, offline)
    _calibrate(workplace, offline)
    path = workplace / "descriptions" / "small.yaml"
    text = path.read_text(encoding="utf-8")
    place = text.index("  embedder:")
    assert change[0] in text[place:]
    path.write_text(text[:place] + text[place:].replace(*change, 1), encoding="utf-8")
    if "many" in change[1]:  # the control: nothing that matters
        assert _build(workplace, offline).pack.thresholds.match_cosine == 0.985
        return
    with pytest.raises(PackError, match="another network") as caught:
        _build(workplace, offline)
    assert caught.value.reason == "calibration"
    assert "--drop-calibration" in caught.value.hint


def test_a_calibration_does_not_hold_for_another_file_under_the_same_name(workplace: Path, offline: Fetcher) -> None:
    """Retrained, say."""
    _build(workplace, offline)
    _calibrate(workplace, offline)
    old, new = (dat_writer.small_network(seed=seed)[0].data() for seed in (0, 1))
    members = {"small.tflite": _tflite(), "small.dat": new}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    whole = (workplace / "cache" / "small-1.zip").read_bytes()
    (workplace / "cache" / "small-1.zip").write_bytes(buffer.getvalue())
    for before, after in ((whole, buffer.getvalue()), (old, new)):
        _change_card(workplace, f"size_bytes: {len(before)}", f"size_bytes: {len(after)}")
        _change_card(workplace, hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest())
    with pytest.raises(PackError, match="another network") as caught:
        _build(workplace, offline)
    assert caught.value.reason == "calibration"
    assert _build(workplace, offline, drop_calibration=True).pack.thresholds.origin == "published"
