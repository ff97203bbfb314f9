"""Embeddings kept from one evaluation to the next: one file per pipeline, keyed by the SHA-256 of the picture's bytes.

An entry is used only by the pipeline that made it: the file names, and holds, the identity of models and settings. What
cannot be read is left aside with a note and made anew. The file holds templates of whoever is in the pictures, without
names; it is readable by its owner only. Delete it together with the pictures.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.errors import StateError

_FORMAT: Final = 1
_DIGEST_BYTES: Final = 32
#: A hundred times the largest public set for this purpose.
_MAX_BYTES: Final = 4 * 1024**3


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


NO_FACE: Final = Entry(vector=None, upright=None, usable=False)


@dataclass(slots=True)
class EmbeddingCache:
    """Entries by digest.

    Args:
        path: Where the file is, or will be; None keeps everything in memory.
        identity: 64 hex digits of the pipeline.
    """

    path: Path | None
    identity: str
    _entries: dict[bytes, Entry] = field(default_factory=dict)
    _unsaved: int = 0

    @classmethod
    def open(cls, folder: Path | None, *, identity: str) -> tuple[EmbeddingCache, str | None]:
        """The cache of a pipeline in a folder, and what has to be said about it: why the file is not used."""
        if folder is None:
            return cls(None, identity), None
        path = folder / f"embeddings-{identity[:16]}.npz"
        cache = cls(path, identity)
        try:
            cache._entries = _load(path, identity)
        except FileNotFoundError:
            return cache, None
        except (
            OSError,
            ValueError,
            TypeError,
            AttributeError,
            KeyError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
        ) as exc:
            return cache, f"the cache {path} is not used ({_reason(exc)}); it is made anew"
        return cache, None

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
        path = self.path
        if path is None or not self._unsaved:
            return
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # NamedTemporaryFile makes it 0600.
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                try:
                    np.savez(file, **_arrays(self._entries, self.identity))
                    file.flush()
                    os.fsync(file.fileno())
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError as exc:
            raise StateError(
                f"cannot write the cache of embeddings {path}: {exc.strerror or exc}",
                hint="name a writable folder with --cache, or do without: --no-cache",
            ) from exc
        self._unsaved = 0


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


def _load(path: Path, identity: str) -> dict[bytes, Entry]:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError("it is too large")
    # Opened here, because np.load leaves a file open that turns out to be none of its own.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
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
