"""The control socket: the one way into a running daemon, for root, the daemon's own user and one named group.

A Unix stream socket in the state directory. Whoever connects is identified by the kernel (SO_PEERCRED) before a byte is
read; a request is read completely and checked completely before anything is done; whatever goes wrong in a verb is an
answer, never the end of the daemon.
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import stat
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.app.frames import SOCKET_NAME, AttachedFile, Deadline, read_request, reply_error, reply_result
from device.app.requests import Request
from device.errors import BusyError, DoorwardError, StateError
from device.interfaces import Clock

_log = logging.getLogger(__name__)

#: An answer reaches its reader a moment before its slot is free again: whoever asks at once is not told to come back.
_GRACE_S = 0.2
#: ``SO_PEERGROUPS`` of socket(7), asm-generic (x86-64 and aarch64); not in Python's socket module.
_SO_PEERGROUPS = 59
_UCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel says.

    Attributes:
        pid: Process id at the time of connecting.
        uid: User id.
        gids: Primary and supplementary groups.
    """

    pid: int
    uid: int
    gids: frozenset[int]


Handler = Callable[[Request, tuple[AttachedFile, ...], Peer], Any]


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """How long and how many.

    Attributes:
        idle_s: Longest pause of a sender.
        total_s: Longest time for a whole request or answer.
        connections: Served at once; one more is told that the daemon is busy.
        refusal_s: Shortest time between two audit entries about refused peers.
    """

    idle_s: float = 5.0
    total_s: float = 60.0
    connections: int = 4
    refusal_s: float = 60.0


