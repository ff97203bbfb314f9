"""What a pack is to be built from: a description with every choice made, and why a choice is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.errors import PackError
from device.vision.manifest import ModelId, Precision, Role, Target
from export_tools.cards import EmbedderCard, PackCard, load_pack_card
from export_tools.engine.builder import DEFAULT_WORKSPACE_MIB
from export_tools.precision.artefact import recorded_ranges

CONVERTER_REVISION: Final = 2
"""Raise it when the converters give other numbers or names: every pack is then built again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What a pack is built for, beside its description."""

    target: Target = "onnxruntime"
    precisions: Mapping[Role, Precision] = field(default_factory=dict)
    """Where another precision is wanted than the description's for this target."""
    embedder: EmbedderCard | None = None
    """To take the place of the pack's own."""
    accept_non_commercial: bool = False
    """Whether models may be used whose licence forbids commercial use."""
    sign_with: Ed25519PrivateKey | None = None
    workspace_mib: int = DEFAULT_WORKSPACE_MIB
    """Memory that a TensorRT kernel may use beside the tensors."""
    drop_calibration: bool = False
    """Whether thresholds calibrated for this door are lost, whatever embedder they were calibrated for."""
    force: bool = False
    """Build even where nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A description with every choice made."""

    card: PackCard
    precisions: Mapping[Role, Precision]
    options: BuildOptions
    inputs_sha256: str
    """Over everything that the pack is built from: the same inputs need not be built again."""

    @property
    def embedder_id(self) -> ModelId:
        """Id of the embedder at the precision that was chosen."""
        return self.card.models["embedder"].model_id(self.precisions["embedder"])


def make_recipe(name: str, options: BuildOptions) -> Recipe:
    """Make every choice.

    Raises:
        PackError: The description is damaged (``card``), a licence or a precision stands against it (``licence``,
            ``precision``), or recorded ranges cannot be read (``calibration``).
    """
    card, card_bytes = load_pack_card(name)
    if options.embedder is not None:
        card = card.with_embedder(options.embedder)
        card_bytes += options.embedder.model_dump_json().encode()
    _check_licences(card, options)
    if unknown := sorted(set(options.precisions) - set(card.models)):
        raise PackError(
            f"the pack {name} has no {', '.join(unknown)}", reason="precision", hint=f"it has {', '.join(card.models)}"
        )
    precisions: dict[Role, Precision] = {}
    digest = hashlib.sha256(b"%d %s\n" % (CONVERTER_REVISION, options.target.encode()) + card_bytes)
    for role, model in card.models.items():
        precision = options.precisions.get(role, model.precision[options.target])
        if refusal := model.refusal(precision, target=options.target):
            raise PackError(refusal, reason="precision", hint=f"leave out --precision {role}={precision}")
        precisions[role] = precision
        digest.update(f"{role}={precision}\n".encode())
        if precision.startswith("int8"):
            digest.update(recorded_ranges(model).model_dump_json().encode())
    return Recipe(card=card, precisions=precisions, options=options, inputs_sha256=digest.hexdigest())


def _check_licences(card: PackCard, options: BuildOptions) -> None:
    for role, model in card.models.items():
        if not model.licence.commercial_use and not options.accept_non_commercial:
            note = f" ({model.licence.note})" if model.licence.note else ""
            raise PackError(
                f"the licence of the {role} model {model.name}, {model.licence.id}, forbids commercial use{note}",
                reason="licence",
                hint="choose another model, or accept this with --accept-non-commercial",
            )
