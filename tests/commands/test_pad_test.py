"""`doorward pad-test` and `pad-report`: questions, answers, files; rendered presentations are in the scenarios."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.app.pad_seal import public_key, signed
from device.app.pad_test import PlannedTry, TryResult, Walk
from device.errors import AuditError, BusyError, CameraError, ConfigError, NotFoundError, StateError, UsageError
from device.store.lock import StateLock
from device.types import Frame, Reason
from device.wiring.state import state_keys
from tests.app.test_pad_test import HANDLE, KEY, NAME, SEED, report, result, standing
from tests.app.test_pad_test import about as facts


class Kit:
    """A walk without vision: each try comes to what it was told."""

    def __init__(self, *results: TryResult | BaseException) -> None:
        self._results = list(results)
        self.threshold = 0.9547
        self.attempts: list[PlannedTry] = []
        self.recorded: list[tuple[int, bytes | None, int]] = []
        self.walk = Walk(())
        self.by_uid = -1
        self.opened: dict[str, Any] = {}

    @contextmanager
    def open(self, *_: Any, **given: Any) -> Iterator[Any]:
        """In the place of ``open_pad_test``."""
        self.opened = given
        yield self

    def begin(self, walk: Walk, *, by_uid: int) -> Kit:
        """Both in one."""
        self.walk, self.by_uid = walk, by_uid
        return self

    @property
    def standing(self) -> Any:
        """The first walk."""
        return standing(begun=self.walk.begun)

    def attempt(self, planned: PlannedTry) -> TryResult:
        """The next one."""
        self.attempts.append(planned)
        outcome = self._results.pop(0) if self._results else result(planned.species, planned.number)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def report(self) -> Any:
        """The real one."""
        made = report(*self.walk.results)
        return made.model_copy(update={"about": facts(complete=self.walk.complete, walk=self.standing)})

    def sign(self, made: Any) -> bytes:
        """The real one."""
        return signed(made, seed=SEED)

    def end(self, raw: bytes | None) -> None:
        """Remember it."""
        self.recorded.append((len(self.walk.results), raw, self.by_uid))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What the installer will type."""

    def install(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return install


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Kit], Kit]:
    """Have the next walk made with this kit."""

    def install(kit: Kit) -> Kit:
        monkeypatch.setattr("device.wiring.pad_test.open_pad_test", kit.open)
        return kit

    return install


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the report goes."""
    folder = tmp_path / "reports"
    folder.mkdir()
    return folder / "report.json"


THREE = ("--bona-fide", "1", "--species", "print:2")


def test_a_walk_says_what_to_do_and_writes_a_report(doorward: Any, use: Any, typed: Any, target: Path) -> None:
    """Three Enters, three tries, one file of mode 0600, one audit entry; read back with the printed key."""
    kit = use(Kit())
    typed("\n\n\n")
    done = doorward("pad-test", "--report", target, *THREE)
    assert done.code == 0, done.err
    assert [planned.species for planned in kit.attempts] == ["bona_fide", "print", "print"]
    assert "try 2 of 2, print: hold a photograph of somebody enrolled" in done.out
    assert "Enter when ready, s to skip, q to stop" in done.out
    assert "REFUSED  not_live: the face did not turn as a head does" in done.out
    assert "0 of 2 passed for living: the true rate may be up to 78 %" in done.out
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["report.json"]
    assert kit.recorded[0][:2] == (3, target.read_bytes())
    read = doorward("pad-report", target, "--key", KEY.hex())
    assert read.code == 0, read.err
    assert "signature    good" in read.out
    assert HANDLE not in done.out
    assert NAME not in done.out


def test_s_skips_and_q_stops(doorward: Any, use: Any, typed: Any, target: Path) -> None:
    """Anything else is asked again; a walk that was stopped is not complete."""
    kit = use(Kit())
    typed("what?\ns\n\nQ\n")
    done = doorward("pad-test", "--report", target, *THREE, "--json")
    assert done.code == 0, done.err
    assert [planned.species for planned in kit.attempts] == ["print"]
    assert done.json["about"]["complete"] is False
    assert done.json["file"] == str(target)
    assert doorward("pad-report", target, "--key", KEY.hex(), "--json").json["about"]["complete"] is False
    assert "INCOMPLETE" in doorward("pad-report", target, "--key", KEY.hex()).out


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (CameraError("the camera is lost"), CameraError.exit_code)]
)
def test_what_breaks_a_walk_off_leaves_an_incomplete_report(
    doorward: Any, use: Any, typed: Any, target: Path, error: BaseException, code: int
) -> None:
    """With the tries before it, and the exit code of what happened."""
    kit = use(Kit(result(), error))
    typed("\n\n\n")
    done = doorward("pad-test", "--report", target, *THREE)
    assert done.code == code
    assert kit.recorded[0][0] == 1
    read = doorward("pad-report", target, "--key", KEY.hex(), "--json")
    assert (read.json["about"]["complete"], len(read.json["tries"])) == (False, 1)


@pytest.mark.parametrize("text", ["q\n", "", "s\ns\ns\n"])
def test_without_a_try_there_is_no_report(doorward: Any, use: Any, typed: Any, target: Path, text: str) -> None:
    """The log says that there was none; the place is as it was."""
    kit = use(Kit())
    typed(text)
    done = doorward("pad-test", "--report", target, *THREE)
    assert (done.code, kit.recorded) == (0, [(0, None, os.getuid())])
    assert "nothing was tried" in done.out
    assert not list(target.parent.iterdir())


def test_an_attack_that_passes_is_shown_as_such(doorward: Any, use: Any, typed: Any, target: Path) -> None:
    """Not let in is not the same as not alive."""
    use(Kit(result(proven=True, reason=Reason.NO_MATCH), result(proven=True, reason=Reason.GRANTED)))
    typed("\n\n")
    done = doorward("pad-test", "--report", target, "--bona-fide", "0", "--species", "print:2")
    assert "ALIVE  found alive, not let in: alive, but nobody enrolled looks like this" in done.out
    assert "ALIVE  would have been let in: welcome, somebody enrolled" in done.out
    assert "2 of 2 passed for living: the true rate is 22 % at least" in done.out


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_report_that_is_there_is_kept_unless_forced(doorward: Any, use: Any, typed: Any, target: Path) -> None:
    """Found before the first try."""
    kit = use(Kit())
    target.write_text("mine")
    typed("\n\n\n")
    refused = doorward("pad-test", "--report", target, *THREE)
    assert refused.code == UsageError.exit_code
    assert "--force" in refused.err
    assert (target.read_text(), kit.attempts) == ("mine", [])
    typed("\n\n\n")
    assert doorward("pad-test", "--report", target, *THREE, "--force").code == 0
    assert doorward("pad-report", target, "--key", KEY.hex()).code == 0


def test_a_forced_report_without_a_try_leaves_the_old_one(doorward: Any, use: Any, typed: Any, target: Path) -> None:
    """Replaced only by a whole one."""
    use(Kit())
    target.write_text("mine")
    typed("q\n")
    assert doorward("pad-test", "--report", target, *THREE, "--force").code == 0
    assert target.read_text() == "mine"


@pytest.mark.parametrize("name", ["nowhere/report.json", "a-folder", "dangling"])
def test_a_place_that_cannot_be_written_is_found_before_the_first_try(
    doorward: Any, use: Any, typed: Any, target: Path, name: str
) -> None:
    """Nobody walks for an hour for nothing."""
    kit = use(Kit())
    (target.parent / "a-folder").mkdir()
    (target.parent / "dangling").symlink_to("nothing")
    typed("\n\n\n")
    done = doorward("pad-test", "--report", target.parent / name, *THREE)
    assert done.code == UsageError.exit_code
    assert "hint: " in done.err
    assert not kit.attempts


@pytest.mark.parametrize(
    "options",
    [
        ("--species", "hologram:1"),
        ("--species", "print:0"),
        ("--bona-fide", "0", "--species", ""),
        ("--bona-fide", "-1"),
        ("--photos", "somewhere"),
        ("--simulate", "--species", "mask_rigid:1"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    doorward: Any, use: Any, target: Path, options: tuple[str, ...]
) -> None:
    """64, a hint, nothing made."""
    kit = use(Kit())
    done = doorward("pad-test", "--report", target, *options)
    assert done.code == UsageError.exit_code
    assert "hint: " in done.err
    assert not kit.opened
    assert not list(target.parent.iterdir())


def test_a_changed_report_is_refused(doorward: Any, target: Path) -> None:
    """76, and what to do."""
    raw = signed(report(), seed=SEED)
    target.write_bytes(raw.replace(b'"planar"', b'"passed"'))
    done = doorward("pad-report", target, "--key", KEY.hex())
    assert done.code == AuditError.exit_code
    assert "hint: " in done.err
    assert "APCER" not in done.out


@pytest.mark.parametrize("key", ["", "12", "zz" * 32, "00" * 32])
def test_a_key_that_is_none_is_refused(doorward: Any, target: Path, key: str) -> None:
    """64."""
    target.write_bytes(signed(report(), seed=SEED))
    assert doorward("pad-report", target, "--key", key).code == UsageError.exit_code


def test_without_a_key_the_report_must_be_this_devices_own(state: Path, doorward: Any, target: Path) -> None:
    """Not whatever key the report names itself; without a state there is no key either."""
    target.write_bytes(signed(report(), seed=SEED))
    assert doorward("pad-report", target).code == StateError.exit_code
    keys = state_keys(state, create=True)
    assert doorward("pad-report", target).code == AuditError.exit_code
    target.write_bytes(signed(report(), seed=keys.report_seed))
    assert doorward("pad-report", target).code == AuditError.exit_code, "it names the device of another key"
    target.write_bytes(signed(report(key=public_key(keys.report_seed)), seed=keys.report_seed))
    # The signature holds; no walk of this device made it.
    assert doorward("pad-report", target).code == NotFoundError.exit_code
    assert doorward("pad-report", target, "--key", public_key(keys.report_seed).hex().upper()).code == 66


def test_a_file_that_is_not_there_is_named(doorward: Any, target: Path) -> None:
    """66."""
    assert doorward("pad-report", target, "--key", KEY.hex()).code == NotFoundError.exit_code


# -- the real kit ------------------------------------------------------------------------------------------------------


class EmptyHall:
    """A camera that sees nobody, in a little noise."""

    description = "an empty hall"
    live = True

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._number = 0
        self._paced = threading.Event()

    def open(self) -> None:
        """Nothing."""

    def read(self) -> Frame:
        """Now."""
        import time

        self._paced.wait(0.005)
        self._number += 1
        image = self._random.integers(100, 110, (480, 640, 3), np.uint8)
        return Frame(image, time.monotonic(), self._number)

    def close(self) -> None:
        """Nothing."""


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """An empty hall instead of the camera, and tries that end at once."""
    monkeypatch.setattr("device.wiring.pad_scenes.open_source", lambda *_, **__: EmptyHall())
    monkeypatch.setattr("device.wiring.pad_walk.TRY_S", 0.1)
    config = tmp_path / "quick.yaml"
    config.write_text("access: {patience_s: 0.1}\n")
    return ("--config", str(config))


def test_the_real_kit_sees_nobody_in_an_empty_hall(
    state_with_pack: Path, doorward: Any, typed: Any, target: Path, quick: tuple[str, str]
) -> None:
    """Capture thread, models, state, audit: real; the tries have no response and say nothing."""
    typed("\n\n\n")
    done = doorward("pad-test", "--report", target, *THREE, before=quick)
    assert done.code == 0, done.err
    assert "NO RESPONSE  nobody was seen well enough to be judged" in done.out
    assert "nothing was compared: nothing is known" in done.out
    told = doorward("pad-report", target)
    assert (told.code, "audit log    found" in told.out) == (0, True)
    start, entry = doorward("audit", "list", "--json").json["entries"]
    data = json.loads(entry["body"])["data"] if "body" in entry else entry["data"]
    assert entry["kind"] == "pad_test"
    assert data["tries"][0] == {"species": "bona_fide", "tries": 1, "no_response": 1, "alive": 0}
    assert (start["kind"], data["start_seq"], data["begun"]) == ("pad_test_start", start["seq"], 3)
    assert data["by_uid"] is not None
    assert doorward("audit", "verify").code == 0
    assert "capture" not in [thread.name for thread in threading.enumerate()]


def test_somebody_who_is_not_enrolled_makes_no_false_rejections(
    state_with_pack: Path, doorward: Any, target: Path, quick: tuple[str, str]
) -> None:
    """66, before the first try."""
    done = doorward("pad-test", "--report", target, "--name", "Nobody", before=quick)
    assert done.code == NotFoundError.exit_code
    assert not list(target.parent.iterdir())


def test_a_camera_that_cannot_be_opened_is_said_before_the_first_try(
    state_with_pack: Path, doorward: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """69."""

    class Unplugged(EmptyHall):
        def open(self) -> None:
            raise CameraError("no such camera", hint="plug it in")

    monkeypatch.setattr("device.wiring.pad_scenes.open_source", lambda *_, **__: Unplugged())
    done = doorward("pad-test", "--report", target)
    assert done.code == CameraError.exit_code
    assert "no such camera" in done.err
    assert not list(target.parent.iterdir())


def test_a_camera_that_is_lost_on_the_way_ends_the_walk(
    state_with_pack: Path, doorward: Any, typed: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try without a camera is no try: it would count as one without a response."""

    class Cut(EmptyHall):
        def read(self) -> Frame:
            if self._number >= 3:
                raise CameraError("the cable was cut")
            return super().read()

    monkeypatch.setattr("device.wiring.pad_scenes.open_source", lambda *_, **__: Cut())
    typed("\n\n")
    done = doorward("pad-test", "--report", target)
    assert done.code == CameraError.exit_code
    assert "the cable was cut" in done.err
    assert not list(target.parent.iterdir())