def peer_of(connection: socket.socket) -> Peer:
    """The kernel's word on who connected. Raises OSError."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    try:
        groups = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
    except OSError:
        # A kernel without the option, or more groups than fit: only the primary group counts, which can only refuse.
        groups = b""
    gids = struct.unpack(f"{len(groups) // 4}I", groups[: len(groups) // 4 * 4])
    return Peer(pid=pid, uid=uid, gids=frozenset((gid, *gids)))


class ControlSocket:
    """The server: one thread that accepts, one short-lived thread per connection.

    Args:
        directory: State directory; the caller holds its lock (a socket found there is therefore nobody's and is
            removed).
        handle: Does a peer's request and returns what JSON can hold; may raise DoorwardError. Called from several
            threads.
        refused: Told about a peer that was turned away and how many more there were since; rate-limited.
        clock: Its monotonic side limits the rate.
        group: Gid whose members may connect beside root and the daemon's own user.
        limits: See :class:`SocketLimits`.
        identify: Who is at the other end of a connection.
    """

    def __init__(
        self,
        directory: Path,
        *,
        handle: Handler,
        refused: Callable[[Peer, int], None],
        clock: Clock,
        group: int | None = None,
        limits: SocketLimits = SocketLimits(),
        identify: Callable[[socket.socket], Peer] = peer_of,
    ) -> None:
        self._directory = directory
        self._handle = handle
        self._refused = refused
        self._clock = clock
        self._group = group
        self._limits = limits
        self._identify = identify
        self._slots = threading.BoundedSemaphore(limits.connections)
        self._lock = threading.Lock()
        self._workers: dict[threading.Thread, socket.socket] = {}
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None
        self._wake_in, self._wake_out = socket.socketpair()
        self._refusal_s: float | None = None
        self._suppressed = 0

    @property
    def alive(self) -> bool:
        """Whether connections are being accepted."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind and serve. Raises StateError when the socket cannot be made."""
        self._listener = self._bind()
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """Accept nobody more, end open connections, wait for what is being done; harmless when not started."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._wake_out.send(b"x")
        if self._thread is not None:
            self._thread.join(timeout_s)
        with self._lock:
            workers = tuple(self._workers.items())
        for _, connection in workers:
            # Only the reading half: an answer that is being written may still arrive.
            _quietly(lambda connection=connection: connection.shutdown(socket.SHUT_RD))  # type: ignore[misc]
        end_s = self._clock.monotonic() + timeout_s
        for worker, _ in workers:
            worker.join(max(end_s - self._clock.monotonic(), 0))
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._remove_own()
        self._wake_in.close()
        self._wake_out.close()

    # --- binding -----------------------------------------------------------------------------------------------------

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._bind_in(listener, directory)
            finally:
                os.close(directory)
            listener.listen(8)
            listener.setblocking(False)
        except OSError as exc:
            listener.close()
            raise StateError(
                f"cannot make the control socket in {self._directory}: {exc.strerror}",
                hint="the state directory must be a local one that this user may write to",
            ) from exc
        return listener

    def _bind_in(self, listener: socket.socket, directory: int) -> None:
        try:
            found = os.lstat(SOCKET_NAME, dir_fd=directory)
        except FileNotFoundError:
            pass
        else:
            if not stat.S_ISSOCK(found.st_mode):
                raise OSError(errno.EEXIST, f"{SOCKET_NAME} exists and is not a socket")
            os.unlink(SOCKET_NAME, dir_fd=directory)
        # The socket's own mode becomes the file's: there is no moment at which others could connect.
        os.fchmod(listener.fileno(), 0o600)
        # Through the descriptor, because a socket address holds 107 bytes and a path may be longer.
        listener.bind(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
        if self._group is not None:
            os.chown(SOCKET_NAME, -1, self._group, dir_fd=directory, follow_symlinks=False)
            os.chmod(f"/proc/self/fd/{directory}/{SOCKET_NAME}", 0o660)  # noqa: PTH101
        made = os.lstat(SOCKET_NAME, dir_fd=directory)
        self._inode = made.st_dev, made.st_ino

    def _remove_own(self) -> None:
        path = self._directory / SOCKET_NAME
        try:
            found = path.lstat()
            if (found.st_dev, found.st_ino) == self._inode:
                path.unlink()
        except OSError:
            _log.debug("the control socket was gone already")

    # --- serving -----------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        listener = self._listener
        if listener is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(self._wake_in, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                if self._stopping.is_set():
                    return
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    continue
                except OSError as exc:
                    _log.warning("control: cannot accept: %s", exc.strerror)
                    # Out of descriptors: select() would return at once, again and again.
                    self._stopping.wait(0.1)
                    continue
                try:
                    self._admit(connection)
                except Exception:  # noqa: BLE001  # one peer must not end the service for all
                    _log.exception("control: a connection failed")
                    connection.close()

    def _admit(self, connection: socket.socket) -> None:
        try:
            peer = self._identify(connection)
        except OSError:
            connection.close()
            return
        if not self._welcome(peer):
            with connection:
                self._note_refusal(peer)
            return
        if not self._slots.acquire(timeout=_GRACE_S):
            busy = BusyError("the daemon is answering others", hint="try again in a moment")
            self._send(connection, reply_error(busy), now=True)
            connection.close()
            return
        worker = threading.Thread(target=self._serve, args=(connection, peer), name="control-connection", daemon=True)
        with self._lock:
            self._workers[worker] = connection
        try:
            worker.start()
        except RuntimeError:
            with self._lock:
                del self._workers[worker]
            self._slots.release()
            raise

    def _welcome(self, peer: Peer) -> bool:
        return peer.uid in (0, os.geteuid()) or (self._group is not None and self._group in peer.gids)

    def _note_refusal(self, peer: Peer) -> None:
        now_s = self._clock.monotonic()
        if self._refusal_s is not None and now_s - self._refusal_s < self._limits.refusal_s:
            self._suppressed += 1
            return
        suppressed, self._suppressed = self._suppressed, 0
        self._refusal_s = now_s
        _log.warning("control: uid %d is not allowed (pid %d)", peer.uid, peer.pid)
        self._refused(peer, suppressed)

    def _serve(self, connection: socket.socket, peer: Peer) -> None:
        try:
            with connection:
                self._send(connection, self._answer(connection, peer))
        except Exception:  # noqa: BLE001  # one peer must not end the service for all
            _log.exception("control: a connection failed")
        finally:
            with self._lock:
                self._workers.pop(threading.current_thread(), None)
            self._slots.release()

    def _answer(self, connection: socket.socket, peer: Peer) -> bytes:
        try:
            deadline = Deadline(self._clock.monotonic, idle_s=self._limits.idle_s, total_s=self._limits.total_s)
            incoming = read_request(connection, deadline=deadline)
            return reply_result(self._handle(incoming.request, incoming.files, peer))
        except DoorwardError as exc:
            return reply_error(exc)
        except Exception:  # noqa: BLE001
            # Broken is an answer too; its details belong into the log, not to the other side.
            _log.exception("control: a request failed")
            return reply_error(DoorwardError("internal error", hint="see the daemon's log"))

    def _send(self, connection: socket.socket, raw: bytes, *, now: bool = False) -> None:
        connection.settimeout(0 if now else self._limits.total_s)
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            _log.debug("control: nobody waited for the answer")


def _quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except OSError:
        _log.debug("control: the connection was gone already")
