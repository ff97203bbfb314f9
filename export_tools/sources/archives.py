"""Pinned files: proven by size and sha256 before anything in them is looked at, then read member by member.

Nothing is ever unpacked onto the disk, built or executed, and no path inside an archive becomes a path outside it.
"""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from device.errors import DownloadError
from export_tools.sources.pins import Archive, Member, Source

_CHUNK_BYTES = 1 << 20


def hash_file(file: IO[bytes]) -> tuple[int, str]:
    """Size and sha256 (hex) of a file from its beginning; leaves the position at its end."""
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def matches(file: IO[bytes], source: Source) -> bool:
    """Whether an open file is, to the byte, the pinned one."""
    return hash_file(file) == (source.size_bytes, source.sha256)


def read_whole(path: Path, source: Source) -> bytes:
    """A pinned file that is itself what is wanted.

    Raises:
        DownloadError: It is not the pinned one, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(source.size_bytes + 1)
    except OSError as exc:
        raise DownloadError(f"cannot read {path}: {exc}", hint="fetch it again: doorward-export fetch") from exc
    if len(data) != source.size_bytes or hashlib.sha256(data).hexdigest() != source.sha256:
        raise DownloadError(
            f"{path} is not the pinned {source.file}: its sha256 differs",
            hint="remove it and fetch it again: doorward-export fetch",
        )
    return data


def read_members(path: Path, archive: Archive, members: Sequence[Member]) -> list[bytes]:
    """Read members of an archive, in the order asked for.

    The archive is hashed and read through one open file, and each member is checked against its own hash.

    Raises:
        DownloadError: The archive or a member is not the pinned one, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not matches(file, archive):
                raise DownloadError(
                    f"{path} is not the pinned {archive.file}: its sha256 differs",
                    hint="remove it and fetch it again: doorward-export fetch",
                )
            file.seek(0)
            found = _from_zip(file, members) if archive.kind == "zip" else _from_tar(file, members)
    except (OSError, zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as exc:
        raise DownloadError(f"cannot read {path}: {exc}", hint="fetch it again: doorward-export fetch") from exc
    for member in members:
        data = found.get(member.member, b"")
        if len(data) != member.size_bytes or hashlib.sha256(data).hexdigest() != member.sha256:
            raise DownloadError(
                f"{archive.file} does not hold the pinned {member.member}",
                hint="the pack description and the archive contradict each other; use an unaltered checkout",
            )
    return [found[member.member] for member in members]


def _from_zip(file: IO[bytes], members: Sequence[Member]) -> dict[str, bytes]:
    found = {}
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        for member in members:
            if member.member in names:
                with archive.open(member.member) as content:
                    found[member.member] = content.read(member.size_bytes + 1)
    return found


def _from_tar(file: IO[bytes], members: Sequence[Member]) -> dict[str, bytes]:
    """One pass, as a compressed stream can only be read forwards; ends with the last member wanted."""
    wanted = {member.member: member.size_bytes for member in members}
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=file, mode="r|gz") as archive:
        for info in archive:
            if info.name in wanted and info.name not in found and info.isreg():
                content = archive.extractfile(info)
                if content is not None:
                    found[info.name] = content.read(wanted[info.name] + 1)
                if len(found) == len(wanted):
                    break
    return found
