"""How a request travels over the control socket: 4-byte big-endian length, JSON header, then the attachments.

The answer is one JSON document, ended by the closing of the connection. Lengths are checked before memory is taken, and
a sender has a limit for each pause and one for the whole.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device.app.requests import MAX_HEADER_BYTES, Attachment, Header, Request, parse_header
from device.errors import ControlError, DoorwardError

_LENGTH = struct.Struct(">I")
_CHUNK_BYTES = 64 * 1024
#: An answer of this size is a fault; the largest real one is a page of audit entries.
MAX_REPLY_BYTES = 64 * 1024 * 1024
#: Name of the socket in the state directory.
SOCKET_NAME = "control.sock"


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file that came or goes with a request."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Incoming:
    """A complete, valid request."""

    request: Request
    files: tuple[AttachedFile, ...]


class Deadline:
    """The time a peer has: ``idle_s`` for each pause, ``total_s`` for everything (against one byte at a time)."""

    def __init__(self, now: Callable[[], float], *, idle_s: float, total_s: float) -> None:
        self._now = now
        self._idle_s = idle_s
        self._end_s = now() + total_s

    def arm(self, connection: socket.socket) -> None:
        """Set the socket's time-out for its next call. Raises ControlError when no time is left."""
        left_s = self._end_s - self._now()
        if left_s <= 0:
            raise _too_slow()
        connection.settimeout(min(self._idle_s, left_s))


def _too_slow() -> ControlError:
    return ControlError("the request did not arrive in time", hint="send it in one go")


def read_request(connection: socket.socket, *, deadline: Deadline) -> Incoming:
    """Read one request.

    Raises:
        ControlError: Too slow, too large, cut short, or not valid; nothing was done.
    """
    (length,) = _LENGTH.unpack(_read(connection, _LENGTH.size, deadline))
    if not 0 < length <= MAX_HEADER_BYTES:
        raise ControlError(
            f"the header must have 1 to {MAX_HEADER_BYTES} bytes", hint="speak to the socket through `doorward`"
        )
    header = parse_header(bytes(_read(connection, length, deadline)))
    files = tuple(
        AttachedFile(name=each.name, content=bytes(_read(connection, each.size, deadline)))
        for each in header.attachments
    )
    return Incoming(request=header.request, files=files)


def _read(connection: socket.socket, size: int, deadline: Deadline) -> bytearray:
    # Grows with what arrives: a peer that announces 20 MiB and sends nothing has cost nothing.
    buffer = bytearray()
    while len(buffer) < size:
        deadline.arm(connection)
        try:
            chunk = connection.recv(min(_CHUNK_BYTES, size - len(buffer)))
        except TimeoutError as exc:
            raise _too_slow() from exc
        except OSError as exc:
            raise ControlError("the connection broke", hint="try again") from exc
        if not chunk:
            raise ControlError("the request was cut short", hint="try again")
        buffer += chunk
    return buffer


def request_parts(request: Request, *, files: Sequence[AttachedFile]) -> tuple[bytes, ...]:
    """The bytes of a request, in order of sending (attachments are not copied).

    Raises:
        ControlError: Larger than the other side would accept.
    """
    header = Header.model_construct(
        request=request,
        attachments=tuple(Attachment.model_construct(name=each.name, size=len(each.content)) for each in files),
    )
    raw = json.dumps(header.model_dump(mode="json")).encode()
    parse_header(raw)  # the same rules on this side, for a message before anything is sent
    return (_LENGTH.pack(len(raw)), raw, *(each.content for each in files))


def reply_result(result: Any) -> bytes:
    """The answer to a request that was done."""
    return json.dumps({"ok": True, "result": result}, allow_nan=False).encode()


def reply_error(error: DoorwardError) -> bytes:
    """The answer to a request that was not done."""
    told = {
        "class": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
    return json.dumps({"ok": False, "error": told}).encode()


class ToldError(DoorwardError):
    """An error that the daemon told; carries its class, message, hint and exit code over the socket."""

    def __init__(self, message: str, *, kind: str, exit_code: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.exit_code = exit_code


def read_reply(raw: bytes) -> Any:
    """The result in an answer.

    Raises:
        ToldError: The daemon refused or failed.
        ControlError: Not an answer at all.
    """
    broken = ControlError("the daemon's answer is cut short or not understood", hint="see the daemon's log")
    try:
        answer = json.loads(raw)
    except ValueError as exc:
        raise broken from exc
    if not isinstance(answer, dict):
        raise broken
    if answer.get("ok") is True and "result" in answer:
        return answer["result"]
    error = answer.get("error")
    if not isinstance(error, Mapping):
        raise broken
    code = error.get("exit_code")
    raise ToldError(
        str(error.get("message", "")),
        kind=str(error.get("class", "")),
        exit_code=code if isinstance(code, int) and 0 < code < 256 else 1,
        hint=str(error.get("hint", "")),
    )
