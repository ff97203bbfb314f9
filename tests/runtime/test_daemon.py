"""The daemon's threads: what ends them, what they survive, and what is let go when they end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from device.app.control import ControlVerbs
from device.app.control_socket import ControlSocket
from device.app.mailbox import Mailbox
from device.app.requests import PeopleListRequest, PeopleRemoveRequest, PeopleSetRequest, StatusRequest
from device.audit.records import Stopped
from device.camera.capture import CaptureLoop
from device.camera.slot import FrameSlot
from device.clock import SystemClock
from device.commands.session import DaemonSession
from device.config import CameraConfig
from device.errors import CameraError, DoorwardError, FullError, ModelError, StateError
from device.runtime import Daemon, Parts
from device.types import Decision, Frame, Reason, Signal
from tests.app.doorway import FRAME_S, STRANGER, Doorway, Someone, doorway

_PICTURE = np.zeros((48, 64, 3), np.uint8)
#: Long enough for any machine; no test waits for it.
_LIMIT_S = 20.0


class Feed:
    """A source that plays a generator; what stands between two frames runs while the gate waits for the next."""

    description = "a script"

    def __init__(self, door: Doorway, script: Callable[[], Iterator[tuple[Someone, ...]]], *, live: bool) -> None:
        self.live = live
        self._door = door
        self._script = script
        self._playing: Iterator[tuple[Someone, ...]] | None = None
        self._number = 0
        self.closed = 0

    def open(self) -> None:
        """Begin, or go on where it broke off."""
        self._playing = self._playing or self._script()

    def read(self) -> Frame | None:
        """The next frame, a frame's time later."""
        assert self._playing is not None
        there = next(self._playing, None)
        if there is None:
            return None
        self._door.vision.there = there
        self._door.clock.advance(FRAME_S)
        self._number += 1
        # Never twice the same picture: the camera would count as frozen.
        return Frame(_PICTURE + np.uint8(self._number % 200), self._door.clock.monotonic(), self._number)

    def close(self) -> None:
        """Counted."""
        self.closed += 1


