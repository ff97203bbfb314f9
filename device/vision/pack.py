"""Model packs: which file plays which role, and the proof that it is the one that was built.

A pack is a folder: ``manifest.json``, ``manifest.mac`` and the model files it names, nothing else. The manifest is
authenticated (HMAC-SHA256 under a key derived from the state key) before a byte of it is parsed, and a model is used
only as the very bytes whose size and sha256 were checked. Whatever does not match is a
:class:`device.errors.PackError` with its own ``reason``; there is no second choice.
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
from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from device.errors import PackError

Role = Literal["detector", "landmarks", "iris", "embedder"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

MANIFEST_NAME: Final = "manifest.json"
MAC_NAME: Final = "manifest.mac"
FORMAT: Final = 1

_MAX_MANIFEST_BYTES: Final = 256 * 1024
_MAC_HEADER: Final = b"doorward-pack-mac-1"
_MAX_MAC_BYTES: Final = 256
_MAC_KEY_BYTES: Final = 32

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PackName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}\.onnx$")]
ModelId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
TensorName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Dimension = Annotated[int, Field(ge=1, le=1 << 20)]


class Strict(BaseModel):
    """Base of everything in a manifest or a pack description: frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Preprocessing(Strict):
    """How a picture becomes the input: (value - mean) / divisor per channel, value 0..255."""

    colour: Literal["rgb", "bgr"]
    mean: Annotated[float, Field(ge=0, le=255)]
    divisor: Annotated[float, Field(gt=0, le=256)]
    geometry: Literal["letterbox", "face_roi", "eye_roi", "face_chip"]
    """letterbox: whole frame, centred, black borders. face_roi, eye_roi: rotated square around the face or the eye.
    face_chip: similarity transform onto the alignment template."""
    roi_scale: Annotated[float, Field(gt=0, le=10)] | None = None
    """Side of the square: in widths of the face box (face_roi), in distances between the eye corners (eye_roi)."""


class TensorSpec(Strict):
    """One input or output: name and NCHW shape; ``null`` is the batch size where it is free. Always float32."""

    name: TensorName
    shape: Annotated[list[Dimension | None], Field(min_length=2, max_length=4)]
    meaning: Text


class OperatingPoint(Strict):
    """A false match rate and the cosine from which two faces match at it."""

    fmr: Annotated[float, Field(gt=0, lt=1)]
    cosine: Annotated[float, Field(gt=0, le=1)]


class Thresholds(Strict):
    """Where two faces count as the same person, for the scoring rule named beside it."""

    scoring: Text
    measurement: Text
    default_fmr: Annotated[float, Field(gt=0, lt=1)]
    match: Annotated[list[OperatingPoint], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        rates = [point.fmr for point in self.match]
        cosines = [point.cosine for point in self.match]
        if rates != sorted(set(rates), reverse=True) or cosines != sorted(set(cosines)):
            raise ValueError("operating points must run from the highest false match rate to the lowest")
        if self.default_fmr not in rates:
            raise ValueError("the default false match rate has no operating point")
        return self

    @property
    def match_cosine(self) -> float:
        """The cosine at the default false match rate."""
        return next(point.cosine for point in self.match if point.fmr == self.default_fmr)


class Provenance(Strict):
    """Where a model came from."""

    package: Text
    version: Text
    archive: Text
    archive_sha256: Sha256
    member: Text
    member_sha256: Sha256
    licence: Text


class ModelEntry(Strict):
    """One model of a pack."""

    file: FileName
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=1, le=1 << 30)]
    model_id: ModelId
    """Travels with every template; templates of another model are never compared."""
    precision: Literal["fp32", "fp16", "int8-u8"]
    preprocessing: Preprocessing
    input: TensorSpec
    outputs: Annotated[list[TensorSpec], Field(min_length=1, max_length=8)]
    source: Provenance


