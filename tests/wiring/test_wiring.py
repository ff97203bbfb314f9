"""Who plays which part: packs change hands sealed, demos stay in their own state, a real relay has conditions."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from device.app.requests import PeopleListRequest
from device.camera.recorded import PictureFolder, VideoFile
from device.clock import SystemClock
from device.config import Config, parse_config
from device.errors import BusyError, CameraError, ConfigError, FullError, PackError, StateError, UsageError
from device.sim.clock import ManualClock
from device.store.files import DATABASE_NAME
from device.store.lock import LOCK_NAME, StateLock
from device.vision.pack import load_pack
from device.wiring.daemon import open_daemon
from device.wiring.models import PACKS_NAME, adopt_pack, open_pack
from device.wiring.people import open_offline
from device.wiring.stage import Stage
from device.wiring.state import KEY_NAME, empty_state, key_source, open_state, state_keys
from device.wiring.surroundings import choose_clock, make_door, open_recording, open_source

CONFIG = Config()


class Dark:
    """Signals that nobody sees."""

    def show(self, signal: object) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def config(text: str) -> Config:
    """A configuration over the defaults."""
    return parse_config(text.encode(), origin="test")


@pytest.fixture
def source(tmp_path: Path, door_state: Path) -> Path:
    """A copy of the built pack with its key, to be harmed."""
    state = tmp_path / "source"
    state.mkdir(mode=0o700)
    shutil.copy2(door_state / KEY_NAME, state / KEY_NAME)
    shutil.copytree(door_state / PACKS_NAME, state / PACKS_NAME)
    return state


# ---- Packs


def test_a_pack_is_adopted_under_the_new_states_own_key(source: Path, tmp_path: Path) -> None:
    """Verified on the way, sealed anew: the old key no longer vouches for it."""
    target = tmp_path / "target"
    adopt_pack(source, target, CONFIG)
    adopted = open_pack(target, CONFIG, state_keys(target))
    assert adopted.manifest == open_pack(source, CONFIG, state_keys(source)).manifest
    assert (target / KEY_NAME).read_bytes() != (source / KEY_NAME).read_bytes()
    with pytest.raises(PackError) as told:
        load_pack(adopted.directory, mac_key=state_keys(source).pack_mac)
    assert told.value.reason == "wrong_key"
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert (target / KEY_NAME).stat().st_mode & 0o077 == 0


def test_a_pack_that_was_adopted_already_is_left_alone(source: Path, tmp_path: Path) -> None:
    """No file is written again."""
    target = tmp_path / "target"
    adopt_pack(source, target, CONFIG)
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    adopt_pack(source, target, CONFIG)
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before


def test_a_damaged_copy_is_replaced_by_the_pack_it_was_a_copy_of(source: Path, tmp_path: Path) -> None:
    """What is whole replaces what is not; nobody has to delete folders by hand."""
    target = tmp_path / "target"
    adopt_pack(source, target, CONFIG)
    model = target / PACKS_NAME / "door" / "detector.onnx"
    harmed = bytearray(model.read_bytes())
    harmed[1000] ^= 1
    model.write_bytes(bytes(harmed))
    adopt_pack(source, target, CONFIG)
    open_pack(target, CONFIG, state_keys(target)).read("detector")


@pytest.mark.parametrize("harm", ["flip", "swap", "manifest", "link"])
def test_an_altered_pack_is_not_adopted(source: Path, tmp_path: Path, harm: str) -> None:
    """Refused by name; nothing of it arrives."""
    pack = source / PACKS_NAME / "door"
    models = sorted(pack.glob("*.onnx"))
    if harm == "flip":
        data = bytearray(models[0].read_bytes())
        data[len(data) // 2] ^= 1
        models[0].write_bytes(bytes(data))
    elif harm == "swap":
        first, second = models[0].read_bytes(), models[1].read_bytes()
        models[0].write_bytes(second)
        models[1].write_bytes(first)
    elif harm == "manifest":
        manifest = pack / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"default_fmr": 1e-05', '"default_fmr": 0.001'))
    else:
        aside = tmp_path / "aside.onnx"
        models[0].rename(aside)
        models[0].symlink_to(aside)
    target = tmp_path / "target"
    with pytest.raises(PackError) as told:
        adopt_pack(source, target, CONFIG)
    assert told.value.hint
    assert not list(target.rglob("*.onnx"))
    assert not list(target.rglob("manifest.json"))


def test_a_state_without_a_pack_says_how_to_get_one(tmp_path: Path) -> None:
    """The very command."""
    with pytest.raises(PackError) as told:
        open_pack(tmp_path, CONFIG, state_keys(tmp_path, create=True))
    assert told.value.reason == "missing"
    assert f"doorward-export build --pack door --state {tmp_path}" in told.value.hint


# ---- State


def test_a_key_is_made_for_a_fresh_state_only(tmp_path: Path) -> None:
    """Beside a database a new key could only hide that the old one is lost."""
    with open_state(tmp_path, CONFIG, clock=SystemClock(), create=True):
        pass
    (tmp_path / KEY_NAME).unlink()
    with pytest.raises(StateError), open_state(tmp_path, CONFIG, clock=SystemClock(), create=True):
        pytest.fail("opened")
    assert not (tmp_path / KEY_NAME).exists()
    fresh = tmp_path / "fresh"
    fresh.mkdir(mode=0o700)
    assert len(key_source(fresh, create=True).load()) == 32
    with pytest.raises(StateError):
        key_source(tmp_path / "other").load()


def test_a_state_is_let_go_whatever_happens_in_it(tmp_path: Path) -> None:
    """An error inside: the lock is free and the database closed."""

    def harm() -> None:
        with open_state(tmp_path, CONFIG, clock=SystemClock(), create=True):
            with pytest.raises(BusyError):
                StateLock(tmp_path)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        harm()
    StateLock(tmp_path).release()


def test_only_a_demos_state_is_emptied(tmp_path: Path) -> None:
    """A gallery that the demo did not make is refused, byte for byte."""
    with open_state(tmp_path, CONFIG, clock=SystemClock(), create=True):
        pass
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != LOCK_NAME}
    with pytest.raises(UsageError):
        empty_state(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != LOCK_NAME} == before


def test_a_demos_state_is_emptied_and_keeps_its_key(tmp_path: Path) -> None:
    """People and audit begin anew; the key and what it vouches for stay."""
    empty_state(tmp_path)
    with open_state(tmp_path, CONFIG, clock=SystemClock(), create=True) as state:
        key = (tmp_path / KEY_NAME).read_bytes()
        state.database.close()
    empty_state(tmp_path)
    assert not (tmp_path / DATABASE_NAME).exists()
    assert (tmp_path / KEY_NAME).read_bytes() == key


def test_a_state_that_somebody_owns_is_not_emptied(tmp_path: Path) -> None:
    """A demo that runs keeps its state."""
    empty_state(tmp_path)
    with open_state(tmp_path, CONFIG, clock=SystemClock(), create=True):
        with pytest.raises(BusyError):
            empty_state(tmp_path)
        assert (tmp_path / DATABASE_NAME).exists()


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, FullError), (errno.EROFS, StateError)])
def test_a_state_that_cannot_be_written_is_told_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StateError]
) -> None:
    """A full disk has its own class; none is a mistake in the program."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(StateError) as told:
        empty_state(tmp_path)
    assert type(told.value) is kind
    assert told.value.hint


