"""Who answers a command: the running daemon through its socket, or, where none runs, the state itself under its lock.

Both take the same requests and give the same answers: behind both stands :class:`device.app.control.ControlVerbs`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from device.app.frames import MAX_REPLY_BYTES, SOCKET_NAME, AttachedFile, read_reply, request_parts
from device.app.requests import Request
from device.config import Config
from device.errors import BusyError, ControlError, StateError

if TYPE_CHECKING:
    from device.app.control import ControlVerbs

#: Longest wait for the daemon: it may have twenty photographs to judge between frames, on a small board.
_ANSWER_S = 180.0
_CONNECT_S = 5.0


class Session(Protocol):
    """Somebody who answers requests."""

    @property
    def daemon(self) -> bool:
        """Whether it is a running daemon."""

    def call(self, request: Request, files: Sequence[AttachedFile] = ()) -> Any:
        """The answer. Raises DoorwardError; then nothing has changed."""


class DaemonSession:
    """Asks a running daemon, one connection per request."""

    daemon = True

    def __init__(self, state: Path) -> None:
        self._state = state

    def call(self, request: Request, files: Sequence[AttachedFile] = ()) -> Any:
        """See :class:`Session`. Raises BusyError when the daemon has gone meanwhile, ControlError when it is silent."""
        parts = request_parts(request, files=files)
        connection = connect(self._state)
        if connection is None:
            raise BusyError("the daemon has stopped in the middle of this command", hint="try again")
        with connection:
            connection.settimeout(_ANSWER_S)
            try:
                for part in parts:
                    connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it answered before it had read everything: the answer tells why
            except TimeoutError as exc:
                raise _silent() from exc
            return read_reply(_receive(connection))


class LocalSession:
    """Asks the state itself; the lock is held by whoever made ``verbs``."""

    daemon = False

    def __init__(self, verbs: ControlVerbs) -> None:
        self.verbs = verbs

    def call(self, request: Request, files: Sequence[AttachedFile] = ()) -> Any:
        """See :class:`Session`."""
        return self.verbs.answer(request, files, by_uid=os.getuid())


@contextmanager
def open_verbs(state: Path, config: Config, *, create: bool = False) -> Iterator[Session]:
    """Whoever answers for this state directory.

    Args:
        state: The directory; one that does not exist is made only with ``create``: a mistyped --state is no new state.
        config: In force where no daemon runs.
        create: See ``state``.

    Raises:
        BusyError: The state is owned by a process that does not answer.
        StateError: There is no such state, or it cannot be opened.
        ControlError: The daemon may not be spoken to by this user.
    """
    connection = connect(state)
    if connection is not None:
        connection.close()
        yield DaemonSession(state)
        return
    if not create and not state.exists():
        raise StateError(
            f"there is no state directory {state}", hint="check --state; `doorward enroll` makes a new one"
        )
    # Here, because it brings models and drivers along: who speaks to a daemon need not wait for them.
    from device.wiring.people import open_offline  # noqa: PLC0415

    with open_offline(state, config) as verbs:
        yield LocalSession(verbs)


def connect(state: Path) -> socket.socket | None:
    """A connection to the daemon of this state directory; None where none listens.

    Raises:
        ControlError: A daemon may be there, but this user must not speak to it, or it does not take connections.
    """
    try:
        directory = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise StateError(f"cannot use the state directory {state}: {exc.strerror}", hint="check --state") from exc
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.settimeout(_CONNECT_S)
    try:
        # Through the descriptor: a socket address holds 107 bytes, a path may be longer.
        connection.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except PermissionError as exc:
        connection.close()
        raise ControlError(
            f"this user may not speak to the daemon of {state}", hint="use the daemon's own user, its group, or root"
        ) from exc
    except OSError as exc:
        connection.close()
        raise ControlError(f"the daemon of {state} takes no connection: {exc}", hint="try again in a moment") from exc
    finally:
        os.close(directory)
    return connection


def _receive(connection: socket.socket) -> bytes:
    answer = bytearray()
    while True:
        try:
            chunk = connection.recv(64 * 1024)
        except ConnectionResetError:
            chunk = b""
        except TimeoutError as exc:
            raise _silent() from exc
        if not chunk:
            break
        answer += chunk
        if len(answer) > MAX_REPLY_BYTES:
            raise ControlError("the daemon's answer does not end", hint="see the daemon's log")
    if not answer:
        raise ControlError(
            "the daemon closed the connection without an answer",
            hint="this user is not allowed, or the daemon is stopping",
        )
    return bytes(answer)


def _silent() -> ControlError:
    return ControlError("the daemon does not answer", hint="see `doorward check` and the daemon's log")