class Manifest(Strict):
    """What a built pack consists of."""

    format: Literal[1]
    pack: PackName
    inputs_sha256: Sha256
    """Over the pack description and the converter's revision: the same inputs need not be built again."""
    models: dict[Role, ModelEntry]
    thresholds: Thresholds
    built_with: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,31}$")], Text]
    """Tool versions, by name."""

    @model_validator(mode="after")
    def _complete(self) -> Manifest:
        missing = [role for role in ROLES if role not in self.models]
        if missing:
            raise ValueError(f"no model for {', '.join(missing)}")
        if len({entry.file for entry in self.models.values()}) != len(self.models):
            raise ValueError("two roles share one file")
        return self


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
        """The pack's operating points."""
        return self.manifest.thresholds

    def read(self, role: Role) -> bytes:
        """The bytes of a model, verified; make the session from these bytes, never from the path.

        Raises:
            PackError: ``missing``, ``symlink``, ``unreadable``, ``size``, ``swapped`` or ``altered``.
        """
        entry = self.manifest.models[role]
        # The limit covers every model of the pack, so that a larger one in this one's place is recognised.
        largest = max(model.size_bytes for model in self.manifest.models.values())
        data = _read_file(self.directory, entry.file, limit=largest + 1)
        digest = hashlib.sha256(data).hexdigest()
        if hmac.compare_digest(digest, entry.sha256):
            return data
        where = f"the {role} model {self.directory / entry.file}"
        for other, foreign in self.manifest.models.items():
            if digest == foreign.sha256:
                raise _refuse(self.directory, f"{where} is the {other} model in the wrong place", reason="swapped")
        if len(data) != entry.size_bytes:
            raise _refuse(
                self.directory,
                f"{where} does not have the size in the manifest, {entry.size_bytes} bytes",
                reason="size",
            )
        raise _refuse(self.directory, f"{where} does not have the sha256 in the manifest", reason="altered")


def load_pack(directory: Path, *, mac_key: bytes) -> Pack:
    """Open a pack: authenticate the manifest, then parse it, then compare the folder with it.

    Args:
        directory: The folder of the pack.
        mac_key: 32 bytes, :attr:`device.keys.StateKeys.pack_mac`.

    Raises:
        PackError: ``missing``, ``symlink``, ``unreadable``, ``mac_malformed``, ``wrong_key``, ``manifest_altered``,
            ``schema`` or ``extra_file``.
    """
    manifest_bytes = _read_file(directory, MANIFEST_NAME, limit=_MAX_MANIFEST_BYTES + 1)
    _verify_mac(
        manifest_bytes, _read_file(directory, MAC_NAME, limit=_MAX_MAC_BYTES + 1), mac_key=mac_key, directory=directory
    )
    try:
        manifest = Manifest.model_validate_json(manifest_bytes)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _refuse(
            directory, f"the manifest of {directory} is not of this version: {place}: {first['msg']}", reason="schema"
        ) from exc
    pack = Pack(directory=directory, manifest=manifest)
    _compare_folder(pack)
    return pack


def write_manifest(directory: Path, manifest: Manifest, *, mac_key: bytes) -> None:
    """Write ``manifest.json`` and ``manifest.mac`` into a folder that has neither, and flush them to the disk.

    Raises:
        PackError: ``unwritable``.
    """
    data = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True).encode() + b"\n"
    key_id, tag = _tags(data, mac_key=mac_key, directory=directory)
    try:
        for name, content in ((MANIFEST_NAME, data), (MAC_NAME, b" ".join((_MAC_HEADER, key_id, tag)) + b"\n")):
            with (directory / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    except OSError as exc:
        raise _refuse(
            directory, f"cannot write the manifest into {directory}: {exc.strerror}", reason="unwritable"
        ) from exc


def _refuse(directory: Path, message: str, *, reason: str) -> PackError:
    """``directory`` is the pack's, PACKS/NAME below the state directory."""
    command = f"doorward-export convert --pack {directory.name} --state {shlex.quote(str(directory.parent.parent))}"
    hint = f"build the pack again: {command} --force"
    if reason == "wrong_key":
        hint = f"this pack was built for another state directory; build one here: {command}"
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
    wanted = {MANIFEST_NAME, MAC_NAME, *(entry.file for entry in pack.manifest.models.values())}
    try:
        found = {path.name for path in pack.directory.iterdir()}
    except OSError as exc:
        raise _refuse(pack.directory, f"cannot list {pack.directory}: {exc.strerror}", reason="unreadable") from exc
    if absent := sorted(wanted - found):
        raise _refuse(pack.directory, f"{pack.directory} lacks {', '.join(absent)}", reason="missing")
    if foreign := sorted(found - wanted):
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
