"""Attacks on the control socket, against the real server: no verb runs, no exception escapes, the daemon lives on."""

from __future__ import annotations

import itertools
import json
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.app.control_socket import ControlSocket, Peer, SocketLimits, peer_of
from device.app.frames import SOCKET_NAME, AttachedFile, Deadline, ToldError, read_reply, request_parts
from device.app.requests import MAX_HEADER_BYTES, EnrollRequest, PeopleShowRequest, StatusRequest
from device.errors import ControlError, DoorwardError, NotFoundError, StateError

Start = Callable[..., ControlSocket]
STATUS = b"".join(request_parts(StatusRequest(), files=()))


def framed(header: bytes) -> bytes:
    return struct.pack(">I", len(header)) + header


def error_of(answer: bytes) -> dict[str, Any]:
    told = json.loads(answer)
    assert told["ok"] is False
    error = told["error"]
    assert isinstance(error, dict)
    return error


def test_a_request_is_answered(daemon: Any, serving: Start) -> None:
    """The way it is meant to go, attachments included."""
    serving()
    assert read_reply(daemon.send(STATUS)) == {"verb": "status"}
    photos = (AttachedFile("a.jpg", b"A" * 200_000), AttachedFile("b.jpg", b""), AttachedFile("c.jpg", b"C"))
    parts = request_parts(EnrollRequest(name="Ada"), files=photos)
    assert read_reply(daemon.send(*parts)) == {"verb": "enroll"}
    assert daemon.asked[-1] == (EnrollRequest(name="Ada"), photos)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=300), frame=st.booleans())
def test_garbage_never_runs_a_verb_and_never_ends_the_server(
    daemon: Any, serving_garbage: Any, raw: bytes, frame: bool
) -> None:
    """Any bytes, with and without a fitting length: one error as the answer."""
    error = error_of(daemon.send(framed(raw) if frame else raw))
    assert error["class"] == "ControlError"
    assert error["exit_code"] == 71
    assert not daemon.asked
    assert serving_garbage.alive


@pytest.fixture
def serving_garbage(serving: Start) -> ControlSocket:
    """One server for all examples."""
    return serving()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(STATUS) - 1), value=st.integers(1, 255))
def test_a_request_with_one_damaged_byte_is_refused_or_still_a_request(
    daemon: Any, serving_garbage: Any, position: int, value: int
) -> None:
    """Bytes near a real request: an answer in every case (white space may change without harm)."""
    damaged = bytearray(STATUS)
    damaged[position] ^= value
    answer = json.loads(daemon.send(bytes(damaged)))
    assert answer["ok"] in (True, False)
    assert serving_garbage.alive


@pytest.mark.parametrize(
    "header",
    [
        b'{"protocol": 1, "request": {"verb": "status", "verb": "people.list"}}',
        b'{"protocol": 1, "protocol": 1, "request": {"verb": "status"}}',
        b'{"protocol": 1, "request": {"verb": "audit.list", "after": NaN}}',
        b'{"protocol": 1, "request": {"verb": "audit.list", "after": 1e999}}',
        b'{"protocol": 1, "request": {"verb": "audit.list", "after": ' + b"9" * 5000 + b"}}",
        b'{"protocol": 1, "request": ' + b"[" * 20000 + b"}",
        b'{"request":' * 5000,
        b'{"protocol": 1, "request": {"verb": "status"}}'.decode().encode("utf-16"),
    ],
)
def test_json_with_two_meanings_runs_no_verb(daemon: Any, serving: Start, header: bytes) -> None:
    """Duplicate keys, NaN, overflow, depth, another encoding."""
    serving()
    assert error_of(daemon.send(framed(header)))["class"] == "ControlError"
    assert not daemon.asked


@pytest.mark.parametrize("length", [0, MAX_HEADER_BYTES + 1, 2**31, 2**32 - 1])
def test_a_header_length_out_of_bounds_is_refused_at_once(daemon: Any, serving: Start, length: int) -> None:
    """Nothing is read, let alone reserved, for an announced length."""
    serving()
    assert "bytes" in error_of(daemon.send(struct.pack(">I", length), half_close=False))["message"]


def test_an_oversize_attachment_is_refused_before_it_is_sent(daemon: Any, serving: Start) -> None:
    """The header alone decides."""
    serving()
    header = {
        "protocol": 1,
        "request": {"verb": "enroll", "name": "Ada"},
        "attachments": [{"name": "a", "size": 2**40}],
    }
    assert error_of(daemon.send(framed(json.dumps(header).encode()), half_close=False))["class"] == "ControlError"
    assert not daemon.asked


def test_a_request_cut_short_runs_no_verb(daemon: Any, serving: Start) -> None:
    """At every length short of the whole."""
    serving()
    whole = b"".join(request_parts(EnrollRequest(name="Ada"), files=(AttachedFile("a.jpg", b"0123456789"),)))
    for length in range(0, len(whole), 7):
        assert error_of(daemon.send(whole[:length]))["message"] == "the request was cut short"
    assert not daemon.asked


