"""`doorward run` as a process and as a function: events for machines, orderly ends, sources that are none."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.commands.run import with_source
from device.config import Config, parse_config
from device.errors import CameraError, ConfigError
from device.types import Reason

_COMMAND = [sys.executable, "-c", "from device.cli import main; main()"]
_LIMIT_S = 60


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of an empty room."""
    path = tmp_path / "room.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for number in range(10):
        writer.write(np.full((240, 320, 3), 100 + number, np.uint8))
    writer.release()
    return path


@contextmanager
def running(state: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A daemon of its own process, ended whatever happens."""
    with subprocess.Popen(
        [*_COMMAND, "--state", str(state), "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def next_event(process: subprocess.Popen[str]) -> Any:
    """The next line that it prints."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], _LIMIT_S)[0], "nothing came"
    return json.loads(process.stdout.readline())


def test_a_recording_is_played_to_its_end(state_with_pack: Path, doorward: Any, clip: Path) -> None:
    """One event: ready. Nobody came, nothing was decided; start and stop are on record."""
    done = doorward("run", "--source", clip, "--fast", "--json")
    assert done.code == 0, done.err
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events] == ["ready"]
    assert events[0]["after_s"] > 0
    kinds = [entry["kind"] for entry in doorward("audit", "list", "--json").json["entries"]]
    assert kinds[0] == "start"
    assert kinds[-1] == "stop"
    assert "decision" not in kinds
    assert "SIMULATED" in done.err


