"""Embeddings kept from one evaluation to the next: one file per pipeline, keyed by the SHA-256 of the picture's bytes.

A door's threshold is derived from them, so whoever can write the file could open the door. It is sealed with a key of
the state directory and read only where nobody else can write; whatever is not so is left aside with a note, and made
anew. An entry is used only by the pipeline that made it: the file holds the identity of models and settings. It holds
templates of whoever is in the pictures, without names; it is readable by its owner only. Delete it together with the
pictures.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.errors import StateError

_FORMAT: Final = 2
_DIGEST_BYTES: Final = 32
#: A million faces of 128 numbers.
_MAX_BYTES: Final = 1 << 30
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class CachePlace:
    """Where embeddings are kept, and what vouches for them.

    Attributes:
        folder: Made where it is missing.
        key: 32 bytes, :attr:`device.keys.StateKeys.evaluation_cache`.
    """

    folder: Path
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What the pipeline made of one picture.

    Attributes:
        vector: (D,) float32 of unit length, chip and mirrored chip; None where no face was found.
        upright: The same of the chip alone.
        usable: Whether the door would compare this face.
    """

    vector: NDArray[np.float32] | None
    upright: NDArray[np.float32] | None
    usable: bool


_DAMAGE: Final = (
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)

_ELSEWHERE: Final = "name another with --embeddings, or keep none with --no-embeddings"

NO_FACE: Final = Entry(vector=None, upright=None, usable=False)


@dataclass(slots=True)
class EmbeddingCache:
    """Entries by digest.

    Args:
        place: Where the file is, or will be; None keeps everything in memory.
        identity: 64 hex digits of the pipeline.
    """

    place: CachePlace | None
    identity: str
    _entries: dict[bytes, Entry] = field(default_factory=dict)
    _unsaved: int = 0

    @classmethod
    def open(cls, place: CachePlace | None, *, identity: str) -> tuple[EmbeddingCache, str | None]:
        """The cache of a pipeline, and what has to be said about it: why its file, or its folder, is not used."""
        cache = cls(place, identity)
        path = cache.path
        if place is None or path is None:
            return cache, None
        try:
            folder = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return cache, None
        except OSError as exc:
            return cls(None, identity), f"the folder {place.folder} is not used: {exc.strerror}; {_ELSEWHERE}"
        try:
            if fault := _not_ours(os.fstat(folder)):
                return cls(None, identity), f"the folder {place.folder} is not used: {fault}; {_ELSEWHERE}"
            cache._entries = _load(_read(path.name, folder), place.key, identity)
        except FileNotFoundError:
            return cache, None
        except _DAMAGE as exc:
            return cache, f"the cache {path} is not used ({_reason(exc)}); it is made anew"
        finally:
            os.close(folder)
        return cache, None

    @property
    def path(self) -> Path | None:
        """The file; it has another name for each key, so that two state directories can share a folder."""
        if self.place is None:
            return None
        name = hmac.digest(self.place.key, bytes.fromhex(self.identity), hashlib.sha256).hex()[:16]
        return self.place.folder / f"embeddings-{name}.cache"

    def __len__(self) -> int:
        """How many pictures it knows."""
        return len(self._entries)

    @property
    def unsaved(self) -> int:
        """How many entries only memory knows."""
        return self._unsaved

    def get(self, digest: bytes) -> Entry | None:
        """What is known about a picture."""
        return self._entries.get(digest)

    def put(self, digest: bytes, entry: Entry) -> None:
        """Remember."""
        self._entries[digest] = entry
        self._unsaved += 1

    def save(self) -> None:
        """Write the file if anything is new: beside its place, then moved there. Raises StateError."""
        place, path = self.place, self.path
        if place is None or path is None or not self._unsaved:
            return
        content = io.BytesIO()
        np.savez(content, **_arrays(self._entries, self.identity))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # NamedTemporaryFile makes it 0600.
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                try:
                    file.write(hmac.digest(place.key, content.getbuffer(), hashlib.sha256))
                    file.write(content.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError as exc:
            raise StateError(
                f"cannot write the cache of embeddings {path}: {exc.strerror or exc}",
                hint=_ELSEWHERE,
            ) from exc
        self._unsaved = 0

    def require_writable(self) -> None:
        """Make the folder and a nameless file in it, as :meth:`save` will: better now than after an hour of work.

        Raises:
            StateError: It cannot be done.
        """
        if self.place is None:
            return
        try:
            self.place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.place.folder):
                pass
        except OSError as exc:
            raise StateError(
                f"embeddings cannot be kept in {self.place.folder}: {exc.strerror or exc}", hint=_ELSEWHERE
            ) from exc

    def others(self) -> tuple[str, ...]:
        """What else lies in the folder and holds templates, one note each; nothing of it is read, or removed.

        Files of earlier versions are always told. Other caches are told when this pipeline begins its own: they may be
        those of another pack, or what a change of models, settings or alignment has left behind.
        """
        path = self.path
        if self.place is None or path is None:
            return ()
        old = sorted(self.place.folder.glob("embeddings-*.npz"))
        caches = [] if path.exists() else sorted(self.place.folder.glob("embeddings-*.cache"))
        told = []
        if old:
            told.append(f"an earlier version left templates in {_listed(old)}: nothing reads them, delete them")
        if caches:
            told.append(
                f"there are embeddings of other packs, settings or versions in {_listed(caches)}: delete what is no"
                " longer needed"
            )
        return tuple(told)