# ---- The daemon


def test_a_second_daemon_exits_at_once_and_the_first_does_not_notice(source: Path, shared: Path) -> None:
    """busy; then the first runs its recording to the end."""
    clip = shared / "clips" / "intel_one-by-one-person-detection.mp4"
    playing = config(f"camera: {{source: {clip}, pace: fast}}")
    with open_daemon(source, playing, signals=Dark()) as first:
        with pytest.raises(BusyError) as told, open_daemon(source, playing, signals=Dark()):
            pytest.fail("two daemons")
        assert str(os.getpid()) in told.value.message
        first.stop()
        first.run()
    with open_offline(source, CONFIG) as verbs:
        assert verbs.audit_verify()["sound"]
        assert verbs.answer(PeopleListRequest())["people"] == []


def test_a_scene_is_played_on_platform_sim_only(source: Path) -> None:
    """Rendered visitors never meet a real door."""
    stage = Stage(clock=ManualClock(), source=_no_part(), signals=Dark())
    real = config("platform: pi\ndoor: {relay: gpiozero}\nliveness: {accept_replay_risk: true}")
    with pytest.raises(ConfigError), open_daemon(source, real, stage=stage):
        pytest.fail("a scene before a real door")


def test_a_daemon_without_signals_is_refused(source: Path) -> None:
    """Nobody would know what to do."""
    with pytest.raises(ConfigError), open_daemon(source, CONFIG):
        pytest.fail("silent")


