"""The demo: real video, photographs that are missing, a state that is its own; the rendered scene as a whole."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from device.commands.demo import Scene, default_photos, typed_command
from device.errors import BusyError, CameraError, FullError
from device.types import Decision, Reason
from device.wiring.stage import Actor
from device.wiring.state import own_demo
from tests.commands.test_wording import decision


@pytest.fixture
def photos(tmp_path: Path, demo_photos: dict[str, bytes]) -> Path:
    """The demo's photographs in a folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in demo_photos.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_demo_runs_on_real_video(state_with_pack: Path, doorward: Any, photos: Path, shared: Path) -> None:
    """Whoever is seen is decided about; the state that it was called with is left alone."""
    before = {path.name: path.read_bytes() for path in state_with_pack.iterdir() if path.is_file()}
    clip = shared / "clips" / "intel_asl_thanks.mkv"
    done = doorward("demo", "--photos", photos, "--source", clip, "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["simulated"] is True
    assert told["rendered_visitors"] is False
    assert told["audit"]["sound"] is True
    assert told["ok"] is True
    assert all(made["outcome"] == "denied" for visit in told["visits"] for made in visit["decisions"])
    assert Path(told["state"]) == state_with_pack / "demo"
    assert {path.name: path.read_bytes() for path in state_with_pack.iterdir() if path.is_file()} == before
    again = doorward("demo", "--photos", photos, "--source", clip, "--json")
    assert again.code == 0, again.err
    assert again.json["audit"]["entries"] == told["audit"]["entries"]


def test_a_cameras_password_is_not_shown(
    state_with_pack: Path, doorward: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terminals are recorded and shown to others; the host tells which camera it is."""

    def unplugged(*_: object, **__: object) -> None:
        raise CameraError("no such camera", hint="plug it in")

    monkeypatch.setattr("device.wiring.daemon.open_daemon", unplugged)
    done = doorward("demo", "--photos", photos, "--source", "rtsp://user:S3cret@door/1?key=S3cret")
    assert done.code == CameraError.exit_code
    assert "rtsp://door/..." in done.out
    assert "S3cret" not in done.out + done.err


@pytest.mark.slow
def test_the_rendered_demo_shows_what_it_says(state_with_pack: Path, doorward: Any, photos: Path) -> None:
    """An enrolled person in, a stranger and a print not, by their reasons; the audit is named and verified."""
    done = doorward("demo", "--photos", photos, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["rendered_visitors"] is True
    reasons = [visit["decisions"][0]["reason"] for visit in told["visits"]]
    assert reasons[:2] == ["granted", "no_match"]
    # Which of its faults the print shows first depends on what it is asked.
    assert reasons[2] in ("not_live", "wrong_response", "no_response", "face_changed", "left")
    assert "SIMULATED" in done.err
    assert "audit list" in done.err


def test_missing_photographs_are_named_with_the_command_that_fetches_them(
    state_with_pack: Path, doorward: Any, tmp_path: Path
) -> None:
    """66."""
    done = doorward("demo", "--photos", tmp_path / "nothing")
    assert done.code == 66
    assert "doorward-export photos" in done.err


def test_the_demo_needs_a_pack(state: Path, doorward: Any, photos: Path) -> None:
    """Without one it says how to get it."""
    done = doorward("demo", "--photos", photos)
    assert done.code in (70, 74)
    assert "hint: " in done.err


def test_a_real_door_plays_no_demo(state_with_pack: Path, doorward: Any, photos: Path, tmp_path: Path) -> None:
    """64 on another platform."""
    real = tmp_path / "real.yaml"
    real.write_text("platform: pi\ndoor: {relay: gpiozero}\n")
    assert doorward("demo", "--photos", photos, before=("--config", str(real))).code == 64


def test_photographs_lie_in_the_one_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The named one, else the user's."""
    monkeypatch.setenv("DOORWARD_CACHE", str(tmp_path))
    assert default_photos() == tmp_path / "demo-photos"
    monkeypatch.delenv("DOORWARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_photos() == tmp_path / "x" / "doorward" / "demo-photos"


def test_a_scene_is_as_expected_by_its_first_decision_and_no_other_grant() -> None:
    """A grant that comes after the expected denial is not as expected."""
    denied, granted = decision(Reason.NOT_LIVE), decision(Reason.GRANTED)
    assert Scene("print", Reason.NOT_LIVE, decisions=[denied, denied]).as_expected
    assert not Scene("print", Reason.NOT_LIVE, decisions=[denied, granted]).as_expected
    assert not Scene("print", Reason.NOT_LIVE).as_expected
    left = decision(Reason.LEFT)
    assert Scene("print", Reason.NOT_LIVE, (Reason.LEFT,), [left]).as_expected
    assert not Scene("print", Reason.NOT_LIVE, decisions=[left]).as_expected
    assert not Scene("print", Reason.NOT_LIVE, (Reason.LEFT,), [left, granted]).as_expected
    assert not Scene("friend", Reason.GRANTED, decisions=[denied, granted]).as_expected


class Play:
    """A door that decides what it is told to, in the place of scene and daemon."""

    def __init__(self, *reasons: Reason, interrupted: bool = False) -> None:
        self._reasons = reasons
        self._interrupted = interrupted
        self._cast: Sequence[Actor] = ()

    def open_stage(self, _state: Path, _config: Any, cast: Sequence[Actor], **_: Any) -> Any:
        """Take the cast."""
        self._cast = cast
        return SimpleNamespace()

    @contextmanager
    def open_daemon(self, *_: Any, on_decision: Callable[[Decision], None], **__: Any) -> Iterator[Any]:
        """A daemon that ends by itself."""

        def run() -> None:
            for actor, reason in zip(self._cast, self._reasons, strict=False):
                actor.on_arrival()
                on_decision(decision(reason))
            if self._interrupted:
                signal.raise_signal(signal.SIGINT)

        yield SimpleNamespace(threshold=0.9, run=run, stop=lambda **_: None)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Play], None]:
    """Have the next demo played so."""

    def install(play: Play) -> None:
        monkeypatch.setattr("device.wiring.stage.open_stage", play.open_stage)
        monkeypatch.setattr("device.wiring.daemon.open_daemon", play.open_daemon)

    return install


@pytest.mark.parametrize(
    ("reasons", "code"),
    [
        ((Reason.GRANTED, Reason.NO_MATCH, Reason.NOT_LIVE), 0),
        ((Reason.GRANTED, Reason.NO_MATCH, Reason.GRANTED), 1),
        ((Reason.NO_MATCH, Reason.NO_MATCH, Reason.NOT_LIVE), 1),
        ((Reason.GRANTED, Reason.NO_MATCH), 1),
        ((Reason.GRANTED,), 1),
        ((), 1),
    ],
)
def test_a_demo_that_is_wrong_or_stops_early_fails(
    state_with_pack: Path,
    doorward: Any,
    photos: Path,
    play: Callable[[Play], None],
    reasons: tuple[Reason, ...],
    code: int,
) -> None:
    """Its exit code and its JSON say so: two of three visitors are no demo."""
    play(Play(*reasons))
    done = doorward("demo", "--photos", photos, "--json")
    assert done.code == code, done.err
    assert done.json["ok"] is (code == 0)
    assert done.json["interrupted"] is False
    assert ("did not decide as it should have" in done.err) is (code != 0)


@pytest.mark.parametrize("reasons", [(Reason.GRANTED,), (Reason.GRANTED, Reason.NO_MATCH, Reason.NOT_LIVE)])
def test_an_interrupted_demo_says_so_and_blames_nobody(
    state_with_pack: Path, doorward: Any, photos: Path, play: Callable[[Play], None], reasons: tuple[Reason, ...]
) -> None:
    """130; what was seen until then is told, and is not ok."""
    play(Play(*reasons, interrupted=True))
    done = doorward("demo", "--photos", photos, "--json")
    assert done.code == 130
    assert "error: interrupted" in done.err
    assert "did not decide" not in done.err
    assert done.json["ok"] is False
    assert done.json["interrupted"] is True
    assert len(done.json["visits"]) == len(reasons)


def test_a_second_demo_is_refused_before_it_touches_the_first(
    state_with_pack: Path, doorward: Any, photos: Path, play: Callable[[Play], None]
) -> None:
    """Between enrolment and daemon too, where nobody owns the state itself."""
    play(Play(Reason.GRANTED, Reason.NO_MATCH, Reason.NOT_LIVE))
    assert doorward("demo", "--photos", photos).code == 0
    database = state_with_pack / "demo" / "doorward.db"
    before = database.read_bytes()
    with own_demo(state_with_pack / "demo"):
        done = doorward("demo", "--photos", photos)
    assert done.code == BusyError.exit_code
    assert "another demo runs" in done.err
    assert database.read_bytes() == before
    assert doorward("demo", "--photos", photos).code == 0


def test_a_full_disk_is_no_mistake_in_the_program(
    state_with_pack: Path, doorward: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """74, and what to do."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    done = doorward("demo", "--photos", photos)
    assert done.code == FullError.exit_code
    assert "No space left on device" in done.err
    assert "make room" in done.err


@pytest.mark.parametrize(
    ("called", "said"),
    [("/opt/doorward/.venv/bin/doorward", "/opt/doorward/.venv/bin/doorward"), ("pytest", "doorward")],
)
def test_the_command_to_look_further_can_be_typed_as_it_stands(
    state_with_pack: Path,
    doorward: Any,
    photos: Path,
    play: Callable[[Play], None],
    monkeypatch: pytest.MonkeyPatch,
    called: str,
    said: str,
) -> None:
    """An environment that is not on the search path is named."""
    play(Play(Reason.GRANTED, Reason.NO_MATCH, Reason.NOT_LIVE))
    monkeypatch.setattr("sys.argv", [called])
    done = doorward("demo", "--photos", photos)
    assert f" {said} --state {state_with_pack / 'demo'} audit list\n" in done.out


def test_a_command_of_this_folder_is_named_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Shorter than the whole path, and right as long as one stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(tmp_path / ".venv" / "bin" / "doorward")])
    assert typed_command() == ".venv/bin/doorward"
