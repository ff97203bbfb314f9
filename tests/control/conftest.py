"""A real control socket in a temporary state directory, and a raw peer that may send anything."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from device.app.control_socket import ControlSocket, Peer, SocketLimits
from device.app.frames import SOCKET_NAME, AttachedFile
from device.app.requests import Request
from device.sim.clock import ManualClock


@dataclass
class Daemon:
    """What stands behind the socket: remembers what it was asked, answers what it was told to."""

    state: Path
    clock: ManualClock = field(default_factory=ManualClock)
    asked: list[tuple[Request, tuple[AttachedFile, ...]]] = field(default_factory=list)
    refused: list[tuple[Peer, int]] = field(default_factory=list)
    answer: Callable[[Request], Any] = lambda request: {"verb": request.verb}

    def handle(self, request: Request, files: tuple[AttachedFile, ...], peer: Peer) -> Any:  # noqa: ARG002
        """Remember and answer."""
        self.asked.append((request, files))
        return self.answer(request)

    def turn_away(self, peer: Peer, suppressed: int) -> None:
        """Remember."""
        self.refused.append((peer, suppressed))

    def connect(self) -> socket.socket:
        """A raw connection; five seconds are far more than any answer takes."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(5)
        connection.connect(str(self.state / SOCKET_NAME))
        return connection

    def send(self, *parts: bytes, half_close: bool = True) -> bytes:
        """Send bytes, read the answer to its end."""
        with self.connect() as connection:
            try:
                for part in parts:
                    connection.sendall(part)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # turned away before everything was sent: the answer counts
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    answer = bytearray()
    while True:
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            return bytes(answer)
        if not chunk:
            return bytes(answer)
        answer += chunk


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory."""
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def daemon(state: Path) -> Daemon:
    """The recorder behind the socket; serve it with ``serving``."""
    return Daemon(state)


@pytest.fixture
def serving(daemon: Daemon) -> Iterator[Callable[..., ControlSocket]]:
    """Start sockets for ``daemon``; all are stopped at the end."""
    started: list[ControlSocket] = []

    def start(**options: Any) -> ControlSocket:
        options.setdefault("limits", SocketLimits(idle_s=1.0))
        server = ControlSocket(
            daemon.state, handle=daemon.handle, refused=daemon.turn_away, clock=daemon.clock, **options
        )
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()