def _listed(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - 1} more beside it" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def _arrays(entries: dict[bytes, Entry], identity: str) -> dict[str, Any]:
    rows = list(entries.items())
    vectors = [(entry.vector, entry.upright) for _, entry in rows if entry.vector is not None]
    dimension = vectors[0][0].size if vectors else 0
    return {
        "format": np.array(_FORMAT),
        "identity": np.frombuffer(bytes.fromhex(identity), np.uint8),
        "digests": np.frombuffer(b"".join(digest for digest, _ in rows), np.uint8).reshape(-1, _DIGEST_BYTES),
        "found": np.array([entry.vector is not None for _, entry in rows], np.bool_),
        "usable": np.array([entry.usable for _, entry in rows], np.bool_),
        "vectors": np.array([vector for vector, _ in vectors], np.float32).reshape(len(vectors), dimension),
        "upright": np.array([upright for _, upright in vectors], np.float32).reshape(len(vectors), dimension),
    }


def _not_ours(status: os.stat_result) -> str | None:
    if status.st_uid != os.geteuid():
        return f"it belongs to user id {status.st_uid}"
    return "others can write to it" if status.st_mode & _OTHERS_WRITE else None


def _read(name: str, folder: int) -> bytes:
    """The file's bytes. Raises OSError, ValueError where somebody else could have written it."""
    # Without O_NONBLOCK a FIFO would wait for ever.
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if fault := _not_ours(status):
            raise ValueError(fault)
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError("it is too large")
    return data


def _load(data: bytes, key: bytes, identity: str) -> dict[bytes, Entry]:
    """What a file holds; nothing of it is parsed before its seal has been verified."""
    content = memoryview(data)[_DIGEST_BYTES:]
    if not hmac.compare_digest(data[:_DIGEST_BYTES], hmac.digest(key, content, hashlib.sha256)):
        raise ValueError("it was not sealed with the key of this state directory, or it is damaged")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        if int(stored["format"]) != _FORMAT or stored["identity"].tobytes().hex() != identity:
            raise ValueError("it is of another pipeline")
        digests, found, usable = stored["digests"], stored["found"], stored["usable"]
        vectors, upright = stored["vectors"], stored["upright"]
    count = int(np.count_nonzero(found))
    if (
        digests.dtype != np.uint8
        or digests.shape != (found.size, _DIGEST_BYTES)
        or found.dtype != np.bool_
        or found.shape != usable.shape
        or any(part.dtype != np.float32 or part.ndim != 2 or len(part) != count for part in (vectors, upright))
        or vectors.shape != upright.shape
    ):
        raise ValueError("its parts do not fit")
    for part in (vectors, upright):
        if not np.allclose(np.linalg.norm(part, axis=1), 1, atol=1e-4):
            raise ValueError("it holds what is no embedding")
        part.setflags(write=False)
    entries: dict[bytes, Entry] = {}
    row = 0
    for digest, has_face, good in zip(digests, found.tolist(), usable.tolist(), strict=True):
        if has_face:
            entries[digest.tobytes()] = Entry(vector=vectors[row], upright=upright[row], usable=good)
            row += 1
        else:
            entries[digest.tobytes()] = NO_FACE
    return entries


def _reason(exc: Exception) -> str:
    return str(exc).partition("\n")[0][:120] or type(exc).__name__