def test_a_running_daemon_leaves_no_core_dump(state_with_pack: Path, clip: Path) -> None:
    """It holds templates and a key; nobody who is not root can look into it either."""
    with running(state_with_pack, "--source", str(clip), "--json") as process:
        assert next_event(process)["event"] == "ready"
        limits = Path(f"/proc/{process.pid}/limits").read_text()
    (cores,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert cores.split()[4:6] == ["0", "0"]


def test_decisions_are_events_without_a_name(state_with_pack: Path, doorward: Any, shared: Path) -> None:
    """Whoever stands before the door appears by handle only."""
    clip = shared / "clips" / "intel_asl_no.mkv"
    capture = cv2.VideoCapture(str(clip))
    picture = state_with_pack.parent / "frame.png"
    cv2.imwrite(str(picture), capture.read()[1])
    capture.release()
    lenient = state_with_pack.parent / "lenient.yaml"
    lenient.write_text("gallery: {enrolment: {min_face_px: 50.0, min_sharpness: 3.5}}\n")
    before = ("--config", str(lenient))
    handle = doorward("enroll", "Ada Lovelace", picture, "--json", before=before).json["person"]["handle"]
    done = doorward("run", "--source", clip, "--fast", "--json")
    assert done.code == 0, done.err
    decisions = [json.loads(line) for line in done.out.splitlines()][1:]
    assert decisions
    assert all(event["event"] == "decision" for event in decisions)
    assert all(event["outcome"] == "denied" for event in decisions)
    assert handle in {event["claimed"] for event in decisions}
    assert "Lovelace" not in done.out + done.err
    assert "DENIED" not in done.err
    for_people = doorward("run", "--source", clip, "--fast")
    lines = [line for line in for_people.err.splitlines() if line.startswith("  DENIED ")]
    assert lines  # which reason it is depends on the prompts, which are drawn anew
    for line in lines:
        reason, _, why = line.removeprefix("  DENIED ").partition("  ")
        assert Reason(reason) is not Reason.GRANTED
        assert len(why) > 10
    assert "Lovelace" not in for_people.err
    assert not for_people.out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_in_order(state_with_pack: Path, doorward: Any, number: signal.Signals) -> None:
    """Exit code 0, the cause on record, the state free."""
    folder = state_with_pack.parent / "frames"
    folder.mkdir()
    for name in range(600):
        cv2.imwrite(str(folder / f"{name:04}.png"), np.full((120, 160, 3), name % 250, np.uint8))
    with running(state_with_pack, "--source", str(folder), "--json") as process:
        assert next_event(process)["event"] == "ready"
        process.send_signal(number)
        assert process.wait(_LIMIT_S) == 0
    entries = doorward("audit", "list", "--json").json["entries"]
    assert entries[-1]["kind"] == "stop"
    assert entries[-1]["data"]["cause"] == "signal"
    assert not (state_with_pack / "control.sock").exists()


def test_a_second_daemon_exits_at_once_with_its_own_code(state_with_pack: Path, doorward: Any, clip: Path) -> None:
    """75, naming the first, which goes on answering."""
    folder = state_with_pack.parent / "frames"
    folder.mkdir()
    for name in range(600):
        cv2.imwrite(str(folder / f"{name:04}.png"), np.full((120, 160, 3), name % 250, np.uint8))
    with running(state_with_pack, "--source", str(folder), "--json") as process:
        next_event(process)
        done = doorward("run", "--source", clip, "--fast")
        assert done.code == 75
        assert str(process.pid) in done.err
        assert doorward("status", "--json").json["daemon"]["pid"] == process.pid
        process.terminate()
        assert process.wait(_LIMIT_S) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--source", "/nonexistent.mp4"), 69),
        (("--source", ""), 69),
        (("--source", "0"), 69),
        (("--source", "http://camera/"), 69),
        (("--source", "scene"), 78),
        (("--source", "{picture}"), 69),
        (("--source", "{text}"), 69),
        (("--source", "{damaged}", "--fast"), 69),
        (("--source", "{empty}", "--fast"), 69),
        (("--source", "/dev/video63", "--fast"), 78),
        (("--fast",), 78),
    ],
)
def test_a_source_that_is_none_is_an_error_with_a_hint(
    state_with_pack: Path, doorward: Any, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    """Never a daemon that looks at nothing."""
    places = {name: tmp_path / f"a{name[1:-1]}" for name in ("{picture}", "{text}", "{damaged}", "{empty}")}
    places["{picture}"] = places["{picture}"].with_suffix(".png")
    places["{picture}"].touch()
    places["{text}"].write_text("no video")
    places["{damaged}"] = places["{damaged}"].with_suffix(".mp4")
    places["{damaged}"].write_bytes(os.urandom(5000))
    places["{empty}"].mkdir()
    done = doorward("run", *(places.get(argument, argument) for argument in arguments))
    assert done.code == code, done.err
    assert "hint: " in done.err
    assert "mistake in the program" not in done.err
    assert "Traceback" not in done.err


def test_an_empty_folder_is_refused_before_anything_runs(state_with_pack: Path, doorward: Any, tmp_path: Path) -> None:
    """No start is on record, nothing is logged as a breakdown."""
    (tmp_path / "empty").mkdir()
    done = doorward("run", "--source", tmp_path / "empty", "--fast")
    assert done.code == CameraError.exit_code
    assert "CRITICAL" not in done.err
    assert not doorward("audit", "list", "--json").json["entries"]


def test_a_state_is_not_made_by_mistyping(tmp_path: Path, doorward: Any, clip: Path) -> None:
    """No directory, no key, no database."""
    nowhere = tmp_path / "nowhere"
    done = doorward("run", "--source", clip, before=("--state", str(nowhere)))
    assert done.code == 74
    assert str(nowhere) in done.err
    assert not nowhere.exists()


def test_only_simulations_take_another_source() -> None:
    """A real door looks through its own camera."""
    real = parse_config(b"platform: pi\ndoor: {relay: gpiozero}", origin="test")
    for source, fast in (("x.mp4", False), (None, True)):
        with pytest.raises(ConfigError):
            with_source(real, source=source, fast=fast)
    assert with_source(real, source=None, fast=False) is real
    with pytest.raises(CameraError):
        with_source(Config(), source="/nonexistent.mp4", fast=True)
