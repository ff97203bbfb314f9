"""Upstream files as descriptions pin them: where each comes from, and its sha256 to the byte."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from device.vision.manifest import Sha256, Strict, Text

ArchiveName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$")]
MemberName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+/-]{0,299}$")]
PhotoName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}\.jpg$")]
ByteCount = Annotated[int, Field(ge=1, le=1 << 30)]


class Archive(Strict):
    """A file of a package index, pinned to the byte."""

    project: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")]
    version: Text
    file: ArchiveName
    kind: Literal["zip", "tar.gz"]
    sha256: Sha256
    size_bytes: ByteCount


class Member(Strict):
    """A file inside an archive, pinned to the byte."""

    member: MemberName
    sha256: Sha256
    size_bytes: ByteCount


class WebFile(Strict):
    """A file behind an address that names one version of it for ever, pinned to the byte."""

    kind: Literal["file"]
    url: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9./_%+~-]{3,500}$")]
    version: Text
    file: ArchiveName
    sha256: Sha256
    size_bytes: ByteCount


class LocalFile(Strict):
    """A file that the owner of the device brings, beside the description, pinned to the byte."""

    kind: Literal["local"]
    version: Text
    file: ArchiveName
    sha256: Sha256
    size_bytes: ByteCount


Source = Annotated[Archive | WebFile | LocalFile, Field(discriminator="kind")]
