"""Fetching, against a real server on the loopback interface."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from pydantic import ValidationError

from device.errors import DownloadError
from export_tools.sources.fetch import Fetcher, default_cache, fetch_photos
from export_tools.sources.index import IndexSettings
from export_tools.sources.pins import Archive, LocalFile, WebFile
from export_tools.sources.unreachable import told


@pytest.fixture
def part(fetcher: Fetcher, archive: Archive) -> Path:
    """Where an unfinished download lies."""
    fetcher.cache.mkdir(parents=True)
    return fetcher.cache / f"{archive.file}.part"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt to open a socket fails the test."""

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", opened)
    monkeypatch.setattr(socket, "create_connection", opened)
    monkeypatch.setattr(socket, "getaddrinfo", opened)


def test_a_file_is_fetched_verified_and_kept(fetcher: Fetcher, archive: Archive, index: Any, listener: Any) -> None:
    """The second call asks nobody."""
    path = fetcher.fetch(archive)
    assert path.read_bytes() == index.content
    assert listener.events[0] == ("begin", 0)
    assert listener.events[-2:] == [("at", len(index.content)), ("end", 0)]
    assert fetcher.fetch(archive) == path
    assert index.ranges == [None]
    assert sorted(p.name for p in fetcher.cache.iterdir()) == [".lock", archive.file]


def test_an_interrupted_download_goes_on_where_it_stopped(
    fetcher: Fetcher, archive: Archive, index: Any, part: Path, listener: Any
) -> None:
    """The server is asked for the rest alone."""
    part.write_bytes(index.content[:100_000])
    assert fetcher.fetch(archive).read_bytes() == index.content
    assert index.ranges == ["bytes=100000-"]
    assert listener.events[0] == ("begin", 100_000)
    assert not part.exists()


def test_a_broken_connection_is_taken_up_again(
    fetcher: Fetcher, archive: Archive, index: Any, pauses: list[float]
) -> None:
    """Each attempt asks for what is still missing; progress starts the pauses anew."""
    index.faults = ["cut", "cut", "cut"]
    assert fetcher.fetch(archive).read_bytes() == index.content
    size = len(index.content)
    assert index.ranges == [None, f"bytes={size // 2}-", f"bytes={size * 3 // 4}-", f"bytes={size * 7 // 8}-"]
    assert pauses == [1.0, 1.0, 1.0]


def test_a_server_that_ignores_range_restarts_the_file(
    fetcher: Fetcher, archive: Archive, index: Any, part: Path, listener: Any
) -> None:
    """Its first byte is not appended to what was there."""
    part.write_bytes(index.content[:100_000])
    index.faults = ["ignore range"]
    assert fetcher.fetch(archive).read_bytes() == index.content
    assert ("at", 0) in listener.events


def test_another_range_than_asked_for_restarts_the_file(
    fetcher: Fetcher, archive: Archive, index: Any, part: Path
) -> None:
    """Bytes are never put where they do not belong."""
    part.write_bytes(index.content[:100_000])
    index.faults = ["wrong range"]
    assert fetcher.fetch(archive).read_bytes() == index.content
    assert index.ranges == ["bytes=100000-", None]


def test_a_range_the_server_does_not_know_restarts_the_file(
    fetcher: Fetcher, archive: Archive, index: Any, part: Path
) -> None:
    """Status 416."""
    part.write_bytes(index.content[:100_000])
    index.faults = ["416"]
    assert fetcher.fetch(archive).read_bytes() == index.content
    assert index.ranges == ["bytes=100000-", None]


@pytest.mark.parametrize("length", [1000, 262_144, 300_000])
def test_a_damaged_part_is_thrown_away_and_fetched_anew(
    fetcher: Fetcher, archive: Archive, index: Any, part: Path, length: int
) -> None:
    """Shorter, as long, and longer than the file."""
    part.write_bytes(b"\xff" * length)
    assert fetcher.fetch(archive).read_bytes() == index.content
    assert index.ranges[-1] is None


@pytest.mark.parametrize("status", ["503", "429", "500"])
def test_a_server_that_is_busy_is_asked_again(
    fetcher: Fetcher, archive: Archive, index: Any, pauses: list[float], status: str
) -> None:
    """With growing pauses."""
    index.faults = [status] * 3
    assert fetcher.fetch(archive).read_bytes() == index.content
    assert pauses == [1.0, 2.0, 4.0]


def test_a_server_that_stays_broken_is_given_up(fetcher: Fetcher, archive: Archive, index: Any) -> None:
    """After five attempts that brought nothing, with a hint."""
    index.faults = ["503"] * 20
    with pytest.raises(DownloadError, match="503") as failure:
        fetcher.fetch(archive)
    assert failure.value.exit_code == 68
    assert "goes on where it stopped" in failure.value.hint
    assert len(index.ranges) == 6


