"""Archives: verified before they are opened, read member by member, never unpacked."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from device.errors import DownloadError
from export_tools.sources.archives import read_members
from export_tools.sources.pins import Archive, Member

CONTENT = b"weights " * 1000


def _zip(name: str = "pack/model.bin", content: bytes = CONTENT) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack/setup.py", b"raise SystemExit('executed')")
        archive.writestr(name, content)
    return buffer.getvalue()


def _tar(name: str = "pack/model.bin", content: bytes = CONTENT, *, link: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = 0 if link else len(content)
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info, None if link else io.BytesIO(content))
    return buffer.getvalue()


def _pinned(data: bytes, kind: Literal["zip", "tar.gz"]) -> Archive:
    digest = hashlib.sha256(data).hexdigest()
    return Archive(project="p", version="1", file="p-1.x", kind=kind, sha256=digest, size_bytes=len(data))


def _member(content: bytes = CONTENT, name: str = "pack/model.bin") -> Member:
    return Member(member=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_pinned_member_of_a_pinned_archive_is_read(tmp_path: Path, kind: Literal["zip", "tar.gz"]) -> None:
    """Zip and tar alike, and nothing appears on the disk."""
    data = _zip() if kind == "zip" else _tar()
    (tmp_path / "a").write_bytes(data)
    assert read_members(tmp_path / "a", _pinned(data, kind), [_member()]) == [CONTENT]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_altered_archive_is_refused_before_it_is_opened(
    tmp_path: Path, kind: Literal["zip", "tar.gz"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither zipfile nor tarfile sees a byte of it."""
    data = _zip() if kind == "zip" else _tar()
    (tmp_path / "a").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("the archive was opened")

    monkeypatch.setattr(zipfile, "ZipFile", opened)
    monkeypatch.setattr(tarfile, "open", opened)
    with pytest.raises(DownloadError, match="sha256 differs"):
        read_members(tmp_path / "a", _pinned(data, kind), [_member()])


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize(
    "member",
    [_member(name="pack/other.bin"), _member(CONTENT + b"x"), _member(CONTENT[:-1]), _member(b"y" * len(CONTENT))],
)
def test_a_member_that_is_missing_or_not_the_pinned_one_is_refused(
    tmp_path: Path, kind: Literal["zip", "tar.gz"], member: Member
) -> None:
    """By name, size and hash."""
    data = _zip() if kind == "zip" else _tar()
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DownloadError, match="does not hold the pinned"):
        read_members(tmp_path / "a", _pinned(data, kind), [member])


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link under the member's name is no member."""
    data = _tar(link=True)
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DownloadError, match="does not hold the pinned"):
        read_members(tmp_path / "a", _pinned(data, "tar.gz"), [_member()])


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_pinned_file_that_is_no_archive_is_a_clear_error(tmp_path: Path, kind: Literal["zip", "tar.gz"]) -> None:
    """The pin of a description may be wrong, too."""
    (tmp_path / "a").write_bytes(b"not an archive")
    with pytest.raises(DownloadError, match="cannot read"):
        read_members(tmp_path / "a", _pinned(b"not an archive", kind), [_member()])


def test_a_truncated_pinned_tar_is_a_clear_error(tmp_path: Path) -> None:
    """Cut in the middle of its compressed stream."""
    data = _tar()[:60]
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DownloadError):
        read_members(tmp_path / "a", _pinned(data, "tar.gz"), [_member()])