class Rig:
    """A daemon around a scripted door."""

    def __init__(self, door: Doorway, directory: Path) -> None:
        self.door = door
        self.directory = directory
        self.decisions: list[Decision] = []
        self.decided = threading.Event()
        self.daemon: Daemon | None = None
        self.slot: FrameSlot | None = None
        self.signals: Any = door.board
        self.keeper: Any = door.keeper

    def play(
        self,
        script: Callable[[], Iterator[tuple[Someone, ...]]],
        *,
        camera: bool = False,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Run a daemon on this script to its end."""
        door, stop, mailbox = self.door, threading.Event(), Mailbox()
        self.slot = slot = FrameSlot()
        verbs = ControlVerbs(
            database=door.database,
            ledger=door.ledger,
            roster=door.roster,
            enroller=cast("Any", None),
            threshold=0.9547,
            margin=0.02,
            run_on_gate=mailbox.call,
            health=lambda: {"decisions": self.decisions},
        )
        feed = Feed(door, script, live=camera)
        config = CameraConfig(reopen_s=0.0)
        self.daemon = Daemon(
            Parts(
                clock=door.clock,
                ledger=door.ledger,
                doorkeeper=self.keeper,
                door=door.keeper._door,
                signals=self.signals,
                slot=slot,
                capture=CaptureLoop(feed, slot, door.clock, config, stop=stop, reopen=camera),
                mailbox=mailbox,
                control=ControlSocket(
                    self.directory,
                    handle=lambda request, files, peer: verbs.answer(request, files, by_uid=peer.uid),
                    refused=lambda _peer, _suppressed: None,
                    clock=SystemClock(),
                ),
                threshold=0.9547,
                about="a test",
            ),
            stop=stop,
            on_decision=self._note,
            on_ready=on_ready,
        )
        try:
            self.daemon.run()
        finally:
            names = {thread.name for thread in threading.enumerate()}
            assert not names & {"capture", "gate"}, "a thread was left behind"
            assert not door.relay.active
            assert not (self.directory / "control.sock").exists()
            assert feed.closed >= 1

    def _note(self, decision: Decision) -> None:
        self.decisions.append(decision)
        self.decided.set()

    def last_words(self) -> str:
        """Why the audit says that it stopped."""
        entry = self.door.entries()[-1]
        assert entry["kind"] == "stop"
        return str(entry["data"]["cause"])


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A daemon that has not begun."""
    with doorway(tmp_path / "state") as door:
        yield Rig(door, tmp_path / "state")


def _ada(frames: int) -> Iterator[tuple[Someone, ...]]:
    for _ in range(frames):
        yield (Someone(),)


def test_the_end_of_the_stream_ends_the_daemon(rig: Rig) -> None:
    """In order: started, granted, the door's answer, stopped; everything is let go."""
    rig.play(lambda: _ada(30))
    assert [decision.reason for decision in rig.decisions] == [Reason.GRANTED]
    kinds = [entry["kind"] for entry in rig.door.entries("start", "decision", "door", "stop")]
    assert kinds == ["start", "decision", "door", "stop"]
    assert rig.last_words() == "end_of_stream"
    assert rig.door.board.shown[-1] is Signal.IDLE
    assert len(rig.door.relay.pulses) == 1


def test_whoever_is_there_when_the_stream_ends_has_left(rig: Rig) -> None:
    """A visit does not survive its stream."""
    rig.play(lambda: _ada(8))
    assert [decision.reason for decision in rig.decisions] == [Reason.LEFT]


def test_a_stop_ends_a_stream_that_would_go_on(rig: Rig) -> None:
    """What SIGTERM does; the cause is on record, and a pulse under way ends at once."""

    def script() -> Iterator[tuple[Someone, ...]]:
        for number in range(1_000_000):
            if number == 40:
                assert rig.daemon is not None
                assert rig.door.relay.active
                rig.daemon.stop(cause="signal")
            yield (Someone(),)

    rig.play(script)
    assert rig.last_words() == "signal"


def test_a_stop_before_the_start_is_obeyed(rig: Rig) -> None:
    """A signal may come at any time."""

    def ready() -> None:
        assert rig.daemon is not None
        rig.daemon.stop(cause="signal")

    rig.play(lambda: _ada(1_000_000), on_ready=ready)
    assert rig.last_words() == "signal"


def test_a_frame_that_cannot_be_dealt_with_leaves_the_door_locked_and_the_daemon_alive(rig: Rig) -> None:
    """The visit is forgotten, the next one begins from nothing and comes to its end."""

    def script() -> Iterator[tuple[Someone, ...]]:
        yield from _ada(10)
        rig.door.vision.blind = ModelError("once")
        yield (Someone(),)
        rig.door.vision.blind = None
        assert rig.door.vision.resets == 1
        yield from _ada(30)

    rig.play(script)
    assert [decision.reason for decision in rig.decisions] == [Reason.GRANTED]
    assert len(rig.door.proofs) == 2
    assert rig.last_words() == "end_of_stream"


def test_a_fault_that_stays_ends_the_daemon_with_its_own_error(rig: Rig) -> None:
    """Ten frames in a row: broken, and said so; the relay is let go although the pulse was not over."""

    def script() -> Iterator[tuple[Someone, ...]]:
        yield from _ada(30)
        assert rig.door.relay.active
        rig.door.vision.blind = ModelError("for good")
        yield from _ada(1_000_000)

    with pytest.raises(ModelError, match="for good"):
        rig.play(script)
    assert not rig.door.relay.active
    assert rig.last_words() == "error"


def test_a_gate_that_dies_at_once_is_raised_too(rig: Rig) -> None:
    """Not only what is an Exception."""

    class Dying:
        def attend(self, _: Frame) -> None:
            raise SystemExit(3)

        def dismiss(self) -> None:
            """Nobody is there."""

    rig.keeper = Dying()
    with pytest.raises(SystemExit):
        rig.play(lambda: _ada(100))
    assert rig.last_words() == "error"


def test_a_part_that_cannot_be_let_go_keeps_no_other_from_it(rig: Rig) -> None:
    """Signals that fail at the end: the relay is closed and the stop is on record all the same."""

    class Broken:
        def show(self, signal: Signal) -> None:
            """Fine until the end."""

        def close(self) -> None:
            raise OSError("no lamp")

    rig.signals = Broken()
    with pytest.raises(OSError, match="no lamp"):
        rig.play(lambda: _ada(3))
    assert rig.last_words() == "end_of_stream"


def test_a_daemon_that_cannot_write_its_start_does_not_start(rig: Rig) -> None:
    """No audit, no door: not a frame is looked at."""
    rig.door.ledger.fails = StateError("the disk is broken")
    with pytest.raises(StateError):
        _play_nothing(rig)
    assert rig.door.vision.embedded == []


def test_starts_and_stops_leave_the_reserve_to_grants(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Ordinary room is used up: what is not written is logged, and whoever may come in comes in."""
    for batch in (500, 20, 1):
        while _fits(rig.door, Stopped("error"), count=batch):
            pass
    rig.play(lambda: _ada(30))
    assert [decision.reason for decision in rig.decisions] == [Reason.GRANTED]
    assert len(rig.door.relay.pulses) == 1
    assert [entry["kind"] for entry in rig.door.entries("start", "decision", "door", "stop")[-2:]] == [
        "decision",
        "door",
    ]
    assert "start could not be audited" in caplog.text
    assert "stop could not be audited" in caplog.text


def _fits(door: Doorway, record: Stopped, *, count: int) -> bool:
    try:
        with door.database.unit():
            for _ in range(count):
                door.ledger.record(record, urgent=False)
    except FullError:
        return False
    return True


def test_a_recording_that_breaks_is_an_error_and_no_end(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The source fails in the middle: the daemon ends with what the camera said."""

    def script() -> Iterator[tuple[Someone, ...]]:
        yield from _ada(3)
        raise CameraError("the file is damaged")

    with pytest.raises(CameraError, match="damaged"):
        rig.play(script)
    assert rig.last_words() == "error"
    told = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert told
    assert all(record.exc_info is None for record in told)  # it was said on purpose; no traceback


def test_a_camera_that_is_lost_dismisses_the_visit_and_is_opened_again(rig: Rig) -> None:
    """left; what comes after the camera is back begins from nothing; all of it is on record."""
    reopened = threading.Event()

    def first() -> Iterator[tuple[Someone, ...]]:
        for _ in range(15):
            yield (Someone(),)
            _until(lambda: rig.slot is not None and rig.slot._idle())
        raise CameraError("unplugged")

    def second() -> Iterator[tuple[Someone, ...]]:
        assert rig.decided.wait(_LIMIT_S)
        reopened.set()
        for _ in range(3):
            yield (Someone(track=2),)

    rig.play(lambda: _Parts(iter([first(), second()])), camera=True)
    assert reopened.is_set()
    assert rig.decisions[0].reason is Reason.LEFT
    states = [entry["data"]["state"] for entry in rig.door.entries("camera")]
    assert "lost" in states
    assert not rig.door.relay.pulses


def test_a_removal_takes_effect_at_the_door_at_once(rig: Rig) -> None:
    """Asked for through the socket in the middle of the visit: the person stays outside."""

    def script() -> Iterator[tuple[Someone, ...]]:
        yield from _ada(12)
        session = DaemonSession(rig.directory)
        assert session.call(StatusRequest())["gallery"]["people"] == 1
        assert session.call(PeopleRemoveRequest(who="Ada"))["name"] == "Ada"
        assert session.call(PeopleListRequest())["people"] == []
        yield from _ada(40)

    rig.play(script)
    assert rig.decisions
    assert all(not decision.granted for decision in rig.decisions)
    assert not rig.door.relay.pulses


def test_whoever_is_disabled_through_the_socket_stays_outside(rig: Rig) -> None:
    """The record at the moment of the decision counts, whatever was voted before."""

    def script() -> Iterator[tuple[Someone, ...]]:
        yield from _ada(12)
        DaemonSession(rig.directory).call(PeopleSetRequest(who="Ada", enabled=False))
        yield from _ada(20)

    rig.play(script)
    assert [decision.reason for decision in rig.decisions] == [Reason.DISABLED]
    assert not rig.door.relay.pulses


def test_the_socket_answers_from_the_moment_it_is_ready(rig: Rig) -> None:
    """on_ready means ready; the answer comes from the gate thread."""
    told: list[int] = []
    asked = threading.Event()

    def ready() -> None:
        told.append(DaemonSession(rig.directory).call(StatusRequest())["gallery"]["people"])
        asked.set()

    def script() -> Iterator[tuple[Someone, ...]]:
        assert asked.wait(_LIMIT_S)
        yield (Someone(STRANGER),)

    rig.play(script, on_ready=ready)
    assert told == [1]


def test_a_request_that_waits_while_the_daemon_stops_is_refused(rig: Rig) -> None:
    """Nobody hangs on a daemon that has gone."""
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(DaemonSession(rig.directory).call(PeopleListRequest()))
        except DoorwardError as exc:
            answers.append(exc)

    thread = threading.Thread(target=ask)

    def script() -> Iterator[tuple[Someone, ...]]:
        yield (Someone(),)
        assert rig.daemon is not None
        rig.daemon.stop()
        thread.start()

    rig.play(script)
    thread.join(_LIMIT_S)
    assert not thread.is_alive()
    assert len(answers) == 1


def test_a_decision_that_cannot_be_reported_does_not_end_the_daemon(rig: Rig) -> None:
    """Whoever listened has gone: the door has moved and is on record, the next visitor is attended to."""

    def gone(decision: Decision) -> None:
        rig.decisions.append(decision)
        raise BrokenPipeError

    rig._note = gone  # type: ignore[method-assign]

    def script() -> Iterator[tuple[Someone, ...]]:
        yield from _ada(30)
        rig.door.clock.advance(10)
        yield from [(Someone(track=2),)] * 30
        yield from [()] * 20

    rig.play(script)
    assert [decision.reason for decision in rig.decisions] == [Reason.GRANTED, Reason.GRANTED]
    assert rig.last_words() == "end_of_stream"


class _Parts:
    """Iterators one after the other; one that raises is followed by the next."""

    def __init__(self, parts: Iterator[Iterator[tuple[Someone, ...]]]) -> None:
        self._parts = parts
        self._now = next(parts)

    def __iter__(self) -> _Parts:
        return self

    def __next__(self) -> tuple[Someone, ...]:
        try:
            return next(self._now)
        except CameraError:
            self._now = next(self._parts)
            raise


def _until(true: Callable[[], object]) -> None:
    """Give way to other threads until it is true."""
    pause = threading.Event()
    for _ in range(20_000):
        if true():
            return
        pause.wait(0.001)
    pytest.fail("it never came to pass")


def _play_nothing(rig: Rig) -> None:
    door = rig.door
    daemon = Daemon(
        cast("Any", _Unused(ledger=door.ledger)),
        stop=threading.Event(),
    )
    daemon.run()


class _Unused:
    """Parts of which only one may be touched."""

    about = "a test"

    class capture:  # noqa: N801  # stands for the part of that name
        """Not run."""

        @staticmethod
        def run() -> None:
            raise AssertionError

    def __init__(self, *, ledger: object) -> None:
        self.ledger = ledger
