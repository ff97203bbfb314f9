"""The state key and what is derived from it.

One 32-byte secret protects the state directory. Nothing uses it directly: each purpose has a key of its own, derived
with HKDF-SHA256 (RFC 5869), so that none tells anything about another.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from device.errors import StateError

KEY_BYTES = 32


def _derive(state_key: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=b"doorward-state-v1", info=purpose.encode()).derive(
        state_key
    )


@dataclass(frozen=True, slots=True)
class StateKeys:
    """The keys of one state directory.

    Attributes:
        database: Raw SQLCipher key, 32 bytes.
        pack_mac: HMAC key for pack manifests, 32 bytes.
        evaluation_cache: HMAC key for embeddings kept from one evaluation to the next, 32 bytes.
        report_seed: Ed25519 private key that signs what this device reports about itself, 32 bytes (RFC 8032).
        check: HMAC-SHA256 over a fixed word, stored beside the database: tells a wrong key from a damaged file.
    """

    database: bytes = field(repr=False)
    pack_mac: bytes = field(repr=False)
    evaluation_cache: bytes = field(repr=False)
    report_seed: bytes = field(repr=False)
    check: bytes = field(repr=False)

    @classmethod
    def derive(cls, state_key: bytes) -> StateKeys:
        """Derive all keys. Raises StateError unless ``state_key`` has exactly 32 bytes."""
        if len(state_key) != KEY_BYTES:
            raise StateError(
                f"the state key has {len(state_key)} bytes instead of {KEY_BYTES}",
                hint="restore the key from its backup; a new key cannot open the old database",
            )
        tag = hmac.HMAC(_derive(state_key, "key-check"), hashes.SHA256())
        tag.update(b"kcv")
        return cls(
            database=_derive(state_key, "database"),
            pack_mac=_derive(state_key, "pack-manifest"),
            evaluation_cache=_derive(state_key, "evaluation-cache"),
            report_seed=_derive(state_key, "report-signature"),
            check=tag.finalize(),
        )


class KeyFile:
    """A key in a file of mode 0600: for development and the demo; whoever takes the disk takes the key with it."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._path = path
        self._create = create

    @property
    def description(self) -> str:
        """The file's name."""
        return f"key file {self._path}"

    @property
    def weakness(self) -> str | None:
        """A key beside the data protects nothing against a thief of the disk."""
        return "the key lies beside the data: a stolen card can be read"

    def load(self) -> bytes:
        """Read the key, making it first where that was asked for.

        Raises:
            StateError: Missing, of another size, somebody else's, or readable by others.
        """
        if self._create and not self._path.exists():
            self._make()
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as exc:
            raise StateError(
                f"cannot read the key file {self._path}: {exc.strerror}",
                hint="`doorward run` makes one in a new state directory; for an old one restore it from its backup",
            ) from exc
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
                raise StateError(
                    f"the key file {self._path} is readable by others",
                    hint=f"chmod 600 {self._path}, and consider the key as known to them",
                )
            if status.st_uid != os.geteuid():
                raise StateError(
                    f"the key file {self._path} belongs to user id {status.st_uid}, this is user id {os.geteuid()}",
                    hint="run as its owner; a key that somebody else put there is known to them",
                )
            key = file.read(KEY_BYTES + 1)
        if len(key) != KEY_BYTES:
            raise StateError(
                f"the key file {self._path} does not hold exactly {KEY_BYTES} bytes",
                hint="restore it from its backup; a new key cannot open the old database",
            )
        return key

    def _make(self) -> None:
        # Written aside and linked into place: a power cut leaves no short key, and two starters agree on one.
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(aside, self._path)
            except FileExistsError:
                pass
            finally:
                aside.unlink()
        except OSError as exc:
            raise StateError(
                f"cannot make the key file {self._path}: {exc.strerror}",
                hint="choose a writable --state directory",
            ) from exc
