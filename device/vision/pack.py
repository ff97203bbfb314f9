"""Model packs: which file plays which role, and the proof that it is the one that was built.

A pack is a folder: ``manifest.json``, ``manifest.mac``, where its maker signed it ``manifest.sig``, and the files the
manifest names, nothing else. The manifest is authenticated (HMAC-SHA256 under a key derived from the state key, and an
Ed25519 signature where the owner's configuration names a key) before a byte of it is parsed, and a file is used only as
the very bytes whose size and sha256 were checked. Whatever does not match is a :class:`device.errors.PackError` with
its own ``reason``; there is no second choice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from device.errors import PackError
from device.vision.manifest import FileEntry, Manifest, ModelEntry, Role, Thresholds

MANIFEST_NAME: Final = "manifest.json"
MAC_NAME: Final = "manifest.mac"
SIGNATURE_NAME: Final = "manifest.sig"

_MAX_MANIFEST_BYTES: Final = 256 * 1024
_MAC_HEADER: Final = b"doorward-pack-mac-1"
_MAX_MAC_BYTES: Final = 256
_MAC_KEY_BYTES: Final = 32
_SIGNATURE_HEADER: Final = b"doorward-pack-signature-1\n"
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack whose manifest is authentic. Its model files are checked when they are read, each time."""

    directory: Path
    manifest: Manifest

    def model(self, role: Role) -> ModelEntry:
        """What the manifest says about the model of a role."""
        return self.manifest.models[role]

    @property
    def thresholds(self) -> Thresholds:
        """The pack's operating points.

        Raises:
            PackError: ``uncalibrated``: nobody measured what this embedder's similarities mean.
        """
        if self.manifest.thresholds is None:
            raise PackError(
                f"nobody measured what similarities of {self.manifest.models['embedder'].model_id} mean: no threshold",
                reason="uncalibrated",
                hint=f"doorward-export calibrate --pack {self.manifest.pack} --images DIR --target-fmr 1e-5",
            )
        return self.manifest.thresholds

    def read(self, role: Role) -> bytes:
        """The bytes of a model, verified; make the session from these bytes, never from the path.

        Raises:
            PackError: ``missing``, ``symlink``, ``unreadable``, ``size``, ``swapped`` or ``altered``.
        """
        return self.read_file(self.manifest.models[role])

    def read_engine(self, role: Role) -> bytes:
        """The bytes of a model's TensorRT engine, verified: to load an engine is to run what is in it.

        Raises:
            PackError: As :meth:`read`, and ``no_engine``: the pack was not built for TensorRT.
        """
        engine = self.manifest.models[role].engine
        if engine is None:
            raise _refuse(self.directory, f"the {role} model has no TensorRT engine", reason="no_engine")
        return self.read_file(engine)

    def read_file(self, entry: FileEntry) -> bytes:
        """The bytes of a file of the manifest, verified. Raises PackError as :meth:`read`."""
        files = self.manifest.files
        # The limit covers every file of the pack, so that a larger one in this one's place is recognised.
        data = _read_file(self.directory, entry.file, limit=max(file.size_bytes for file in files) + 1)
        digest = hashlib.sha256(data).hexdigest()
        if hmac.compare_digest(digest, entry.sha256):
            return data
        where = str(self.directory / entry.file)
        for foreign in files:
            if digest == foreign.sha256:
                raise _refuse(self.directory, f"{where} is {foreign.file} in the wrong place", reason="swapped")
        if len(data) != entry.size_bytes:
            raise _refuse(
                self.directory,
                f"{where} does not have the size in the manifest, {entry.size_bytes} bytes",
                reason="size",
            )
        raise _refuse(self.directory, f"{where} does not have the sha256 in the manifest", reason="altered")

    def require_whole(self) -> None:
        """Check the folder and every file in it. Raises PackError as :meth:`read`, and ``extra_file``."""
        _compare_folder(self)
        for entry in self.manifest.files:
            self.read_file(entry)


