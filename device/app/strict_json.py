"""JSON as it must be when it comes from outside: one meaning, bounded size, bounded depth.

The standard parser takes the last of two equal keys, NaN, 1e999 as infinity, numbers of any length and UTF-16; a reader
elsewhere may take the same bytes differently. Here each of these is an error, raised before anything is looked at.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from device.errors import ControlError

#: Deeper nesting has no use in any request.
MAX_DEPTH = 16
_MAX_INT = 2**63 - 1
#: Digits of a 64-bit integer with its sign: longer ones are refused before they are converted (quadratic time).
_MAX_INT_CHARACTERS = 20
_MAX_FLOAT_CHARACTERS = 64

_OPENING = frozenset(b"[{")
_CLOSING = frozenset(b"]}")
_QUOTE = ord('"')
_BACKSLASH = ord("\\")


def _refuse(what: str) -> NoReturn:
    raise ControlError(f"not acceptable as JSON: {what}", hint="speak to the socket through the `doorward` command")


def _check_depth(raw: bytes) -> None:
    depth = 0
    in_string = escaped = False
    for byte in raw:
        if in_string:
            if escaped:
                escaped = False
            elif byte == _BACKSLASH:
                escaped = True
            elif byte == _QUOTE:
                in_string = False
        elif byte == _QUOTE:
            in_string = True
        elif byte in _OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                _refuse(f"nested deeper than {MAX_DEPTH}")
        elif byte in _CLOSING:
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _refuse("a key is given twice")
    return result


def _integer(text: str) -> int:
    if len(text) > _MAX_INT_CHARACTERS:
        _refuse("an integer beyond 64 bits")
    value = int(text)
    if not -_MAX_INT - 1 <= value <= _MAX_INT:
        _refuse("an integer beyond 64 bits")
    return value


def _number(text: str) -> float:
    if len(text) > _MAX_FLOAT_CHARACTERS:
        _refuse("a number with too many digits")
    value = float(text)
    if not math.isfinite(value):
        _refuse("a number that is not finite")
    return value


def _constant(text: str) -> NoReturn:
    _refuse(f"{text} is no number")


def parse(raw: bytes, *, max_bytes: int) -> Any:
    """Parse one UTF-8 JSON document.

    Raises:
        ControlError: Larger than ``max_bytes``, not UTF-8, not JSON, a key given twice, NaN or infinity, nested deeper
            than ``MAX_DEPTH``, an integer beyond 64 bits, a lone surrogate.
    """
    if len(raw) > max_bytes:
        _refuse(f"larger than {max_bytes} bytes")
    _check_depth(raw)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate ("\ud800") is no text
    except (ValueError, RecursionError) as exc:
        raise ControlError(
            "not acceptable as JSON: malformed", hint="speak to the socket through the `doorward` command"
        ) from exc
    return value