def test_a_sender_that_pauses_is_let_go(daemon: Any, serving: Start) -> None:
    """Half a request and then silence: answered when the pause is over, nothing is done."""
    serving(limits=SocketLimits(idle_s=0.05))
    assert "in time" in error_of(daemon.send(STATUS[:-1], half_close=False))["message"]
    assert not daemon.asked


def test_a_sender_of_single_bytes_has_a_limit_for_the_whole() -> None:
    """Each byte arrives in time, the request does not."""
    seconds = itertools.count(step=20)
    deadline = Deadline(lambda: float(next(seconds)), idle_s=5, total_s=60)
    left, right = socket.socketpair()
    with left, right:
        right.sendall(STATUS)
        for byte in STATUS[:2]:
            deadline.arm(left)
            assert left.recv(1) == bytes((byte,))
        with pytest.raises(ControlError, match="in time"):
            deadline.arm(left)


def test_one_connection_too_many_is_told_so(daemon: Any, serving: Start) -> None:
    """The others are not disturbed, and a place that becomes free is used again."""
    serving(limits=SocketLimits(idle_s=5, connections=2))
    first, second = daemon.connect(), daemon.connect()
    with first, second:
        assert error_of(daemon.send(b"", half_close=False))["class"] == "BusyError"
        first.sendall(STATUS)
        assert json.loads(first.recv(4096))["ok"] is True
        assert first.recv(1) == b""
    # The place is given back just after the answer has gone out.
    for _ in range(1000):
        answer = json.loads(daemon.send(STATUS))
        if answer["ok"]:
            break
        assert answer["error"]["class"] == "BusyError"
    assert answer["ok"]


def peer(*, uid: int, gids: frozenset[int] = frozenset()) -> Callable[[socket.socket], Peer]:
    return lambda _: Peer(pid=4711, uid=uid, gids=gids)


def test_another_users_connection_is_closed_unread_and_reported(daemon: Any, serving: Start) -> None:
    """Not a byte for a stranger, and one report per minute however often one knocks."""
    serving(identify=peer(uid=54321))
    for _ in range(5):
        assert daemon.send(STATUS) == b""
    daemon.clock.advance(61)
    assert daemon.send(STATUS) == b""
    assert not daemon.asked
    assert [(each.uid, suppressed) for each, suppressed in daemon.refused] == [(54321, 0), (54321, 4)]


