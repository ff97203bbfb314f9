"""From a pack description to a sealed pack in the state directory.

A pack is built beside its place and moved there as a whole: whoever looks finds the old pack, the new one, or (for an
instant, or after a power cut) none, never a mixture; calling this again repairs that.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device.errors import PackError
from device.vision.backends.onnx import OnnxSession
from device.vision.manifest import (
    EngineEntry,
    FileEntry,
    Manifest,
    ModelEntry,
    Precision,
    Provenance,
    Role,
    TensorSpec,
    Thresholds,
)
from device.vision.pack import Pack, load_pack, write_manifest
from export_tools import golden
from export_tools.cards import ModelCard, PackCard
from export_tools.convert.convert import convert
from export_tools.engine.builder import Batches, build_engine
from export_tools.precision.artefact import make_artefact
from export_tools.present import choose_thresholds, find_present, why_stale
from export_tools.recipe import CONVERTER_REVISION, BuildOptions, Recipe, make_recipe
from export_tools.sources.download import Reporter, sync_folder
from export_tools.sources.fetch import Fetcher
from export_tools.sources.pins import Archive, Source, WebFile
from export_tools.workshop import aside, locked, move_into_place, write_file

GOLDEN_NAME: Final = "golden.npz"
TIMING_CACHE_NAME: Final = ".timing-cache"
"""Beside the packs: a second build asks TensorRT for the timings of the first."""
ENGINE_BATCHES: Final = Batches(least=1, typical=2, most=32)
"""Where a model leaves its batch free. A door embeds a chip with its mirror image, measuring up to 16 such pairs."""
_TOOLS: Final = ("numpy", "onnx", "onnxruntime", "tflite")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """A verified pack, and whether it had to be built."""

    pack: Pack
    built: bool


def pack_directory(state: Path, name: str) -> Path:
    """Where a pack lies below a state directory."""
    return state / "packs" / name


def verify_pack(
    directory: Path, *, mac_key: bytes, signed_by: Ed25519PublicKey | None = None, name: str | None = None
) -> Pack:
    """Open a pack as :func:`device.vision.pack.load_pack` does and check every file in it. Raises PackError."""
    pack = load_pack(directory, mac_key=mac_key, signed_by=signed_by, name=name)
    pack.require_whole()
    return pack


def build_pack(
    name: str, *, state: Path, mac_key: bytes, fetcher: Fetcher, options: BuildOptions | None = None
) -> BuildResult:
    """Bring the pack of a description into a state directory; instant where it is there already and verifies.

    Args:
        name: Which description, `models/packs/<name>.yaml`.
        state: The state directory; made where it is missing.
        mac_key: 32 bytes that seal the manifest, :attr:`device.keys.StateKeys.pack_mac`.
        fetcher: What brings the sources.
        options: What it is built for.

    Raises:
        DownloadError: A source cannot be had.
        PackError: The description is damaged, a licence or a precision stands against it, a model cannot be converted,
            or the state directory is not writable.
    """
    options = options or BuildOptions()
    recipe = make_recipe(name, options)
    target = pack_directory(state, name)
    try:
        # One after the other: with `parents` only the last folder gets the mode.
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with locked(target.parent, fetcher.reporter):
            present = find_present(recipe, target, mac_key=mac_key, reporter=fetcher.reporter)
            if present is not None and present.sound and not options.force:
                reason = why_stale(present, recipe)
                if reason is None:
                    return BuildResult(pack=Pack(directory=target, manifest=present.manifest), built=False)
                fetcher.reporter.note(f"{reason}; it is built again")
            thresholds = choose_thresholds(recipe, present, reporter=fetcher.reporter)
            _build(recipe, thresholds, target=target, mac_key=mac_key, fetcher=fetcher)
    except OSError as exc:
        raise PackError(
            f"cannot build the pack in {target.parent}: {exc.strerror or exc}",
            reason="unwritable",
            hint="name a writable --state directory, and see that the disk is not full",
        ) from exc
    return BuildResult(pack=verify_pack(target, mac_key=mac_key), built=True)


def replace_thresholds(
    pack: Pack,
    thresholds: Thresholds,
    *,
    mac_key: bytes,
    reporter: Reporter,
    sign_with: Ed25519PrivateKey | None = None,
) -> Pack:
    """The same pack with other operating points, sealed anew; a power cut leaves the old one or the new one.

    Raises:
        PackError: The pack was altered, or the state directory is not writable.
    """
    target = pack.directory
    manifest = Manifest.model_validate({**dict(pack.manifest), "thresholds": thresholds})
    try:
        with locked(target.parent, reporter), aside(target) as workshop:
            for entry in pack.manifest.files:
                write_file(workshop / entry.file, pack.read_file(entry))
            _finish(workshop, manifest, target=target, mac_key=mac_key, sign_with=sign_with)
    except OSError as exc:
        raise PackError(
            f"cannot write the pack in {target.parent}: {exc.strerror or exc}",
            reason="unwritable",
            hint="see that the state directory is writable and the disk not full",
        ) from exc
    return verify_pack(target, mac_key=mac_key)


def _build(recipe: Recipe, thresholds: Thresholds | None, *, target: Path, mac_key: bytes, fetcher: Fetcher) -> None:
    card, options = recipe.card, recipe.options
    sources = read_sources(card, fetcher)
    with aside(target) as workshop:
        entries: dict[Role, ModelEntry] = {}
        references: dict[Role, golden.FloatModel] = {}
        for role, model in card.models.items():
            reference = convert(model, sources[role])
            references[role] = golden.FloatModel(
                name=model.name, data=reference, preprocessing=model.preprocessing, input=model.input
            )
            data = make_artefact(model, reference, recipe.precisions[role])
            write_file(workshop / f"{role}.onnx", data)
            entry = _entry(role, model, data, precision=recipe.precisions[role], source=card.sources[model.source])
            if options.target == "tensorrt":
                engine = _engine(role, entry, data, target=target, options=options, fetcher=fetcher)
                write_file(workshop / engine.entry.file, engine.data)
                entry = entry.model_copy(update={"engine": engine.entry})
            entries[role] = entry
        vectors = golden.record(references, make_session=_session)
        write_file(workshop / GOLDEN_NAME, vectors)
        manifest = Manifest(
            format=2,
            pack=card.pack,
            target=options.target,
            inputs_sha256=recipe.inputs_sha256,
            models=entries,
            golden=FileEntry(file=GOLDEN_NAME, sha256=hashlib.sha256(vectors).hexdigest(), size_bytes=len(vectors)),
            thresholds=thresholds,
            built_with={
                "converter": str(CONVERTER_REVISION),
                "python": platform.python_version(),
                **{name: version(name) for name in _TOOLS},
            },
        )
        _finish(workshop, manifest, target=target, mac_key=mac_key, sign_with=options.sign_with)


def _session(model: golden.FloatModel) -> OnnxSession:
    return OnnxSession(model.data, model=f"{model.name}-fp32", threads=1)


@dataclass(frozen=True, slots=True)
class _Engine:
    entry: EngineEntry
    data: bytes


def _engine(
    role: Role, entry: ModelEntry, data: bytes, *, target: Path, options: BuildOptions, fetcher: Fetcher
) -> _Engine:
    built = build_engine(
        data,
        model=entry.model_id,
        batches=ENGINE_BATCHES,
        workspace_mib=options.workspace_mib,
        timing_cache=target.parent / TIMING_CACHE_NAME,
        reporter=fetcher.reporter,
    )
    described = EngineEntry(
        file=f"{role}.engine",
        sha256=hashlib.sha256(built.data).hexdigest(),
        size_bytes=len(built.data),
        **built.tag.model_dump(),
    )
    return _Engine(described, built.data)


def read_sources(card: PackCard, fetcher: Fetcher, *, roles: Collection[Role] | None = None) -> dict[Role, bytes]:
    """The bytes of every model, or of some, as it was published; each archive is opened once. Raises DownloadError."""
    found: dict[Role, bytes] = {}
    models = {role: model for role, model in card.models.items() if roles is None or role in roles}
    for name, source in card.sources.items():
        wanted = {role: model for role, model in models.items() if model.source == name}
        if not wanted:
            continue
        if isinstance(source, Archive):
            contents = fetcher.members(source, [model.pinned_member() for model in wanted.values()])
            found |= dict(zip(wanted, contents, strict=True))
        else:
            data = fetcher.read(source)
            found |= dict.fromkeys(wanted, data)
    return found


def _entry(role: Role, card: ModelCard, data: bytes, *, precision: Precision, source: Source) -> ModelEntry:
    return ModelEntry(
        file=f"{role}.onnx",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        model_id=card.model_id(precision),
        family=card.family,
        precision=precision,
        min_score=card.min_score,
        preprocessing=card.preprocessing,
        input=card.input,
        outputs=[TensorSpec(name=spec.name, shape=spec.shape, meaning=spec.meaning) for spec in card.outputs],
        source=Provenance(
            origin=_origin(source),
            version=source.version,
            file=source.file,
            file_sha256=source.sha256,
            member=card.member,
            member_sha256=card.member_sha256 or source.sha256,
            licence=card.licence,
        ),
    )


def _origin(source: Source) -> str:
    if isinstance(source, Archive):
        return source.project
    return source.url if isinstance(source, WebFile) else "a file of the owner's"


def _finish(
    workshop: Path, manifest: Manifest, *, target: Path, mac_key: bytes, sign_with: Ed25519PrivateKey | None
) -> None:
    """Seal what lies in the workshop, prove it, and only then put it in its place."""
    write_manifest(workshop, manifest, mac_key=mac_key, sign_with=sign_with)
    sync_folder(workshop)
    verify_pack(workshop, mac_key=mac_key)
    move_into_place(workshop, target)
