"""The pack that is there before a build: whether it can be used as it is, and whether its calibration holds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from device.errors import PackError
from device.vision.manifest import Manifest, ModelEntry, Thresholds
from device.vision.pack import Pack, load_manifest
from export_tools.recipe import Recipe
from export_tools.sources.download import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A pack that is there and whose manifest is authentic.

    Attributes:
        sound: Whether the files are those of the manifest as well.
        signed: Whether the maker's key that the build is given has signed it; False where none is given.
    """

    manifest: Manifest
    sound: bool
    signed: bool


def find_present(recipe: Recipe, target: Path, *, mac_key: bytes, reporter: Reporter) -> Present | None:
    """What lies in the pack's place, if its manifest can be believed."""
    if not os.path.lexists(target):
        return None
    try:
        pack, signed = _authentic(recipe, target, mac_key=mac_key)
    except PackError as exc:
        reporter.note(
            f"the pack there is not used ({exc.message}); it is built again, and a calibration, if this door had one,"
            " is lost"
        )
        return None
    try:
        pack.require_whole()
    except PackError as exc:
        reporter.note(f"the pack there is not used ({exc.message}); it is built again")
        return Present(manifest=pack.manifest, sound=False, signed=signed)
    return Present(manifest=pack.manifest, sound=True, signed=signed)


def _authentic(recipe: Recipe, target: Path, *, mac_key: bytes) -> tuple[Pack, bool]:
    """A pack by its manifest, and whether this very manifest is signed by the key that the build is given."""
    name, key = recipe.card.pack, recipe.options.sign_with
    if key is not None:
        try:
            return load_manifest(target, mac_key=mac_key, signed_by=key.public_key(), name=name), True
        except PackError as exc:
            if exc.reason not in ("unsigned", "wrong_signature"):
                raise
    return load_manifest(target, mac_key=mac_key, name=name), False


def why_stale(present: Present, recipe: Recipe) -> str | None:
    """Why a sound pack is not the one that is wanted; None where it is."""
    if present.manifest.inputs_sha256 != recipe.inputs_sha256:
        return "the pack there was built from another description"
    if recipe.options.sign_with is not None and not present.signed:
        return "the pack there is not signed with this key"
    return None


def choose_thresholds(recipe: Recipe, present: Present | None, *, reporter: Reporter) -> Thresholds | None:
    """The door's own calibration where there is one and it still applies, else the description's."""
    found = present.manifest.thresholds if present is not None else None
    if present is None or found is None or found.origin != "calibrated":
        return recipe.card.thresholds
    old = present.manifest.models["embedder"]
    if recipe.options.drop_calibration:
        reporter.note(f"the thresholds calibrated for {old.model_id} are dropped")
        return recipe.card.thresholds
    if not _is_embedder(recipe, old):
        wanted = recipe.embedder_id
        raise PackError(
            f"this door's thresholds were calibrated for {old.model_id} and do not hold for"
            f" {wanted if wanted != old.model_id else 'another network, or another feeding, of that name'}",
            reason="calibration",
            hint="add --drop-calibration, and calibrate again afterwards",
        )
    if recipe.options.sign_with is not None and not present.signed:
        raise PackError(
            "this door's calibrated thresholds are not signed by this key: whoever holds the state's key may have"
            " written them",
            reason="calibration",
            hint="add --drop-calibration, then calibrate again: doorward-export calibrate --sign-with KEY",
        )
    reporter.note("the thresholds calibrated for this door are kept")
    return found


def _is_embedder(recipe: Recipe, old: ModelEntry) -> bool:
    """Whether the embedder of a pack is the wanted one: cosines of anything else mean something else."""
    card = recipe.card.models["embedder"]
    return (
        old.model_id == recipe.embedder_id
        and old.family == card.family
        and old.source.member_sha256 == recipe.card.network_sha256("embedder")
        and old.preprocessing == card.preprocessing
        and [(each.name, each.shape) for each in old.outputs] == [(each.name, each.shape) for each in card.outputs]
    )
