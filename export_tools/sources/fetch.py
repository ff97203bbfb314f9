"""Where a pinned file comes from: the cache, a folder of the user's, or its publisher, in this order.

The publisher is the package index for archives of packages and a pinned address for everything else; offline no socket
is opened. Whatever the origin, the file is verified by size and sha256 before it is used, the cached one each time; a
file of that name in the user's folder that is not the pinned one is an error, not a reason to look elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from device.errors import DownloadError
from export_tools.cards import PACKS_DIRECTORY, PhotoCard, load_card
from export_tools.sources.archives import matches, read_members, read_whole
from export_tools.sources.download import Download, Patience, Reporter, Silent, open_own, sync_folder
from export_tools.sources.index import IndexSettings, locate, open_session, pip_settings
from export_tools.sources.pins import Archive, LocalFile, Member, Source, WebFile


def default_cache() -> Path:
    """`$DOORWARD_CACHE/archives`, or `doorward/archives` in the user's cache folder."""
    if named := os.environ.get("DOORWARD_CACHE"):
        return Path(named) / "archives"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "doorward" / "archives"


@dataclass(slots=True, kw_only=True)
class Fetcher:
    """Brings pinned files.

    Args:
        cache: Folder that keeps them; made where it is missing.
        mirror: A folder with the same files under the same names; what it has is not asked of the publisher.
        offline: Never open a socket.
        reporter: Who is told how far it is.
        settings: Answers which index to use; asked only when one is needed.
        pause: What waits between attempts (seconds).
    """

    cache: Path = field(default_factory=default_cache)
    mirror: Path | None = None
    offline: bool = False
    reporter: Reporter = field(default_factory=Silent)
    settings: Callable[[], IndexSettings] = pip_settings
    pause: Callable[[float], None] = time.sleep

    def fetch(self, source: Source) -> Path:
        """A file on this machine that is, to the byte, the pinned one.

        Raises:
            DownloadError: None of the allowed origins has it.
        """
        cached = self.cache / source.file
        if self._verified(cached, source):
            return cached
        if self.mirror is not None and (self.mirror / source.file).is_file():
            return self._from_mirror(self.mirror / source.file, source)
        if isinstance(source, LocalFile):
            raise DownloadError(
                f"{source.file} is yours to bring, and it is not in {self.mirror or 'any mirror'}",
                hint="put it into a folder under exactly this name and name the folder with --mirror",
            )
        if self.offline:
            raise DownloadError(
                f"{source.file} is not in the cache {self.cache}, and --offline forbids to fetch it",
                hint="call this once without --offline, or use --mirror with a folder that holds the file",
            )
        with self._lock():
            if self._verified(cached, source):
                return cached
            return self._from_address(source) if isinstance(source, WebFile) else self._from_index(source)

    def read(self, source: Source) -> bytes:
        """Fetch a file and read the whole of it. Raises DownloadError."""
        return read_whole(self.fetch(source), source)

    def members(self, archive: Archive, members: Sequence[Member]) -> list[bytes]:
        """Fetch an archive and read members out of it. Raises DownloadError."""
        return read_members(self.fetch(archive), archive, members)

    def _verified(self, path: Path, source: Source) -> bool:
        try:
            # Without waiting: a FIFO of that name has no end.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                if matches(file, source):
                    return True
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise DownloadError(
                f"cannot read {path}: {exc.strerror or exc}", hint="remove it, or name another cache with --cache"
            ) from exc
        self.reporter.note(f"{path} is not the pinned file and is not used")
        return False

    def _from_mirror(self, path: Path, source: Source) -> Path:
        """Copy into the cache, so that the photographs and the next run find the file without the mirror."""
        if not self._verified(path, source):
            raise DownloadError(
                f"{path} is not the pinned {source.file}: its sha256 differs", hint="copy the file to the mirror again"
            )
        target, part = self.cache / source.file, self.cache / f"{source.file}.copy"
        with self._lock():
            try:
                with path.open("rb") as original, open_own(part) as copy:
                    copy.truncate(0)
                    shutil.copyfileobj(original, copy, 1 << 20)
                    copy.flush()
                    os.fsync(copy.fileno())
                    if not matches(copy, source):
                        raise DownloadError(f"{path} changed while it was copied", hint="try again")
                part.replace(target)
                sync_folder(self.cache)
            except OSError as exc:
                raise self._cache_error(exc) from exc
        return target

    def _from_address(self, source: WebFile) -> Path:
        with open_session(self.settings()) as session:
            return self._download(source, address=source.url, session=session)

    def _from_index(self, archive: Archive) -> Path:
        settings = self.settings()
        patience = Patience(self.pause)
        with open_session(settings) as session:
            while True:
                try:
                    address = locate(archive, settings=settings, session=session)
                    break
                except requests.RequestException as exc:
                    patience.after(f"the package index {settings.shown} cannot be asked for {archive.file}", exc)
            return self._download(archive, address=address, session=session)

    def _download(self, source: Source, *, address: str, session: requests.Session) -> Path:
        return Download(
            source=source,
            address=address,
            folder=self.cache,
            session=session,
            reporter=self.reporter,
            patience=Patience(self.pause),
        ).run()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One process at a time writes into the cache; a second one waits and then finds the file there."""
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.cache / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise self._cache_error(exc) from exc
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.reporter.note("waiting for another process that fetches into the same cache")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _cache_error(self, exc: OSError) -> DownloadError:
        return DownloadError(
            f"the cache {self.cache} cannot be written: {exc.strerror}",
            hint="name a writable folder with --cache or DOORWARD_CACHE, and see that the disk is not full",
        )


def fetch_photos(names: Sequence[str] = (), *, fetcher: Fetcher) -> dict[str, bytes]:
    """The demo's photographs, as JPEG bytes by file name (`obama.jpg` ...), read from the cached archive.

    Args:
        names: Which ones, all of them if empty.
        fetcher: What brings the archive.

    Raises:
        DownloadError: The archive cannot be had, or there is no photograph of such a name.
        PackError: The description is damaged (``card``).
    """
    card, _ = load_card(PACKS_DIRECTORY / "demo-photos.yaml", PhotoCard)
    wanted = list(names) or list(card.photos)
    if unknown := sorted(set(wanted) - set(card.photos)):
        raise DownloadError(f"there is no photograph {', '.join(unknown)}", hint=f"there are {', '.join(card.photos)}")
    contents = fetcher.members(card.archive, [card.photos[name] for name in wanted])
    return dict(zip(wanted, contents, strict=True))
