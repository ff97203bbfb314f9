"""The configuration as a report tells it: the sections that decide about a try, and a hash over all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from device.audit.canonical import canonical_json
from device.camera.sources import public_name
from device.config import Config

Setting = bool | int | float | str | None
Settings = dict[str, Setting]

#: What decides whether a try gets a response, and what comes of it.
SECTIONS: Final = ("liveness", "vision", "access")


def config_sha256(config: Config) -> str:
    """SHA-256 over the canonical JSON of everything in force, defaults included, 64 hex digits.

    Of a camera's address only the host goes in (:func:`device.camera.sources.public_name`): all else being known, a
    password could be guessed from the hash of a report that is handed around.

    Raises:
        AuditError: It is too large.
    """
    tree = config.model_dump(mode="json")
    tree["camera"]["source"] = public_name(config.camera.source)
    return hashlib.sha256(canonical_json(tree)).hexdigest()


def section_values(config: Config, section: str) -> Settings:
    """Every setting of one of ``SECTIONS`` with its value in force."""
    values: Settings = getattr(config, section).model_dump(mode="json")
    return values


def changed(told: Mapping[str, Mapping[str, Setting]]) -> Iterator[tuple[str, Setting, Any]]:
    """Settings that are not as this version ships them: name, value, value as shipped.

    Args:
        told: Values by section and key; what this version does not know is shown with None beside it.
    """
    shipped = Config()
    for section, values in told.items():
        ours = section_values(shipped, section)
        for key, value in values.items():
            if key not in ours or value != ours[key]:
                yield f"{section}.{key}", value, ours.get(key)
