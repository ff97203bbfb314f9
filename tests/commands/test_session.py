"""Who answers: the daemon where one runs, the state where none does, an error where that cannot be told."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from device.app.control_socket import ControlSocket
from device.app.frames import AttachedFile
from device.app.requests import EnrollRequest, StatusRequest
from device.commands.session import DaemonSession, open_verbs
from device.config import Config
from device.errors import BusyError, ControlError, NotFoundError
from device.sim.clock import ManualClock
from device.store.lock import StateLock


@pytest.fixture
def daemon(state: Path) -> Any:
    """A socket that answers with the verb, as a running daemon would."""
    asked = []

    def handle(request: Any, files: Any, _: Any) -> Any:
        asked.append(files)
        if request.verb == "people.show":
            raise NotFoundError("nobody", hint="look elsewhere")
        return {"verb": request.verb}

    with StateLock(state):
        server = ControlSocket(state, handle=handle, refused=lambda *_: None, clock=ManualClock())
        server.start()
        yield asked
        server.stop()


def test_a_running_daemon_is_asked(state: Path, daemon: Any) -> None:
    """Several requests in one session, attachments included; the lock is not touched."""
    with open_verbs(state, Config()) as session:
        assert session.daemon
        assert session.call(StatusRequest()) == {"verb": "status"}
        files = (AttachedFile("a.jpg", b"x" * 1_000_000),)
        assert session.call(EnrollRequest(name="Ada"), files) == {"verb": "enroll"}
    assert daemon[-1] == files


def test_an_error_of_the_daemon_ends_the_command_with_its_code(state: Path, daemon: Any, doorward: Any) -> None:
    """Message, hint and exit code as if the command had worked on the state itself."""
    done = doorward("people", "show", "Ada")
    assert (done.code, done.err) == (66, "error: nobody\nhint: look elsewhere\n")


def test_without_a_daemon_the_state_itself_answers(state: Path) -> None:
    """Under the lock, which is free again afterwards."""
    with open_verbs(state, Config()) as session:
        assert not session.daemon
        assert session.call(StatusRequest())["daemon"] is None
        with pytest.raises(BusyError):
            StateLock(state)
    StateLock(state).release()


def test_a_stale_socket_is_no_daemon(state: Path) -> None:
    """What a killed daemon left behind does not keep commands from working."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(state / "control.sock"))
    with open_verbs(state, Config()) as session:
        assert not session.daemon


def test_a_lock_without_an_answer_is_busy(state: Path, doorward: Any) -> None:
    """A daemon that is starting, stopping or stuck: exit code 75 and a hint, no waiting."""
    with StateLock(state):
        done = doorward("people", "list")
    assert done.code == 75
    assert "hint: " in done.err


def _answering(state: Path, answer: bytes) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(state / "control.sock"))
    listener.listen(1)

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b'{"ok": true}', b"\xff\xfe", b'{"ok": false, "error": 3}'])
def test_an_answer_that_is_none_is_a_control_error(state: Path, answer: bytes) -> None:
    """Closed without a word, or not understood: 71, never a result."""
    thread = _answering(state, answer)
    with pytest.raises(ControlError):
        DaemonSession(state).call(StatusRequest())
    thread.join(5)


def test_a_daemon_that_has_gone_is_busy(state: Path) -> None:
    """Between two requests of one command."""
    with pytest.raises(BusyError):
        DaemonSession(state).call(StatusRequest())


def test_a_state_path_that_is_a_file_is_an_error(state: Path, doorward: Any) -> None:
    """Exit code 74, the file is left alone."""
    state.rmdir()
    state.write_text("kept")
    done = doorward("status")
    assert done.code == 74
    assert state.read_text() == "kept"


@pytest.mark.parametrize("verb", ["status", "check", "people list", "audit verify"])
def test_a_mistyped_state_is_no_new_state(state: Path, doorward: Any, verb: str) -> None:
    """Only what enrols or runs makes a directory."""
    state.rmdir()
    assert doorward(*verb.split()).code in (1, 74)
    assert not state.exists()
