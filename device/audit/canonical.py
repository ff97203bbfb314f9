"""The one way to write an object as bytes, so that a hash over it means something."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Union

from device.errors import AuditError

#: Larger parts of an entry are refused: nothing that belongs into one comes near.
MAX_PART_BYTES = 16 * 1024
#: Integers beyond are not the same number in every JSON reader (RFC 8259, section 6).
_MAX_INTEGER = 2**53 - 1
#: Deeper nesting is a mistake.
_MAX_DEPTH = 8

JsonValue = Union[None, bool, int, float, str, Sequence["JsonValue"], Mapping[str, "JsonValue"]]  # noqa: UP007
JsonObject = Mapping[str, JsonValue]


def canonical_json(value: JsonObject) -> bytes:
    """The one way to write an object: keys sorted by code point, no spaces, UTF-8, finite numbers only.

    Raises:
        AuditError: Something in it has no canonical form, or it is too large.
    """
    _check_canonical(value, depth=0)
    try:
        raw = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as exc:  # a lone surrogate cannot be encoded
        raise AuditError(f"an audit entry cannot be written: {exc}", hint="this is a mistake: report it") from exc
    if len(raw) > MAX_PART_BYTES:
        raise AuditError(f"an audit entry has {len(raw)} bytes, at most {MAX_PART_BYTES} are allowed")
    return raw


def _check_canonical(value: object, *, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise AuditError("an audit entry is nested too deeply")
    if isinstance(value, dict):
        if not all(type(key) is str for key in value):
            raise AuditError("a key in an audit entry is not a word")
        for item in value.values():
            _check_canonical(item, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_canonical(item, depth=depth + 1)
    else:
        _check_scalar(value)


def _check_scalar(value: object) -> None:
    # Exact types: a subclass (an enumeration, a numpy float) would be written in a way of its own.
    if value is not None and type(value) not in (bool, int, float, str):
        raise AuditError(f"a {type(value).__name__} has no place in an audit entry")
    if type(value) is int and abs(value) > _MAX_INTEGER:
        raise AuditError("an integer in an audit entry is too large")
    if type(value) is float and not math.isfinite(value):
        raise AuditError("a number in an audit entry is not finite")