def load_pack(
    directory: Path, *, mac_key: bytes, signed_by: Ed25519PublicKey | None = None, name: str | None = None
) -> Pack:
    """Open a pack: authenticate the manifest, then parse it, then compare the folder with it.

    Args:
        directory: The folder of the pack.
        mac_key: 32 bytes, :attr:`device.keys.StateKeys.pack_mac`.
        signed_by: Whose signature the manifest must carry; without it a signature is not looked at.
        name: Which pack it must be; the name of the folder proves nothing.

    Raises:
        PackError: ``missing``, ``symlink``, ``unreadable``, ``mac_malformed``, ``wrong_key``, ``manifest_altered``,
            ``unsigned``, ``wrong_signature``, ``schema``, ``wrong_pack`` or ``extra_file``.
    """
    pack = load_manifest(directory, mac_key=mac_key, signed_by=signed_by, name=name)
    _compare_folder(pack)
    return pack


def load_manifest(
    directory: Path, *, mac_key: bytes, signed_by: Ed25519PublicKey | None = None, name: str | None = None
) -> Pack:
    """A pack of which only the manifest was looked at: files may be missing. Otherwise as :func:`load_pack`."""
    manifest_bytes = _read_file(directory, MANIFEST_NAME, limit=_MAX_MANIFEST_BYTES + 1)
    _verify_mac(
        manifest_bytes, _read_file(directory, MAC_NAME, limit=_MAX_MAC_BYTES + 1), mac_key=mac_key, directory=directory
    )
    if signed_by is not None:
        _verify_signature(manifest_bytes, signed_by=signed_by, directory=directory)
    try:
        manifest = Manifest.model_validate_json(manifest_bytes)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _refuse(
            directory, f"the manifest of {directory} is not of this version: {place}: {first['msg']}", reason="schema"
        ) from exc
    if name is not None and manifest.pack != name:
        raise _refuse(directory, f"{directory} is the pack {manifest.pack!r}, not {name!r}", reason="wrong_pack")
    return Pack(directory=directory, manifest=manifest)


