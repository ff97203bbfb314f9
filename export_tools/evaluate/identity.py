"""Which pipeline made an embedding: vectors of the same identity may be compared, all others are void.

The identity is made of what decides about a vector: the models, the settings, the alignment of the embedder's family,
and a chip that this very code cuts out of a drawing. Whoever changes how chips are aligned or warped changes the
identity without having to think of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Final

import numpy as np

from device.config import Config
from device.types import Points
from device.vision.align import Alignment, align_chip
from device.vision.manifest import Role
from device.vision.pack import Pack
from export_tools.evaluate.worker import WhichFace
from export_tools.golden import drawing

PIPELINE_REVISION: Final = 2
"""Raise it when the device finds or embeds differently with the same models, settings and chips."""
_ROLES: Final[tuple[Role, ...]] = ("detector", "landmarks", "embedder")
_HEIGHT, _WIDTH = 240, 320
#: So many rows are cut off above the eyes: a chip reaches over the edge of the picture.
_CUT_ROWS: Final = 80
#: A chip of the drawing is sampled plainly; four times as large it is averaged first.
_ENLARGED: Final = 4
_FEATURES: Final = {
    33: (-0.165, -0.07), 133: (-0.055, -0.07), 362: (0.055, -0.07), 263: (0.165, -0.07),
    4: (0.0, 0.05), 2: (0.0, 0.11), 61: (-0.09, 0.18), 291: (0.09, 0.18),
}  # fmt: skip
"""Where eyes, nose and mouth of the drawing are, in shares of its shorter side from the middle."""


def pipeline_identity(pack: Pack, config: Config, *, alignment: Alignment, face: WhichFace) -> str:
    """SHA-256, 64 hex digits.

    Args:
        pack: The opened pack.
        config: The device's configuration.
        alignment: What chips of the pack's embedder look like.
        face: Which of several faces counts.

    Raises:
        ModelError: The alignment places no face.
    """
    settings = {
        "revision": PIPELINE_REVISION,
        "models": {role: pack.model(role).model_dump(mode="json") for role in _ROLES},
        "vision": config.vision.model_dump(mode="json"),
        "face": face,
        "alignment": asdict(alignment),
        "chip": chip_digest(alignment),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def chip_digest(alignment: Alignment) -> str:
    """SHA-256 over two chips of a drawing, one of them of a large face. Raises ModelError."""
    picture, landmarks = drawing(_HEIGHT, _WIDTH, shift=0.0, tilt=0.0)[_CUT_ROWS:], _landmarks()
    large = np.ascontiguousarray(picture.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1))
    digest = hashlib.sha256(align_chip(picture, landmarks, alignment=alignment).tobytes())
    digest.update(align_chip(large, landmarks * np.float32(_ENLARGED), alignment=alignment).tobytes())
    return digest.hexdigest()


def _landmarks() -> Points:
    """(468, 3): the features where the drawing has them, a little turned; all others on a circle around them."""
    around = np.arange(468) * 0.1
    places = np.stack([0.3 * np.cos(around), 0.3 * np.sin(around)], axis=1)
    places[list(_FEATURES)] = list(_FEATURES.values())
    turned = places @ np.array([[0.98, 0.17], [-0.17, 0.98]])
    found = np.zeros((468, 3), np.float32)
    found[:, :2] = turned * min(_HEIGHT, _WIDTH) + np.array((_WIDTH / 2, _HEIGHT / 2 - _CUT_ROWS))
    return found
