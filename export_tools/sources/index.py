"""The Python package index that pip uses here: the only module that asks it where a file lies.

Which index, and which certificates it is trusted by, is pip's own configuration (environment and files); without one
the index client's default applies. The index only tells where a file lies: what the file must be is pinned.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import requests
from pypi_simple import (
    PYPI_SIMPLE_ENDPOINT,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)

from device.errors import DownloadError
from export_tools.sources.pins import Archive

CONNECT_TIMEOUT_S: Final = 15.0
READ_TIMEOUT_S: Final = 60.0
_PIP_TIMEOUT_S: Final = 60.0
_USER_INFO: Final = re.compile(r"(?<=://)[^/\s]*@")
_SETTING: Final = re.compile(r"^(global|:env:)\.(index-url|cert)=(.*)$")


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Address of the index and, where pip is told one, the file of certificates it is trusted by."""

    address: str
    certificates: str | None = None

    @property
    def shown(self) -> str:
        """The address as it may be printed."""
        return without_credentials(self.address)


def without_credentials(text: str) -> str:
    """The text without user and password in any address: messages of the HTTP client quote addresses in full."""
    return _USER_INFO.sub("", text)


def pip_settings() -> IndexSettings:
    """What pip on this machine is configured to use.

    Raises:
        DownloadError: pip cannot be asked, or is configured to use an index that is not reached over HTTP.
    """
    return settings_in(_ask_pip())


def _ask_pip() -> str:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # -I: with -m alone, a module named pip in the caller's folder would run.
    command = [sys.executable, "-I", "-m", "pip", "config", "list"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, check=True, env=environment
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise DownloadError(
            f"pip cannot be asked for its package index ({exc})",
            hint="use a Python with pip, or --mirror with a folder that holds the archives",
        ) from exc
    return answer.stdout


def settings_in(configuration: str) -> IndexSettings:
    """The settings in what `pip config list` prints: the environment before files, as for pip itself.

    Raises:
        DownloadError: The index named there is not reached over HTTP.
    """
    found: dict[tuple[str, str], str] = {}
    for line in configuration.splitlines():
        if setting := _SETTING.match(line):
            origin, name, value = setting.groups()
            found[origin, name] = str(ast.literal_eval(value))
    address = found.get((":env:", "index-url")) or found.get(("global", "index-url")) or PYPI_SIMPLE_ENDPOINT
    # Never an empty string: as a session's `verify` it would switch verification off.
    settings = IndexSettings(address, found.get((":env:", "cert")) or found.get(("global", "cert")) or None)
    if urlsplit(address).scheme not in ("http", "https"):
        raise DownloadError(
            f"the package index {settings.shown} is not reached over HTTP",
            hint="use --mirror with a folder that holds the archives",
        )
    return settings


def open_session(settings: IndexSettings) -> requests.Session:
    """A session that trusts what pip trusts and asks for no re-encoding of what it fetches."""
    session = requests.Session()
    if settings.certificates:
        session.verify = settings.certificates
    return session


def locate(archive: Archive, *, settings: IndexSettings, session: requests.Session) -> str:
    """The address of an archive, found by its exact file name.

    Raises:
        requests.RequestException: The index cannot be reached just now; asking again may help.
        DownloadError: The index has no such file, or announces another sha256 for it.
    """
    client = PyPISimple(settings.address, session=session)
    try:
        page = client.get_project_page(archive.project, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
    except NoSuchProjectError as exc:
        raise _absent(archive, settings) from exc
    except (UnsupportedContentTypeError, UnsupportedRepoVersionError, ValueError) as exc:
        if isinstance(exc, requests.RequestException):
            raise
        raise DownloadError(
            f"{settings.shown} does not answer like a package index ({without_credentials(str(exc))})",
            hint="check pip's index-url setting",
        ) from exc
    for package in page.packages:
        if package.filename == archive.file:
            announced = package.digests.get("sha256", archive.sha256)
            if announced != archive.sha256:
                raise DownloadError(
                    f"{settings.shown} announces another sha256 for {archive.file}",
                    hint="the index serves an altered file; use another index or --mirror",
                )
            return package.url
    raise _absent(archive, settings)


def _absent(archive: Archive, settings: IndexSettings) -> DownloadError:
    return DownloadError(
        f"{settings.shown} has no {archive.file}",
        hint="name a complete index in pip's index-url, or use --mirror with a folder that holds the file",
    )