def test_a_report_that_fails_does_not_end_the_server(
    daemon: Any, serving: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """The audit may be full: strangers stay out, the server stays up."""

    def broken(peer: Peer, suppressed: int) -> None:
        raise StateError("disk full")

    daemon.turn_away = broken
    server = serving(identify=peer(uid=54321))
    assert daemon.send(STATUS) == b""
    assert daemon.send(STATUS) == b""
    assert server.alive
    assert not daemon.asked


def test_a_peer_the_kernel_does_not_name_is_turned_away(daemon: Any, serving: Start) -> None:
    """No credentials, no entry."""

    def unknown(connection: socket.socket) -> Peer:
        raise OSError("no credentials")

    serving(identify=unknown)
    assert daemon.send(STATUS) == b""
    assert not daemon.asked


@pytest.mark.parametrize(("gids", "welcome"), [({1, 77}, True), ({1, 78}, False), (set(), False)])
def test_only_the_named_group_is_welcome(daemon: Any, state: Path, gids: set[int], welcome: bool) -> None:
    """Membership counts, primary or supplementary."""
    server = ControlSocket(
        state,
        handle=daemon.handle,
        refused=daemon.turn_away,
        clock=daemon.clock,
        group=77,
        identify=peer(uid=54321, gids=frozenset(gids)),
    )
    assert server._welcome(Peer(pid=1, uid=54321, gids=frozenset(gids))) is welcome
    server.stop()


def test_root_and_the_daemons_own_user_are_welcome(daemon: Any, serving: Start) -> None:
    """The two that could read the state anyway."""
    serving(identify=peer(uid=0))
    assert read_reply(daemon.send(STATUS))


def test_the_kernels_word_about_a_peer_is_this_process() -> None:
    """SO_PEERCRED on a real pair of sockets."""
    left, right = socket.socketpair()
    with left, right:
        seen = peer_of(left)
    assert (seen.pid, seen.uid) == (os.getpid(), os.geteuid())
    assert os.getegid() in seen.gids


def test_an_expected_error_reaches_the_other_side_whole(daemon: Any, serving: Start) -> None:
    """Class, message, hint, exit code."""

    def missing(_: object) -> None:
        raise NotFoundError("nobody is called Ada", hint="see `doorward people list`")

    daemon.answer = missing
    serving()
    with pytest.raises(ToldError) as caught:
        read_reply(daemon.send(*request_parts(PeopleShowRequest(who="Ada"), files=())))
    assert (caught.value.kind, caught.value.exit_code) == ("NotFoundError", 66)
    assert (caught.value.message, caught.value.hint) == ("nobody is called Ada", "see `doorward people list`")


@pytest.mark.parametrize("answer", [float("nan"), object(), {1, 2}, b"raw", {"a": float("inf")}])
def test_an_answer_that_is_no_json_is_an_internal_error(
    daemon: Any, serving: Start, answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Never half an answer, never the end of the server."""
    daemon.answer = lambda _: answer
    server = serving()
    assert error_of(daemon.send(STATUS))["message"] == "internal error"
    assert server.alive


def test_an_unexpected_error_tells_the_other_side_nothing(
    daemon: Any, serving: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """The details are in the log, the answer is generic, the next request is served."""

    def broken(_: object) -> None:
        raise RuntimeError("secret path /var/lib")

    daemon.answer = broken
    serving()
    error = error_of(daemon.send(STATUS))
    assert (error["class"], error["message"], error["exit_code"]) == ("DoorwardError", "internal error", 1)
    assert "secret path" in caplog.text
    daemon.answer = lambda _: 1
    assert read_reply(daemon.send(STATUS)) == 1


def test_somebody_who_does_not_wait_for_the_answer_harms_nothing(daemon: Any, serving: Start) -> None:
    """Closed before the answer: the server goes on."""
    gone, answered = threading.Event(), threading.Event()

    def slow(_: object) -> str:
        gone.wait(5)
        answered.set()
        return "x" * 10_000_000

    daemon.answer = slow
    serving()
    with daemon.connect() as connection:
        connection.sendall(STATUS)
    gone.set()
    assert answered.wait(5)
    daemon.answer = lambda _: 1
    assert read_reply(daemon.send(STATUS)) == 1


def test_the_socket_is_the_owners_alone(daemon: Any, serving: Start) -> None:
    """Mode 0600 from its first moment, whatever the umask."""
    before = os.umask(0)
    try:
        serving()
    finally:
        os.umask(before)
    status = (daemon.state / SOCKET_NAME).lstat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_with_a_group_the_socket_is_the_groups_too(daemon: Any, serving: Start) -> None:
    """Mode 0660 and never more."""
    serving(group=os.getegid())
    assert stat.S_IMODE((daemon.state / SOCKET_NAME).lstat().st_mode) == 0o660


def test_a_very_long_path_works(tmp_path: Path, daemon: Any, serving: Start) -> None:
    """A socket address holds 107 bytes; a state directory may lie deeper."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    daemon.state = deep
    serving()
    directory = os.open(deep, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
            connection.sendall(STATUS)
            assert read_reply(connection.recv(4096))
    finally:
        os.close(directory)


def test_a_stale_socket_is_replaced(daemon: Any, serving: Start) -> None:
    """What a killed daemon left behind is in nobody's way."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stale:
        stale.bind(str(daemon.state / SOCKET_NAME))
    serving()
    assert read_reply(daemon.send(STATUS))


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_not_a_socket_is_not_removed(daemon: Any, serving: Start, kind: str) -> None:
    """A file or link under the socket's name is somebody's mistake or attack."""
    path = daemon.state / SOCKET_NAME
    if kind == "file":
        path.write_text("kept")
    else:
        path.symlink_to("/nowhere")
    with pytest.raises(StateError):
        serving()
    assert path.is_symlink() or path.read_text() == "kept"


def test_stopping_removes_the_socket_and_only_its_own(daemon: Any, serving: Start) -> None:
    """A successor's socket survives the predecessor's end; stopping twice is harmless."""
    first = serving()
    second = serving()
    first.stop()
    assert read_reply(daemon.send(STATUS))
    second.stop()
    assert not (daemon.state / SOCKET_NAME).exists()


def test_stopping_does_not_wait_for_a_silent_peer(daemon: Any, serving: Start) -> None:
    """An open, silent connection is ended."""
    server = serving(limits=SocketLimits(idle_s=60))
    with daemon.connect() as silent:
        while not server._workers:
            pass
        server.stop()
        assert error_of(silent.recv(4096))["message"] == "the request was cut short"
    assert not server.alive


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"ok": true}', b'{"ok": false}', b'{"ok": 1, "result": 1}', b"\xff"]
)
def test_an_answer_that_is_none_is_an_error(raw: bytes) -> None:
    """Cut short or foreign: never a result."""
    with pytest.raises(DoorwardError):
        read_reply(raw)


def test_too_many_photographs_are_refused_before_sending() -> None:
    """The same rules on the asking side."""
    with pytest.raises(ControlError):
        request_parts(EnrollRequest(name="Ada"), files=tuple(AttachedFile("a", b"") for _ in range(21)))
