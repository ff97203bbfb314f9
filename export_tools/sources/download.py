"""One file over HTTP, to the last byte: resumed where it broke off, retried with pauses, verified before it is named.

There is no limit on the whole download, only on each wait for the next bytes; a slow line is not an error.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

import requests
import urllib3

from device.errors import DownloadError
from export_tools.sources.archives import matches
from export_tools.sources.index import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from export_tools.sources.pins import Source
from export_tools.sources.unreachable import HINT, told

_CHUNK_BYTES: Final = 1 << 17
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses between attempts that brought nothing; an attempt that brought bytes starts the row anew."""
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE: Final = re.compile(r"^bytes (\d+)-\d+/(?:\d+|\*)$")


class Reporter(Protocol):
    """Who is told how far things are."""

    def begin(self, name: str, *, total: int, done: int) -> None:
        """Something of ``total`` bytes starts, ``done`` of them are there already."""

    def at(self, done: int) -> None:
        """So many bytes are there now; less than before where a download had to start again."""

    def end(self) -> None:
        """What began is over, well or badly."""

    def note(self, text: str) -> None:
        """One line for the person who waits."""


class Silent:
    """A reporter that tells nobody."""

    def begin(self, name: str, *, total: int, done: int) -> None:
        """Nothing."""

    def at(self, done: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class Interrupted(Exception):  # noqa: N818 not an error yet: another attempt follows
    """An attempt ended early; the next one goes on where it stopped."""


def _is_permanent(cause: BaseException) -> bool:
    """Whether asking again cannot help: certificates, addresses, and answers that are not about the moment."""
    if isinstance(cause, requests.HTTPError) and cause.response is not None:
        return cause.response.status_code not in _TRANSIENT
    return isinstance(
        cause, requests.exceptions.SSLError | requests.exceptions.TooManyRedirects | requests.exceptions.InvalidURL
    )


@dataclass(slots=True)
class Patience:
    """How often and after which pause to try again."""

    pause: Callable[[float], None] = time.sleep
    failures: int = 0

    def after(self, what: str, cause: BaseException) -> None:
        """Wait before the next attempt.

        Raises:
            DownloadError: Enough attempts in a row brought nothing, or another one cannot help.
        """
        if self.failures >= len(_PAUSES_S) or _is_permanent(cause):
            raise DownloadError(
                f"{what}: {told(cause)}",
                hint=HINT,
            ) from cause
        self.failures += 1
        self.pause(_PAUSES_S[self.failures - 1])


@dataclass(slots=True, kw_only=True)
class Download:
    """The download of one pinned file from one address into one folder."""

    source: Source
    address: str
    folder: Path
    session: requests.Session
    reporter: Reporter
    patience: Patience

    def run(self) -> Path:
        """Fetch the file; it gets its name only after its sha256 was verified.

        Raises:
            DownloadError: It cannot be fetched, or what the server has is not the pinned file.
        """
        part = self.folder / f"{self.source.file}.part"
        target = self.folder / self.source.file
        try:
            with open_own(part) as file:
                self._fill(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
            sync_folder(self.folder)
        except OSError as exc:
            raise self._disk_error(exc) from exc
        return target

    def _fill(self, file: IO[bytes]) -> None:
        """Bring the part to the pinned file; a part that turns out wrong is started again once, from nothing."""
        resumed = self._transfer(file)
        if matches(file, self.source):
            return
        file.truncate(0)
        if resumed:
            self.reporter.note(f"what was there of {self.source.file} was damaged, starting again")
            self._transfer(file)
            if matches(file, self.source):
                return
            file.truncate(0)
        raise DownloadError(
            f"what the index serves as {self.source.file} is not the pinned file: its sha256 differs",
            hint="the file was altered on the way or at the index; use another index or --mirror",
        )

    def _transfer(self, file: IO[bytes]) -> bool:
        """Fetch until the size is reached; True where bytes from before this call were kept."""
        size = self.source.size_bytes
        there = file.seek(0, os.SEEK_END)
        resumed = 0 < there <= size
        if not resumed:
            file.truncate(0)
            there = 0
        self.reporter.begin(self.source.file, total=size, done=there)
        try:
            while there < size:
                try:
                    self._attempt(file, there)
                except Interrupted as exc:
                    if file.tell() > there:
                        self.patience.failures = 0
                    self.patience.after(f"{self.source.file} cannot be fetched", exc.__cause__ or exc)
                there = file.seek(0, os.SEEK_END)
        finally:
            self.reporter.end()
        return resumed

    def _attempt(self, file: IO[bytes], offset: int) -> None:
        # identity: a server that "compresses" a tar.gz on the way would make offsets meaningless.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        try:
            with self.session.get(
                self.address, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
            ) as response:
                self._position(file, response, offset)
                self._copy(file, response)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            raise Interrupted(str(exc)) from exc

    def _position(self, file: IO[bytes], response: requests.Response, offset: int) -> None:
        """Put the file where the server's bytes belong; a server that ignores Range sends them from the beginning."""
        status = response.status_code
        if status in _TRANSIENT:
            raise Interrupted(f"the server answers {status}")
        if status == requests.codes.requested_range_not_satisfiable and offset:
            file.truncate(0)
            raise Interrupted("the server does not know the rest")
        start = 0
        if status == requests.codes.partial_content:
            announced = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            start = int(announced.group(1)) if announced else -1
        elif status != requests.codes.ok:
            raise DownloadError(
                f"the index answers {status} for {self.source.file}",
                hint="check the proxy settings, or use --mirror with a folder that holds the file",
            )
        if start not in (0, offset):
            file.truncate(0)
            raise Interrupted("the server sends another part than was asked for")
        file.seek(start)
        file.truncate()
        self.reporter.at(start)

    def _copy(self, file: IO[bytes], response: requests.Response) -> None:
        there = file.tell()
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
            there += len(chunk)
            if there > self.source.size_bytes:
                file.truncate(0)
                raise DownloadError(
                    f"what the index serves as {self.source.file} is larger than the pinned file",
                    hint="the file was altered on the way or at the index; use another index or --mirror",
                )
            file.write(chunk)
            self.reporter.at(there)
        if there < self.source.size_bytes:
            raise Interrupted(f"the connection ended after {there} of {self.source.size_bytes} bytes")

    def _disk_error(self, exc: OSError) -> DownloadError:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space" if full else "name a writable folder with --cache or DOORWARD_CACHE"
        return DownloadError(f"cannot write {self.source.file} into {self.folder}: {exc.strerror}", hint=hint)


def open_own(path: Path) -> IO[bytes]:
    """Open a file to read and write, made where it is missing; never one that has another name too.

    In a cache that others can write, a link under an expected name would let them choose which file is overwritten.

    Raises:
        OSError: It is a link, has several names, or is no file.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    file = os.fdopen(handle, "r+b")
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        file.close()
        raise OSError(errno.EINVAL, f"{path.name} is a link or no file", str(path))
    return file


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