def test_a_daemon_whose_parts_cannot_be_opened_leaves_nothing_open(source: Path) -> None:
    """A source that does not exist: the state is free again."""
    broken = config("camera: {source: /nonexistent.mp4}")
    with pytest.raises(CameraError), open_daemon(source, broken, signals=Dark()):
        pytest.fail("no camera")
    StateLock(source).release()


# ---- Surroundings


def test_a_real_relay_needs_the_owners_word_while_replays_cannot_be_told(door_state: Path) -> None:
    """The pack has no passive liveness network: refused by name until somebody accepts it."""
    pack = open_pack(door_state, CONFIG, state_keys(door_state))
    real = config("platform: pi\ndoor: {relay: gpiozero}")
    with pytest.raises(ConfigError) as told:
        make_door(real, SystemClock(), pack=pack)
    assert "accept_replay_risk" in told.value.hint


def test_a_recording_played_fast_moves_its_own_clock() -> None:
    """At its own pace, and with a camera, the system's clock is used."""
    here = str(Path(__file__).parent)
    assert isinstance(choose_clock(config(f"camera: {{source: {here}, pace: fast}}")), ManualClock)
    assert isinstance(choose_clock(config(f"camera: {{source: {here}}}")), SystemClock)
    assert isinstance(choose_clock(config("camera: {source: /dev/video7, pace: fast}")), SystemClock)


@pytest.mark.parametrize("pace", ["native", "fast"])
def test_a_recording_is_no_camera_of_a_real_door(door_state: Path, pace: str) -> None:
    """Refused where the parts are put together as well, however the configuration came to say it."""
    played = config(f"camera: {{source: {Path(__file__).parent}, pace: {pace}}}").camera
    real = config("platform: pi\ndoor: {relay: gpiozero}").model_copy(update={"camera": played})
    assert isinstance(choose_clock(real), SystemClock)
    with pytest.raises(ConfigError):
        open_source(real, choose_clock(real), wait=lambda _: None)
    simulated = real.model_copy(update={"platform": "sim"})
    with pytest.raises(ConfigError, match="no real relay"):
        make_door(simulated, SystemClock(), pack=open_pack(door_state, CONFIG, state_keys(door_state)))


def test_a_scene_is_no_source_of_a_daemon() -> None:
    """Only the demo plays it."""
    with pytest.raises(ConfigError):
        open_source(config("camera: {source: scene}"), SystemClock(), wait=lambda _: None)


def test_a_source_is_what_it_names(tmp_path: Path) -> None:
    """A folder of pictures, a video; nothing else is a recording."""
    (tmp_path / "a.png").touch()
    (tmp_path / "a.mp4").touch()
    folder = open_source(config(f"camera: {{source: {tmp_path}}}"), SystemClock(), wait=lambda _: None)
    assert isinstance(folder, PictureFolder)
    assert isinstance(open_recording(tmp_path / "a.mp4"), VideoFile)
    for other in (tmp_path, tmp_path / "a.png", tmp_path / "none.mp4", Path("/dev/video0")):
        with pytest.raises(CameraError):
            open_recording(other)


@pytest.mark.parametrize("platform", ["pi", "jetson"])
def test_nothing_of_the_simulation_is_loaded_on_a_real_platform(source: Path, tmp_path: Path, platform: str) -> None:
    """A daemon is put together, with gpiozero's mock pins, and device.sim is not among the modules."""
    file = tmp_path / "real.yaml"
    file.write_text(
        f"platform: {platform}\ndoor: {{relay: gpiozero}}\nliveness: {{accept_replay_risk: true}}\n"
        "camera: {source: /dev/video63}\n"
    )
    words = f"""
import sys
from pathlib import Path
from gpiozero.pins.mock import MockFactory
import device.door.gpiozero_relay as relay
from device.config import load_config
from device.errors import DoorwardError
from device.wiring.daemon import open_daemon

relay._lgpio_factory = MockFactory  # the pins are all that a laptop lacks

class Dark:
    def show(self, signal): pass
    def close(self): pass

try:
    with open_daemon(Path({str(source)!r}), load_config(Path({str(file)!r})), signals=Dark()) as daemon:
        daemon.stop()
        daemon.run()
    print("ran")
except DoorwardError as exc:
    print("refused", type(exc).__name__)
print([name for name in sys.modules if name.startswith("device.sim")])
"""
    done = subprocess.run(
        [sys.executable, "-c", words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    outcome, modules = done.stdout.splitlines()
    assert outcome == ("ran" if platform == "pi" else "refused ConfigError"), done.stderr
    assert modules == "[]"


def _no_part() -> Any:
    return None
