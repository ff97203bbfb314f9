"""One object has one form in bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audit.canonical import MAX_PART_BYTES, canonical_json
from device.errors import AuditError
from device.types import Reason

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcä\u20ac", max_size=3), inner, max_size=4),
    max_leaves=5,
)
_OBJECTS = st.dictionaries(st.text("abcä\u20ac", max_size=4), _VALUES, max_size=5)


@settings(deadline=None)
@given(_OBJECTS)
def test_what_was_written_reads_back_as_the_same_value_and_the_same_bytes(value: dict[str, Any]) -> None:
    """Writing, reading, writing changes nothing."""
    raw = canonical_json(value)
    read = json.loads(raw)
    assert read == value
    assert canonical_json(read) == raw


@settings(deadline=None)
@given(_OBJECTS, st.randoms(use_true_random=False))
def test_the_order_in_which_keys_were_put_does_not_show(value: dict[str, Any], chance: Any) -> None:
    """Two programs that mean the same hash the same."""
    keys = list(value)
    chance.shuffle(keys)
    raw = canonical_json(value)
    assert canonical_json({key: value[key] for key in keys}) == raw


def test_the_form_is_plain_utf8_without_blanks() -> None:
    """Fixed for ever: a change would break every chain there is."""
    assert canonical_json({"b": [1, 2.5, None], "a": "ü\n", "c": {"z": True, "y": -0.0}}) == (
        '{"a":"ü\\n","b":[1,2.5,null],"c":{"y":-0.0,"z":true}}'.encode()
    )


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        2**53,
        -(2**53),
        "\ud800",
        b"bytes",
        {1, 2},
        object(),
        np.float64(1.0),
        np.float32(1.0),
        np.int64(1),
        Reason.GRANTED,
        {1: "key"},
        {None: 1},
        [[[[[[[[[[]]]]]]]]]],
        "x" * MAX_PART_BYTES,
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:8]!r}",
)
def test_what_has_no_single_form_is_refused(value: Any) -> None:
    """Numbers that are none, foreign types, broken text, too deep, too large."""
    with pytest.raises(AuditError):
        canonical_json({"a": value})
