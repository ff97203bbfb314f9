"""A package index on the loopback interface that can be told to misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from export_tools.sources.fetch import Fetcher
from export_tools.sources.index import IndexSettings
from export_tools.sources.pins import Archive

FILE_NAME = "thing-1.0.tar.gz"
CONTENT = bytes(range(256)) * 1024


@dataclass
class Index:
    """What the server serves, how it misbehaves (one entry per request of the file, then well), what it was asked."""

    address: str = ""
    content: bytes = CONTENT
    announced_sha256: str | None = None
    file_name: str = FILE_NAME
    faults: list[str] = field(default_factory=list)
    page_faults: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)

    def page(self) -> bytes:
        """The project's page in JSON."""
        hashes = {"sha256": self.announced_sha256} if self.announced_sha256 else {}
        file = {"filename": self.file_name, "url": f"{self.address}files/{self.file_name}", "hashes": hashes}
        return json.dumps({"meta": {"api-version": "1.0"}, "name": "thing", "files": [file]}).encode()


class _Handler(BaseHTTPRequestHandler):
    """Answers for an index; a class made for each server binds it."""

    protocol_version = "HTTP/1.1"
    index: Index

    def do_GET(self) -> None:
        """One request."""
        if self.path.startswith("/simple/"):
            self._page()
        else:
            self.index.ranges.append(self.headers.get("Range"))
            self._file(self.index.faults.pop(0) if self.index.faults else "")

    def _page(self) -> None:
        if self.index.page_faults:
            self._answer(self.index.page_faults.pop(0), b"")
        elif self.path == "/simple/thing/":
            self._answer(200, self.index.page(), {"Content-Type": "application/vnd.pypi.simple.v1+json"})
        else:
            self._answer(404, b"")

    def _file(self, fault: str) -> None:
        if fault.isdigit():
            self._answer(int(fault), b"")
            return
        content, start, status, headers = self.index.content, 0, 200, {}
        asked = self.headers.get("Range")
        if asked is not None and fault != "ignore range":
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
            shown = start + 1 if fault == "wrong range" else start
            headers = {"Content-Range": f"bytes {shown}-{len(content) - 1}/{len(content)}"}
        body = content[start:]
        self._answer(status, body[: len(body) // 2] if fault == "cut" else body, headers, length=len(body))

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = length is not None and length != len(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def index() -> Iterator[Index]:
    """A running index that serves one file of one project."""
    served = Index()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"index": served})) as server:
        server.daemon_threads = True
        served.address = f"http://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def archive() -> Archive:
    """The pinned file."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Archive(
        project="thing", version="1.0", file=FILE_NAME, kind="tar.gz", sha256=digest, size_bytes=len(CONTENT)
    )


@dataclass
class Listener:
    """A reporter that remembers."""

    events: list[tuple[str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def begin(self, name: str, *, total: int, done: int) -> None:
        """Remember."""
        assert name
        assert done <= total
        self.events.append(("begin", done))

    def at(self, done: int) -> None:
        """Remember."""
        self.events.append(("at", done))

    def end(self) -> None:
        """Remember."""
        self.events.append(("end", 0))

    def note(self, text: str) -> None:
        """Remember."""
        self.notes.append(text)


@pytest.fixture
def listener() -> Listener:
    """What the fetcher told."""
    return Listener()


@pytest.fixture
def pauses() -> list[float]:
    """How long the fetcher would have waited, in seconds."""
    return []


@pytest.fixture
def fetcher(tmp_path: Path, index: Index, listener: Listener, pauses: list[float]) -> Fetcher:
    """A fetcher that asks the index on the loopback interface and never waits."""
    settings: Callable[[], IndexSettings] = lambda: IndexSettings(f"{index.address}simple/")  # noqa: E731
    return Fetcher(cache=tmp_path / "cache", reporter=listener, settings=settings, pause=pauses.append)
