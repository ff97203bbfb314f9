"""Bad input, as an acceptance list: each gives a clear error with a hint, changes nothing, and never opens the door.

Through the real command line, where it can be with a daemon running. The rooms' own tests prove each line in depth.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from device.app.requests import SearchRequest, StatusRequest, pack_vector
from device.audit.records import CameraChanged
from device.camera.watch import CameraState
from device.cli import run
from device.clock import SystemClock
from device.commands.session import DaemonSession
from device.config import Config, parse_config
from device.door.controller import DoorState
from device.errors import ControlError, DoorwardError, FullError, ModelError
from device.runtime import Daemon
from device.store.files import BALLAST_NAME
from device.store.lock import LOCK_NAME
from device.types import Vector
from device.wiring.daemon import open_daemon
from device.wiring.models import adopt_pack
from device.wiring.state import open_state
from tests.scenarios.conftest import Silence

_LIMIT_S = 20.0
#: What may differ after a command that changed nothing: the owner's process number, and space that is held back.
_VOLATILE = {LOCK_NAME, BALLAST_NAME, "control.sock", "doorward.db-shm", "doorward.db-wal"}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused(self, code: int, *words: str) -> None:
        """An error of this class that says these words and what to do, and nothing else."""
        assert self.code == code, self.err
        assert self.err.startswith("error: ")
        assert "\nhint: " in self.err
        assert "Traceback" not in self.err
        assert "mistake in the program" not in self.err
        assert not self.out
        for word in words:
            assert word in self.err


@dataclass(frozen=True)
class Door:
    """A state directory spoken to through the command line, and the daemon that runs on it, if one does."""

    state: Path
    capsys: pytest.CaptureFixture[str]
    daemon: Daemon | None = None

    def call(self, *words: str | Path, config: Path | None = None) -> Done:
        """Run a command."""
        self.capsys.readouterr()
        options = ["--state", str(self.state), *(() if config is None else ("--config", str(config)))]
        code = run([*options, *map(str, words)])
        told = self.capsys.readouterr()
        return Done(code, told.out, told.err)

    def people(self) -> Any:
        """Who is enrolled."""
        return json.loads(self.call("people", "list", "--json").out)["people"]

    def audit_head(self) -> Any:
        """The end of the chain."""
        return json.loads(self.call("status", "--json").out)["audit"]

    def files(self) -> dict[str, str]:
        """Every file's hash."""
        return {
            str(path.relative_to(self.state)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.state.rglob("*"))
            if path.is_file() and path.name not in _VOLATILE
        }


# ---- Photographs, while the door runs


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, door_state: Path, demo_photos: dict[str, bytes]
) -> Iterator[tuple[Path, Daemon]]:
    """A daemon before an empty hall, and one person enrolled: one for the whole module."""
    root = tmp_path_factory.mktemp("running")
    hall = root / "hall"
    hall.mkdir()
    for number in range(2):
        Pillow.new("RGB", (320, 240), (90 + number, 120, 100)).save(hall / f"{number:04}.png")
    for number in range(2, 1000):
        os.link(hall / f"{number % 2:04}.png", hall / f"{number:04}.png")
    state = root / "state"
    adopt_pack(door_state, state, Config())
    config = parse_config(f"camera: {{source: {hall}, fps: 3}}".encode(), origin="test")
    ready = threading.Event()
    with open_daemon(state, config, signals=Silence(), on_ready=ready.set) as daemon:
        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            assert ready.wait(_LIMIT_S)
            (root / "obama.jpg").write_bytes(demo_photos["obama.jpg"])
            assert run(["--state", str(state), "enroll", "Barack", str(root / "obama.jpg")]) == 0
            # What the camera says at its start is on record before anybody compares two heads of the audit.
            pause = threading.Event()
            while daemon.camera.state is not CameraState.OK:
                assert not pause.wait(0.01)
            DaemonSession(state).call(StatusRequest())
            DaemonSession(state).call(StatusRequest())
            yield state, daemon
        finally:
            daemon.stop()
            thread.join(_LIMIT_S)