def test_a_refusal_is_not_asked_again(fetcher: Fetcher, archive: Archive, index: Any, pauses: list[float]) -> None:
    """Status 403 does not get better by itself."""
    index.faults = ["403"]
    with pytest.raises(DownloadError, match="403"):
        fetcher.fetch(archive)
    assert pauses == []


def test_a_file_of_the_right_size_and_wrong_content_never_gets_its_name(
    fetcher: Fetcher, archive: Archive, index: Any
) -> None:
    """And nothing of it is kept for the next attempt."""
    index.content = b"\0" * len(index.content)
    with pytest.raises(DownloadError, match="sha256 differs"):
        fetcher.fetch(archive)
    assert not (fetcher.cache / archive.file).exists()
    assert (fetcher.cache / f"{archive.file}.part").stat().st_size == 0


def test_a_file_that_is_larger_than_pinned_is_cut_off(fetcher: Fetcher, archive: Archive, index: Any) -> None:
    """The disk is not filled by a server."""
    index.content = index.content * 8
    with pytest.raises(DownloadError, match="larger"):
        fetcher.fetch(archive)
    assert not (fetcher.cache / archive.file).exists()


def test_an_index_that_announces_another_hash_is_not_downloaded_from(
    fetcher: Fetcher, archive: Archive, index: Any
) -> None:
    """The page gives it away before a byte flows."""
    index.announced_sha256 = "0" * 64
    with pytest.raises(DownloadError, match="announces another sha256"):
        fetcher.fetch(archive)
    assert index.ranges == []


def test_an_index_without_the_file_is_a_clear_error(fetcher: Fetcher, archive: Archive, index: Any) -> None:
    """Only the exact file name counts."""
    index.file_name = "thing-1.0-py3-none-any.whl"
    with pytest.raises(DownloadError, match=r"has no thing-1\.0\.tar\.gz"):
        fetcher.fetch(archive)


def test_an_index_without_the_project_is_a_clear_error(fetcher: Fetcher, archive: Archive) -> None:
    """Status 404 on the project's page."""
    with pytest.raises(DownloadError, match="has no"):
        fetcher.fetch(archive.model_copy(update={"project": "other"}))


def test_an_index_page_that_fails_for_a_moment_is_asked_again(
    fetcher: Fetcher, archive: Archive, index: Any, pauses: list[float]
) -> None:
    """The page has the same patience as the file."""
    index.page_faults = [503, 502]
    assert fetcher.fetch(archive).read_bytes() == index.content
    assert pauses == [1.0, 2.0]


def test_an_index_that_nobody_answers_for_is_given_up(fetcher: Fetcher, archive: Archive, pauses: list[float]) -> None:
    """A user and password in its address are not shown."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}/simple/"
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached \(Connection refused\)") as failure:
            dataclasses.replace(fetcher, settings=lambda: IndexSettings(address)).fetch(archive)
    assert "secret" not in failure.value.message
    assert "Pool" not in failure.value.message
    assert pauses == [1.0, 2.0, 4.0, 8.0, 15.0]


def test_a_machine_without_network_hears_which_host_and_what_else_there_is(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a newcomer may see first: one line, without the classes of the HTTP client."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")
    source = WebFile(
        kind="file", url="https://example.invalid/thing.onnx", version="1", file="thing.onnx", sha256="0" * 64,
        size_bytes=4,
    )  # fmt: skip
    with pytest.raises(DownloadError) as failure:
        fetcher.fetch(source)
    assert failure.value.message == (
        "thing.onnx cannot be fetched: example.invalid cannot be reached"
        " (its name is not found: no network, or no name server)"
    )
    assert "--mirror" in failure.value.hint
    assert "proxy" in failure.value.hint


def _deep(*causes: Exception) -> Exception:
    """What the outermost of nested errors looks like, each wrapped as the HTTP client does."""
    inner, *outer = causes
    for each in outer:
        each.args = (inner,)
        inner = each
    return inner


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (requests.ConnectTimeout(), "no connection within 15 s"),
        (requests.ReadTimeout(), "no answer for 60 s"),
        (_deep(ConnectionResetError(), urllib3.exceptions.ProtocolError(), requests.ConnectionError()), "broke off"),
        (_deep(ssl.SSLError(1, "wrong version"), urllib3.exceptions.SSLError(), requests.ConnectionError()), "secure"),
        (urllib3.exceptions.ProxyError("no", OSError("Tunnel failed: 407")), "the proxy: Tunnel failed: 407"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_kind_of_failure_has_its_words(cause: Exception, said: str) -> None:
    """None shows a class or an address of memory."""
    words = told(cause)
    assert said in words
    assert not any(part in words for part in ("Error", "object at", "Pool"))


@pytest.mark.parametrize("fault", [{"page_faults": [403]}, {"faults": ["403"]}])
def test_a_refusal_does_not_quote_user_and_password(
    fetcher: Fetcher, archive: Archive, index: Any, fault: dict[str, Any]
) -> None:
    """The HTTP client's own message holds the address in full."""
    for name, value in fault.items():
        setattr(index, name, value)
    index.address = index.address.replace("//", "//robot:S3cret@")
    with pytest.raises(DownloadError) as failure:
        fetcher.fetch(archive)
    assert "S3cret" not in failure.value.message + failure.value.hint