def write_manifest(
    directory: Path,
    manifest: Manifest,
    *,
    mac_key: bytes,
    sign_with: Ed25519PrivateKey | None = None,
    signature: bytes | None = None,
) -> None:
    """Write ``manifest.json``, its seal and its signature into a folder that has none, and flush them to the disk.

    Args:
        directory: The folder.
        manifest: What to write.
        mac_key: 32 bytes, :attr:`device.keys.StateKeys.pack_mac`.
        sign_with: The maker's key.
        signature: One that was made elsewhere over this very manifest, see :func:`read_signature`.

    Raises:
        PackError: ``unwritable``.
    """
    data = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True).encode() + b"\n"
    key_id, tag = _tags(data, mac_key=mac_key, directory=directory)
    contents = {MANIFEST_NAME: data, MAC_NAME: b" ".join((_MAC_HEADER, key_id, tag)) + b"\n"}
    if sign_with is not None:
        signature = sign_with.sign(_SIGNATURE_HEADER + data)
    if signature is not None:
        contents[SIGNATURE_NAME] = signature
    try:
        for name, content in contents.items():
            with (directory / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    except OSError as exc:
        raise _refuse(
            directory, f"cannot write the manifest into {directory}: {exc.strerror}", reason="unwritable"
        ) from exc


def read_signature(directory: Path) -> bytes | None:
    """The signature of a pack's manifest as it lies there, not verified; None where it is not signed.

    Raises:
        PackError: ``symlink`` or ``unreadable``.
    """
    if not os.path.lexists(directory / SIGNATURE_NAME):
        return None
    return _read_file(directory, SIGNATURE_NAME, limit=_SIGNATURE_BYTES + 1)


def _verify_signature(manifest: bytes, *, signed_by: Ed25519PublicKey, directory: Path) -> None:
    signature = read_signature(directory)
    if signature is None:
        raise _refuse(directory, f"the manifest of {directory} is not signed", reason="unsigned")
    try:
        signed_by.verify(signature, _SIGNATURE_HEADER + manifest)
    except InvalidSignature as exc:
        raise _refuse(
            directory, f"the manifest of {directory} is not signed by the configured key", reason="wrong_signature"
        ) from exc


def _refuse(directory: Path, message: str, *, reason: str) -> PackError:
    """``directory`` is the pack's, PACKS/NAME below the state directory."""
    command = f"doorward-export build --pack {directory.name} --state {shlex.quote(str(directory.parent.parent))}"
    hint = f"build the pack again: {command} --force"
    if reason == "wrong_key":
        hint = f"this pack was built for another state directory; build one here: {command}"
    elif reason in {"unsigned", "wrong_signature"}:
        hint = f"sign it ({command} --sign-with KEY --force), or correct models.signing_key in the configuration"
    return PackError(message, reason=reason, hint=hint)


def _tags(manifest: bytes, *, mac_key: bytes, directory: Path) -> tuple[bytes, bytes]:
    """Key identifier (tells a foreign key from an altered manifest; says nothing about the key) and MAC, in hex."""
    if len(mac_key) != _MAC_KEY_BYTES:
        raise _refuse(
            directory, f"the pack key has {len(mac_key)} bytes instead of {_MAC_KEY_BYTES}", reason="wrong_key"
        )
    key_id = hmac.digest(mac_key, _MAC_HEADER + b" key", "sha256").hex()[:16].encode()
    return key_id, hmac.digest(mac_key, _MAC_HEADER + b" manifest\n" + manifest, "sha256").hex().encode()


def _verify_mac(manifest: bytes, line: bytes, *, mac_key: bytes, directory: Path) -> None:
    key_id, tag = _tags(manifest, mac_key=mac_key, directory=directory)
    parts = line.removesuffix(b"\n").split(b" ")
    if len(parts) != 3 or parts[0] != _MAC_HEADER or len(parts[1]) != len(key_id) or len(parts[2]) != len(tag):
        raise _refuse(directory, f"{directory / MAC_NAME} is not a complete manifest seal", reason="mac_malformed")
    if not hmac.compare_digest(parts[1], key_id):
        raise _refuse(directory, f"the manifest of {directory} is sealed under another key", reason="wrong_key")
    if not hmac.compare_digest(parts[2], tag):
        raise _refuse(
            directory, f"the manifest of {directory} was altered after it was built", reason="manifest_altered"
        )


def _compare_folder(pack: Pack) -> None:
    wanted = {MANIFEST_NAME, MAC_NAME, *(entry.file for entry in pack.manifest.files)}
    try:
        found = {path.name for path in pack.directory.iterdir()}
    except OSError as exc:
        raise _refuse(pack.directory, f"cannot list {pack.directory}: {exc.strerror}", reason="unreadable") from exc
    if absent := sorted(wanted - found):
        raise _refuse(pack.directory, f"{pack.directory} lacks {', '.join(absent)}", reason="missing")
    if foreign := sorted(found - wanted - {SIGNATURE_NAME}):
        raise _refuse(
            pack.directory,
            f"{pack.directory} holds files that the manifest does not name: {', '.join(foreign)}",
            reason="extra_file",
        )


def _read_file(directory: Path, name: str, *, limit: int) -> bytes:
    """At most ``limit`` bytes of a regular file directly in ``directory``; neither may be a symbolic link."""
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # O_NONBLOCK: a named pipe in the file's place must not hold up the start.
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _refuse(directory, f"{directory / name} is not a regular file", reason="unreadable")
            return file.read(limit)
    except FileNotFoundError as exc:
        raise _refuse(directory, f"{directory / name} is missing", reason="missing") from exc
    except OSError as exc:
        if directory.is_symlink() or (directory / name).is_symlink():
            raise _refuse(
                directory, f"{directory / name} is reached through a symbolic link", reason="symlink"
            ) from exc
        raise _refuse(directory, f"{directory / name} cannot be read: {exc.strerror}", reason="unreadable") from exc