def test_a_recording_is_no_door(state_with_pack: Path, doorward: Any, target: Path, tmp_path: Path) -> None:
    """78, and what is for recordings."""
    (tmp_path / "pictures").mkdir()
    config = tmp_path / "recorded.yaml"
    config.write_text(f"camera: {{source: {tmp_path / 'pictures'}}}\n")
    done = doorward("pad-test", "--report", target, before=("--config", str(config)))
    assert done.code == ConfigError.exit_code
    assert "evaluate pad" in done.err


def test_a_real_door_simulates_nothing(state_with_pack: Path, doorward: Any, target: Path, tmp_path: Path) -> None:
    """78 on another platform."""
    config = tmp_path / "real.yaml"
    config.write_text("platform: pi\ndoor: {relay: gpiozero}\n")
    done = doorward("pad-test", "--report", target, "--simulate", before=("--config", str(config)))
    assert done.code == ConfigError.exit_code


def test_a_running_daemon_keeps_its_state(state_with_pack: Path, doorward: Any, target: Path) -> None:
    """75, and that it must be stopped first."""
    with StateLock(state_with_pack):
        done = doorward("pad-test", "--report", target)
    assert done.code == BusyError.exit_code
    assert "stop the daemon first" in done.err
    assert not list(target.parent.iterdir())


def test_a_state_that_is_not_there_is_not_made(doorward: Any, target: Path, tmp_path: Path) -> None:
    """A mistyped --state is no new state."""
    done = doorward("pad-test", "--report", target, before=("--state", str(tmp_path / "other")))
    assert done.code == StateError.exit_code
    assert not (tmp_path / "other").exists()