@pytest.fixture
def door(running: tuple[Path, Daemon], capsys: pytest.CaptureFixture[str]) -> Iterator[Door]:
    """That daemon; afterwards people and audit are as before, and the door has not been opened."""
    door = Door(running[0], capsys, running[1])
    before = door.people(), door.audit_head()
    yield door
    assert (door.people(), door.audit_head()) == before
    assert running[1].decisions == 0
    assert running[1].door_state is DoorState.LOCKED


def _encoded(picture: Pillow.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def _two_faces(photos: dict[str, bytes]) -> bytes:
    left, right = (Pillow.open(io.BytesIO(photos[name])).convert("RGB") for name in ("obama.jpg", "biden.jpg"))
    height = max(left.height, right.height)
    both = Pillow.new("RGB", (left.width + right.width, height), (128, 128, 128))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return _encoded(both, "JPEG", quality=95)


def _blurred(photos: dict[str, bytes]) -> bytes:
    image = cv2.imdecode(np.frombuffer(photos["biden.jpg"], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return cv2.imencode(".jpg", cv2.GaussianBlur(image, (0, 0), image.shape[1] / 80))[1].tobytes()


def _frames(kind: str) -> bytes:
    pictures = [Pillow.new("RGB", (64, 64), colour) for colour in ("red", "green")]
    return _encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=100)


_PHOTOGRAPHS: dict[str, tuple[Callable[[dict[str, bytes]], bytes], str]] = {
    "empty": (lambda _: b"", "is empty"),
    "truncated": (lambda photos: photos["biden.jpg"][: len(photos["biden.jpg"]) // 2], "cut off or damaged"),
    "cut_in_the_header": (lambda photos: photos["biden.jpg"][:10], "cut off or damaged"),
    "huge": (lambda _: _png_header(60_000, 60_000), "too large"),
    "huge_file": (lambda photos: photos["biden.jpg"] + b"\0" * (21 * 2**20), "larger than"),
    "tiny": (lambda _: _encoded(Pillow.new("RGB", (8, 8)), "PNG"), "too small"),
    "text": (lambda _: b"hello, world\n" * 50, "is not a JPEG, PNG, WebP or BMP"),
    "video": (lambda _: b"\0\0\0\x18ftypmp42" + b"\0" * 500, "is not a JPEG, PNG, WebP or BMP"),
    "gif": (lambda _: _frames("GIF"), "animations"),
    "animated_webp": (lambda _: _frames("WEBP"), "animated"),
    "animated_png": (lambda _: _frames("PNG"), "animated"),
    "sixteen_bit": (
        lambda _: cv2.imencode(".png", np.full((200, 200, 3), 30_000, np.uint16))[1].tobytes(),
        "more than eight bits",
    ),
    "cmyk": (lambda _: _encoded(Pillow.new("CMYK", (200, 200)), "JPEG"), "CMYK"),
    "no_face": (lambda _: _encoded(Pillow.new("RGB", (400, 400), (200, 180, 160)), "PNG"), "no face found"),
    "two_faces": (_two_faces, "2 faces found"),
    "blurred": (_blurred, "sharp"),
}


@pytest.mark.parametrize("kind", list(_PHOTOGRAPHS))
def test_a_bad_photograph_is_refused_while_the_door_runs(
    door: Door, tmp_path: Path, demo_photos: dict[str, bytes], kind: str
) -> None:
    """65 with what is wrong and what to do; nobody is enrolled, nothing is audited."""
    make, words = _PHOTOGRAPHS[kind]
    photo = tmp_path / f"{kind}.jpg"
    photo.write_bytes(make(demo_photos))
    door.call("enroll", "Joe", photo).refused(65, words)


def test_one_bad_photograph_among_good_ones_enrols_nobody(
    door: Door, tmp_path: Path, demo_photos: dict[str, bytes]
) -> None:
    """All are judged before anything is written."""
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(demo_photos["biden.jpg"])
    bad.write_bytes(demo_photos["biden.jpg"][:5000])
    door.call("enroll", "Joe", good, bad).refused(65, "bad.jpg")


def test_photographs_of_two_people_enrol_nobody(door: Door, tmp_path: Path, demo_photos: dict[str, bytes]) -> None:
    """They must show the same face."""
    for name in ("obama2.jpg", "biden.jpg"):
        (tmp_path / name).write_bytes(demo_photos[name])
    door.call("enroll", "Joe", tmp_path / "obama2.jpg", tmp_path / "biden.jpg").refused(65)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_exif_says(
    door: Door, tmp_path: Path, demo_photos: dict[str, bytes], orientation: int
) -> None:
    """All eight orientations of a telephone show the same, upright person."""
    upright = Pillow.open(io.BytesIO(demo_photos["obama.jpg"])).convert("RGB")
    # What a camera stores, so that the tag leads back to the upright picture.
    undo = {
        1: (), 2: ("FLIP_LEFT_RIGHT",), 3: ("ROTATE_180",), 4: ("FLIP_TOP_BOTTOM",), 5: ("TRANSPOSE",),
        6: ("ROTATE_90",), 7: ("TRANSVERSE",), 8: ("ROTATE_270",),
    }[orientation]  # fmt: skip
    stored = upright
    for step in undo:
        stored = stored.transpose(getattr(Pillow.Transpose, step))
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    photo = tmp_path / f"{orientation}.jpg"
    photo.write_bytes(_encoded(stored, "JPEG", quality=95, exif=exif))
    done = door.call("identify", photo, "--json")
    assert done.code == 0, done.err
    (face,) = json.loads(done.out)["faces"]
    assert face["identity"] == "Barack"
    assert face["similarity"] > 0.99


def test_a_face_that_lies_on_its_side_is_refused(door: Door, tmp_path: Path, demo_photos: dict[str, bytes]) -> None:
    """Turned without a tag that says so."""
    photo = tmp_path / "lying.jpg"
    lying = Pillow.open(io.BytesIO(demo_photos["biden.jpg"])).convert("RGB").transpose(Pillow.Transpose.ROTATE_90)
    photo.write_bytes(_encoded(lying, "JPEG", quality=95))
    door.call("enroll", "Joe", photo).refused(65)


# ---- Embeddings and garbage on the socket


@pytest.mark.parametrize(
    "vector",
    [
        np.full(128, np.nan, np.float32),
        np.full(128, np.inf, np.float32),
        np.zeros(128, np.float32),
        np.full(64, 0.125, np.float32),
        np.full(512, 0.04, np.float32),
        np.full(1, 1.0, np.float32),
    ],
    ids=["nan", "infinite", "zero", "64 dimensions", "512 dimensions", "1 dimension"],
)
def test_an_embedding_that_is_none_finds_nobody(door: Door, vector: Vector) -> None:
    """An error through the socket, with a hint; never an empty or a wrong answer."""
    model = json.loads(door.call("status", "--json").out)["gallery"]["model"]
    with pytest.raises(DoorwardError) as told:
        DaemonSession(door.state).call(SearchRequest(model=model, vector=pack_vector(vector)))
    assert told.value.exit_code in (ControlError.exit_code, ModelError.exit_code)
    assert told.value.hint


def test_an_embedding_of_another_model_finds_nobody(door: Door) -> None:
    """Vectors of different models are never compared."""
    with pytest.raises(DoorwardError) as told:
        DaemonSession(door.state).call(
            SearchRequest(model="arcface-1", vector=pack_vector(np.full(128, 0.1, np.float32)))
        )
    assert told.value.hint


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 4,
        b"\xff" * 4096,
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", 2**31) + b"x",
        struct.pack(">I", 12) + b'{"protocol":',
        struct.pack(">I", 47) + b'{"protocol":1,"request":{"verb":"door.open"}}  ',
        struct.pack(">I", 5000) + b"[" * 5000,
        os.urandom(2000),
    ],
    ids=["nothing", "zeros", "ones", "http", "2 GiB", "cut", "unknown verb", "nested", "noise"],
)
def test_garbage_on_the_control_socket_is_answered_with_an_error(door: Door, raw: bytes) -> None:
    """The daemon stays; the next request is answered."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_LIMIT_S)
        connection.connect(str(door.state / "control.sock"))
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass  # it did not read on: the answer has come all the same
    assert b'"ok": false' in answer
    assert door.call("status", "--json").code == 0


# ---- Key, database, models, configuration


@pytest.fixture
def shut(tmp_path: Path, door_state: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    """A state directory with a pack on which no daemon runs."""
    state = tmp_path / "state"
    adopt_pack(door_state, state, Config())
    door = Door(state, capsys)
    assert door.call("status").code == 0
    return door


@pytest.fixture(scope="module")
def one_for_all(tmp_path_factory: pytest.TempPathFactory, door_state: Path) -> Path:
    """A state directory for tests that prove that they leave it alone."""
    state = tmp_path_factory.mktemp("all") / "state"
    adopt_pack(door_state, state, Config())
    with open_state(state, Config(), clock=SystemClock(), create=True):
        return state


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A moment of an empty hall."""
    path = tmp_path / "hall.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for number in range(3):
        writer.write(np.full((240, 320, 3), 100 + number, np.uint8))
    writer.release()
    return path


def _flip(path: Path, *, at: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    path.write_bytes(bytes(data))


def _exchange(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def _models(state: Path) -> dict[str, Path]:
    manifest = json.loads((state / "packs" / "door" / "manifest.json").read_text())
    return {role: state / "packs" / "door" / entry["file"] for role, entry in manifest["models"].items()}


_HARM: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "wrong key": (lambda state: (state / "state.key").write_bytes(os.urandom(32)), 77, "key"),
    "short key": (lambda state: (state / "state.key").write_bytes(b"short"), 74, "key"),
    "missing key": (lambda state: (state / "state.key").unlink(), 74, "key"),
    "corrupt database": (lambda state: _flip(state / "doorward.db", at=0.07), 74, "damaged"),
    "truncated database": (lambda state: os.truncate(state / "doorward.db", 5000), 74, "damaged"),
    "empty database": (lambda state: os.truncate(state / "doorward.db", 0), 74, "cut off"),
    "plaintext database": (
        lambda state: (state / "doorward.db").write_bytes(b"SQLite format 3\0" + b"\0" * 8176),
        74,
        "plaintext",
    ),
    "missing model": (lambda state: _models(state)["embedder"].unlink(), 70, "lacks"),
    "bit-flipped model": (lambda state: _flip(_models(state)["embedder"]), 70, "sha256"),
    "truncated model": (lambda state: os.truncate(_models(state)["landmarks"], 1000), 70, "size"),
    "swapped models": (
        lambda state: _exchange(_models(state)["landmarks"], _models(state)["detector"]),
        70,
        "in the wrong place",
    ),
    "foreign file": (lambda state: (state / "packs" / "door" / "more.onnx").write_bytes(b"x"), 70, "does not name"),
    "bit-flipped manifest": (lambda state: _flip(state / "packs" / "door" / "manifest.json"), 70, "altered"),
    "missing manifest": (lambda state: (state / "packs" / "door" / "manifest.json").unlink(), 70, "missing"),
    "missing seal": (lambda state: (state / "packs" / "door" / "manifest.mac").unlink(), 70, "missing"),
    "no pack": (lambda state: shutil.rmtree(state / "packs"), 70, "no model pack"),
    "open directory": (lambda state: state.chmod(0o755), 74, "open to other users"),
}


@pytest.mark.parametrize("harm", list(_HARM))
def test_a_daemon_does_not_start_on_what_is_not_vouched_for(shut: Door, recording: Path, harm: str) -> None:
    """Its own exit code, what is wrong and what to do; every file stays as it was found."""
    do, code, word = _HARM[harm]
    do(shut.state)
    before = shut.files()
    done = shut.call("run", "--source", recording, "--fast")
    done.refused(code, word)
    assert shut.files() == before


def test_a_pack_of_another_state_is_refused(shut: Door, recording: Path, door_state: Path) -> None:
    """Sealed under another key."""
    shutil.rmtree(shut.state / "packs")
    shutil.copytree(door_state / "packs", shut.state / "packs")
    before = shut.files()
    shut.call("run", "--source", recording, "--fast").refused(70, "another key")
    assert shut.files() == before


@pytest.mark.parametrize("verb", [("run", "--fast"), ("status",), ("enroll", "Ada", "x.jpg"), ("people", "list")])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dor: {relay: gpiozero}\naccess: {votess: 1}\n", ("dor", "access.votess")),
        ("access: {votes: 0, max_frame_age_s: .nan}\n", ("access.votes", "access.max_frame_age_s")),
        ("liveness: {steps: 0}\n", ("liveness.steps",)),
        ("access: {votes: 9}\n", ("access.votes",)),
        ("access: {votes: 3, votes: 1}\n", ("twice",)),
        ("- a\n- b\n", ("not a table",)),
        ("\x00", ("not valid YAML",)),
    ],
    ids=["unknown keys", "out of range", "no steps", "contradiction", "twice", "list", "binary"],
)
def test_a_configuration_that_is_not_understood_starts_nothing(
    one_for_all: Path,
    capsys: pytest.CaptureFixture[str],
    recording: Path,
    tmp_path: Path,
    verb: tuple[str, ...],
    text: str,
    words: tuple[str, ...],
) -> None:
    """78, all problems at once, by key."""
    door = Door(one_for_all, capsys)
    config = tmp_path / "config.yaml"
    config.write_text(text)
    before = door.files()
    source = ("--source", str(recording)) if verb[0] == "run" else ()
    if verb[0] == "enroll":
        verb = ("enroll", "Ada", str(recording))
    door.call(*verb, *source, config=config).refused(78, *words)
    assert door.files() == before


# ---- Space


def test_a_full_quota_enrols_nobody_and_still_removes(
    shut: Door, tmp_path: Path, demo_photos: dict[str, bytes]
) -> None:
    """74 with a hint; erasing somebody works, because it may use the reserve."""
    small = tmp_path / "small.yaml"
    small.write_text("audit: {quota_mb: 1, reserve_pages: 64}\n")
    photo, other = tmp_path / "obama.jpg", tmp_path / "biden.jpg"
    photo.write_bytes(demo_photos["obama.jpg"])
    other.write_bytes(demo_photos["biden.jpg"])
    assert shut.call("enroll", "Barack", photo, config=small).code == 0
    config = parse_config(small.read_bytes(), origin="test")
    with open_state(shut.state, config, clock=SystemClock(), create=False) as state:
        _fill(state)
    before = shut.people(), shut.audit_head()
    shut.call("enroll", "Joe", other, config=small).refused(74)
    assert (shut.people(), shut.audit_head()) == before
    assert shut.call("people", "remove", "Barack", "--yes", config=small).code == 0
    assert shut.people() == []
    assert shut.call("audit", "verify").code == 0


def _fill(state: Any) -> None:
    for count in (40, 1):
        while True:
            try:
                with state.database.unit():
                    for _ in range(count):
                        state.ledger.record(CameraChanged("lost"), urgent=False)
            except FullError:
                break


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "doorward-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_enrols_nobody_and_loses_nothing(
    small_disk: Path, tmp_path: Path, door_state: Path, demo_photos: dict[str, bytes], capsys: Any
) -> None:
    """74 with a hint; with room again everything is there and goes on."""
    door = Door(small_disk / "state", capsys)
    adopt_pack(door_state, door.state, Config())
    for name in ("obama.jpg", "biden.jpg"):
        (tmp_path / name).write_bytes(demo_photos[name])
    assert door.call("enroll", "Barack", tmp_path / "obama.jpg").code == 0
    before = door.people(), door.audit_head()
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    (door.state / BALLAST_NAME).unlink()
    with filler.open("ab", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    done = door.call("enroll", "Joe", tmp_path / "biden.jpg")
    done.refused(74)
    assert "full" in done.err
    filler.unlink()
    assert (door.people(), door.audit_head()) == before
    assert door.call("enroll", "Joe", tmp_path / "biden.jpg").code == 0
    assert door.call("audit", "verify").code == 0