def test_a_cached_file_that_was_altered_is_fetched_anew(
    fetcher: Fetcher, archive: Archive, index: Any, listener: Any
) -> None:
    """The cache is verified at every use, and the user is told."""
    path = fetcher.fetch(archive)
    path.write_bytes(b"\1" + index.content[1:])
    assert fetcher.fetch(archive).read_bytes() == index.content
    assert any("not the pinned file" in note for note in listener.notes)


@pytest.mark.usefixtures("no_network")
def test_offline_takes_the_cache_and_opens_no_socket(tmp_path: Path, archive: Archive) -> None:
    """With the file there it works, without it the error says what to do."""
    fetcher = Fetcher(cache=tmp_path, offline=True)
    with pytest.raises(DownloadError, match="--offline") as failure:
        fetcher.fetch(archive)
    assert "--mirror" in failure.value.hint
    (tmp_path / archive.file).write_bytes(bytes(range(256)) * 1024)
    assert fetcher.fetch(archive) == tmp_path / archive.file


@pytest.mark.usefixtures("no_network")
def test_a_mirror_replaces_the_index_and_fills_the_cache(tmp_path: Path, archive: Archive) -> None:
    """Same name, same hash; afterwards the mirror may go."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / archive.file).write_bytes(bytes(range(256)) * 1024)
    fetcher = Fetcher(cache=tmp_path / "cache", mirror=mirror)
    assert fetcher.fetch(archive).read_bytes() == bytes(range(256)) * 1024
    (mirror / archive.file).unlink()
    assert fetcher.fetch(archive) == tmp_path / "cache" / archive.file


@pytest.mark.usefixtures("no_network")
def test_another_file_in_the_mirror_is_an_error_not_a_reason_to_go_online(tmp_path: Path, archive: Archive) -> None:
    """The user meant it to be this one."""
    (tmp_path / archive.file).write_bytes(b"another file")
    with pytest.raises(DownloadError, match="sha256 differs"):
        Fetcher(cache=tmp_path / "cache", mirror=tmp_path).fetch(archive)


def test_what_the_mirror_lacks_comes_from_its_publisher(fetcher: Fetcher, archive: Archive, tmp_path: Path) -> None:
    """A folder with some of the files serves; each is pinned wherever it comes from."""
    (tmp_path / "mirror").mkdir()
    fetcher.mirror = tmp_path / "mirror"
    assert fetcher.fetch(archive).is_file()


@pytest.mark.usefixtures("no_network")
def test_offline_nothing_is_asked_of_a_publisher(tmp_path: Path, archive: Archive) -> None:
    """Neither index nor address."""
    web = _web_file("https://host.example/raw/thing.onnx")
    for source in (archive, web):
        with pytest.raises(DownloadError, match="--offline"):
            Fetcher(cache=tmp_path / "cache", mirror=tmp_path, offline=True).fetch(source)


def _web_file(url: str, content: bytes = b"model") -> WebFile:
    digest = hashlib.sha256(content).hexdigest()
    return WebFile(kind="file", url=url, version="1", file="thing.onnx", sha256=digest, size_bytes=len(content))


@pytest.mark.parametrize(
    "url",
    [
        "http://host.example/raw/thing.onnx",
        "https://user:secret@host.example/thing.onnx",
        "https://host.example/thing.onnx?token=1",
        "file:///etc/passwd",
    ],
)
def test_an_address_is_https_and_carries_no_secret(url: str) -> None:
    """A description is public."""
    with pytest.raises(ValidationError):
        _web_file(url)


def test_a_file_behind_an_address_is_fetched_and_read_whole(fetcher: Fetcher, index: Any, tmp_path: Path) -> None:
    """Without asking the package index where it lies."""
    source = _web_file("https://host.example/raw/thing.onnx", index.content)
    local = source.model_copy(update={"url": f"{index.address}files/thing.onnx"})
    index.page_faults = [500] * 10
    assert fetcher.read(local) == index.content
    assert (tmp_path / "cache" / "thing.onnx").is_file()


def test_an_altered_file_behind_an_address_is_refused(fetcher: Fetcher, index: Any, tmp_path: Path) -> None:
    """And does not stay in the cache under its name."""
    source = _web_file("https://host.example/raw/thing.onnx", index.content[:-1] + b"x")
    with pytest.raises(DownloadError):
        fetcher.read(source.model_copy(update={"url": f"{index.address}files/thing.onnx"}))
    assert not (tmp_path / "cache" / "thing.onnx").exists()


@pytest.mark.usefixtures("no_network")
def test_a_file_of_the_owners_comes_from_the_mirror_only(tmp_path: Path) -> None:
    """There is no publisher to ask."""
    digest = hashlib.sha256(b"mine").hexdigest()
    source = LocalFile(kind="local", version="1", file="mine.onnx", sha256=digest, size_bytes=4)
    fetcher = Fetcher(cache=tmp_path / "cache", mirror=tmp_path)
    with pytest.raises(DownloadError, match="yours to bring") as refusal:
        fetcher.read(source)
    assert "--mirror" in refusal.value.hint
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    assert fetcher.read(source) == b"mine"


@pytest.mark.parametrize("kind", ["symbolic", "hard", "fifo"])
@pytest.mark.parametrize("name", ["{}.copy", ".lock"])
def test_nothing_is_copied_through_a_link_in_the_cache(name: str, kind: str, tmp_path: Path) -> None:
    """Whoever else can write there does not choose what is overwritten, nor what the file is a link to."""
    source = LocalFile(
        kind="local", version="1", file="mine.onnx", sha256=hashlib.sha256(b"mine").hexdigest(), size_bytes=4
    )
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    fetcher = Fetcher(cache=tmp_path / "cache", mirror=tmp_path, offline=True)
    victim = _planted(fetcher.cache / name.format("mine.onnx"), kind)
    if kind == "symbolic" or name != ".lock":  # a lock is never written to
        with pytest.raises(DownloadError) as refusal:
            fetcher.read(source)
        assert "--cache" in refusal.value.hint
        assert not (fetcher.cache / "mine.onnx").exists()
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["symbolic", "hard", "fifo"])
def test_nothing_is_downloaded_through_a_link_in_the_cache(fetcher: Fetcher, archive: Archive, kind: str) -> None:
    """Neither from its beginning nor where it broke off."""
    victim = _planted(fetcher.cache / f"{archive.file}.part", kind)
    with pytest.raises(DownloadError) as refusal:
        fetcher.fetch(archive)
    assert "--cache" in refusal.value.hint
    assert victim.read_bytes() == b"precious"


def test_a_fifo_in_the_place_of_a_file_makes_nobody_wait(fetcher: Fetcher, archive: Archive) -> None:
    """It is named, with what to do."""
    _planted(fetcher.cache / archive.file, "fifo")
    with pytest.raises(DownloadError, match="cannot read") as refusal:
        fetcher.fetch(archive)
    assert "remove it" in refusal.value.hint


def _planted(path: Path, kind: str) -> Path:
    """What somebody put into the cache, and the file it should ruin."""
    path.parent.mkdir(parents=True)
    victim = path.parent.parent / "victim"
    victim.write_bytes(b"precious")
    if kind == "symbolic":
        path.symlink_to(victim)
    elif kind == "hard":
        path.hardlink_to(victim)
    else:
        os.mkfifo(path)
    return victim


def test_a_cache_that_cannot_be_written_is_named(fetcher: Fetcher, archive: Archive, tmp_path: Path) -> None:
    """A file lies where the folder should be."""
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(DownloadError) as failure:
        fetcher.fetch(archive)
    assert "--cache" in failure.value.hint


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DOORWARD_CACHE before XDG_CACHE_HOME before the home folder."""
    monkeypatch.delenv("DOORWARD_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "doorward" / "archives"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_cache() == tmp_path / "x" / "doorward" / "archives"
    monkeypatch.setenv("DOORWARD_CACHE", str(tmp_path / "d"))
    assert default_cache() == tmp_path / "d" / "archives"


def test_demo_photographs_come_out_of_the_archive_as_pinned(demo_photos: dict[str, bytes]) -> None:
    """Six JPEG files, none of them on the disk by itself."""
    assert set(demo_photos) >= {"obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"}
    assert all(data[:3] == b"\xff\xd8\xff" for data in demo_photos.values())
    digest = hashlib.sha256(demo_photos["biden.jpg"]).hexdigest()
    assert digest == "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c"


def test_a_photograph_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """Before anything is fetched."""
    with pytest.raises(DownloadError, match=r"nobody\.jpg"):
        fetch_photos(["nobody.jpg"], fetcher=Fetcher(cache=tmp_path, offline=True))


def test_the_lock_file_tells_nothing_to_others(fetcher: Fetcher, archive: Archive) -> None:
    """It is private to the user."""
    fetcher.fetch(archive)
    assert stat.S_IMODE((fetcher.cache / ".lock").stat().st_mode) == 0o600
