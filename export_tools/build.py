"""From a pack description to a sealed pack in the state directory.

A pack is built beside its place and moved there as a whole: whoever looks finds the old pack, the new one, or (for an
instant, or after a power cut) none, never a mixture; calling this again repairs that.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import onnx

from device.errors import PackError
from device.vision.pack import (
    ROLES,
    Manifest,
    ModelEntry,
    Pack,
    Provenance,
    Role,
    TensorSpec,
    load_pack,
    write_manifest,
)
from export_tools.cards import Archive, ModelCard, PackCard, load_pack_card
from export_tools.convert.dlib_to_onnx import convert_dlib
from export_tools.convert.tflite_to_onnx import Output, convert_tflite
from export_tools.sources.download import sync_folder
from export_tools.sources.fetch import Fetcher

CONVERTER_REVISION: Final = 1
"""Raise it when the converters give other numbers or names: every pack is then built again."""
_TOOLS: Final = ("numpy", "onnx", "tflite")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """A verified pack, and whether it had to be built."""

    pack: Pack
    built: bool


def pack_directory(state: Path, name: str) -> Path:
    """Where a pack lies below a state directory."""
    return state / "packs" / name


def verify_pack(directory: Path, *, mac_key: bytes) -> Pack:
    """Open a pack and check every model in it. Raises PackError."""
    pack = load_pack(directory, mac_key=mac_key)
    for role in ROLES:
        pack.read(role)
    return pack


def build_pack(name: str, *, state: Path, mac_key: bytes, fetcher: Fetcher, force: bool = False) -> BuildResult:
    """Bring the pack of a description into a state directory; instant where it is there already and verifies.

    Args:
        name: Which description, `models/packs/<name>.yaml`.
        state: The state directory; made where it is missing.
        mac_key: 32 bytes that seal the manifest, :attr:`device.keys.StateKeys.pack_mac`.
        fetcher: What brings the archives.
        force: Build even where nothing changed.

    Raises:
        DownloadError: An archive cannot be had.
        PackError: The description is damaged, a model cannot be converted, or the state directory is not writable.
    """
    card, card_bytes = load_pack_card(name)
    inputs = hashlib.sha256(b"%d\n" % CONVERTER_REVISION + card_bytes).hexdigest()
    target = pack_directory(state, name)
    try:
        # One after the other: with `parents` only the last folder gets the mode.
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with _lock(target.parent, fetcher):
            present = None if force else _present(target, inputs, mac_key=mac_key, fetcher=fetcher)
            if present is not None:
                return BuildResult(pack=present, built=False)
            _build(card, inputs, target=target, mac_key=mac_key, fetcher=fetcher)
    except OSError as exc:
        raise PackError(
            f"cannot build the pack in {target.parent}: {exc.strerror or exc}",
            reason="unwritable",
            hint="name a writable --state directory, and see that the disk is not full",
        ) from exc
    return BuildResult(pack=verify_pack(target, mac_key=mac_key), built=True)


def _present(target: Path, inputs: str, *, mac_key: bytes, fetcher: Fetcher) -> Pack | None:
    """The pack that is there, if it is sound and comes from these inputs."""
    if not os.path.lexists(target):
        return None
    try:
        pack = verify_pack(target, mac_key=mac_key)
    except PackError as exc:
        fetcher.reporter.note(f"the pack there is not used ({exc.message}); it is built again")
        return None
    if pack.manifest.inputs_sha256 != inputs:
        fetcher.reporter.note("the pack there was built from another description; it is built again")
        return None
    return pack


def _build(card: PackCard, inputs: str, *, target: Path, mac_key: bytes, fetcher: Fetcher) -> None:
    sources = _sources(card, fetcher)
    workshop = Path(tempfile.mkdtemp(prefix=f".{card.pack}.", dir=target.parent))
    try:
        models = {}
        for role, model in card.models.items():
            data = convert(model, sources[role])
            _write(workshop / model.file, data)
            models[role] = _entry(model, data, archive=card.archives[model.archive])
        tools = {name: version(name) for name in _TOOLS}
        manifest = Manifest(
            format=1,
            pack=card.pack,
            inputs_sha256=inputs,
            models=models,
            thresholds=card.thresholds,
            built_with={"converter": str(CONVERTER_REVISION), "python": platform.python_version(), **tools},
        )
        write_manifest(workshop, manifest, mac_key=mac_key)
        sync_folder(workshop)
        verify_pack(workshop, mac_key=mac_key)
        _move_into_place(workshop, target)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _sources(card: PackCard, fetcher: Fetcher) -> dict[Role, bytes]:
    """The bytes of every model as it was published; each archive is opened once."""
    found: dict[Role, bytes] = {}
    for name, archive in card.archives.items():
        wanted = {role: model.source for role, model in card.models.items() if model.archive == name}
        contents = fetcher.members(archive, list(wanted.values()))
        found |= dict(zip(wanted, contents, strict=True))
    return found


def convert(card: ModelCard, source: bytes) -> bytes:
    """Convert one model and prove that what came out has the inputs and outputs its description promises.

    Raises:
        PackError: It cannot be converted (``unconvertible``), or the result is not what is described (``card``).
    """
    if card.converter == "dlib":
        data = convert_dlib(source)
    else:
        outputs = tuple(
            Output(
                source=output.source, name=output.name, shape=tuple(-1 if dim is None else dim for dim in output.shape)
            )
            for output in card.outputs
        )
        data = convert_tflite(source, outputs=outputs, batch=card.input.shape[0])
    graph = onnx.load_from_string(data).graph
    promised = [[(spec.name, spec.shape) for spec in specs] for specs in ([card.input], card.outputs)]
    found = [[_described(info) for info in infos] for infos in (graph.input, graph.output)]
    if found != promised:
        raise PackError(
            f"{card.model_id}: the converted model has {found}, its description promises {promised}",
            reason="card",
            hint="correct the pack description",
        )
    return data


def _described(info: onnx.ValueInfoProto) -> tuple[str, list[int | None]]:
    dims = info.type.tensor_type.shape.dim
    return info.name, [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]


def _entry(card: ModelCard, data: bytes, *, archive: Archive) -> ModelEntry:
    return ModelEntry(
        file=card.file,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        model_id=card.model_id,
        precision=card.precision,
        preprocessing=card.preprocessing,
        input=card.input,
        outputs=[TensorSpec(name=spec.name, shape=spec.shape, meaning=spec.meaning) for spec in card.outputs],
        source=Provenance(
            package=archive.project,
            version=archive.version,
            archive=archive.file,
            archive_sha256=archive.sha256,
            member=card.member,
            member_sha256=card.member_sha256,
            licence=card.licence,
        ),
    )


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _move_into_place(workshop: Path, target: Path) -> None:
    if os.path.lexists(target):
        discarded = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        try:
            target.rename(discarded / target.name)
            workshop.rename(target)
        finally:
            shutil.rmtree(discarded, ignore_errors=True)
    else:
        workshop.rename(target)
    sync_folder(target.parent)


@contextmanager
def _lock(folder: Path, fetcher: Fetcher) -> Iterator[None]:
    """One builder at a time; it also clears away what a killed one left."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fetcher.reporter.note("waiting for another process that builds a pack here")
            fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in folder.glob(".*.*"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        os.close(handle)
