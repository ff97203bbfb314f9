"""JSON with two meanings is no JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.app.strict_json import MAX_DEPTH, parse
from device.errors import ControlError

LIMIT = 64 * 1024


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "\\u0062": 2}}',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b"-1e999",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"1" * 5000,
        b"0." + b"1" * 5000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"[" * 60000,
        b'{"a":' * 10000,
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32"),
        b"{} {}",
        b"[1,]",
        b"'a'",
        b'"a\nb"',
        b"\x00",
    ],
)
def test_what_two_readers_could_take_differently_is_refused(raw: bytes) -> None:
    """Duplicates, NaN, overflow, depth, foreign encodings: one error, the project's own."""
    with pytest.raises(ControlError):
        parse(raw, max_bytes=LIMIT)


def test_a_document_beyond_the_limit_is_refused() -> None:
    """The size is looked at first."""
    with pytest.raises(ControlError, match="larger"):
        parse(b'"' + b"a" * 100 + b'"', max_bytes=100)


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    """Depth is counted outside of strings, escapes included."""
    text = '\\"' + "[" * 100
    assert parse(json.dumps([text]).encode(), max_bytes=LIMIT) == [text]


def test_the_allowed_depth_is_allowed() -> None:
    """The bound itself passes."""
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, max_bytes=LIMIT)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_json)
def test_every_honest_document_comes_through_unchanged(value: object) -> None:
    """What the other side wrote is what is read."""
    assert parse(json.dumps(value).encode(), max_bytes=LIMIT) == value


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_the_projects_own_error(raw: bytes) -> None:
    """Any bytes: a value or a ControlError."""
    try:
        value = parse(raw, max_bytes=LIMIT)
    except ControlError:
        return
    assert not (isinstance(value, float) and not math.isfinite(value))


@given(st.text(alphabet='[]{}",:\\ntfalsu0123456789eE+-.NIy ', max_size=200))
def test_text_that_looks_like_json_raises_nothing_else(text: str) -> None:
    """The same with bytes near the grammar."""
    try:
        parse(text.encode(), max_bytes=LIMIT)
    except ControlError:
        return
