"""Only known verbs with known fields in range become requests."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device.app.requests import (
    MAX_ATTACHMENT_BYTES,
    EnrollRequest,
    PeopleSetRequest,
    Request,
    clean_text,
    pack_vector,
    parse_header,
    unpack_vector,
)
from device.errors import ControlError


def header(request: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"protocol": 1, "request": request, **more}).encode()


def photo(name: str = "a.jpg", size: int = 10) -> dict[str, Any]:
    return {"name": name, "size": size}


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"null",
        b"{}",
        header({}),
        header({"verb": "stop"}),
        header({"verb": "shutdown"}),
        header({"verb": "Status"}),
        header({"verb": ["status"]}),
        header({"verb": "status", "extra": 1}),
        header({"verb": "status"}, extra=1),
        header({"verb": "status"}, protocol=2),
        header({"verb": "status"}, protocol=True),
        header({"verb": "status"}, attachments=[photo()]),
        header({"verb": "people.show"}),
        header({"verb": "people.show", "who": ""}),
        header({"verb": "people.show", "who": "   "}),
        header({"verb": "people.show", "who": 7}),
        header({"verb": "people.show", "who": "a\nb\x07"}),
        header({"verb": "enroll", "name": "a\u202eb"}),
        header({"verb": "enroll", "name": "x" * 201}),
        header({"verb": "enroll", "name": "Ada", "allow_duplicate": 1}),
        header({"verb": "enroll", "name": "Ada", "allow_duplicate": "true"}),
        header({"verb": "enroll", "name": "Ada", "valid_from": "2026-01-01"}),
        header({"verb": "enroll", "name": "Ada", "valid_from": "2026-01-01T00:00:00"}),
        header({"verb": "enroll", "name": "Ada", "valid_from": 1767225600}),
        header({"verb": "enroll", "name": "Ada", "valid_from": "soon"}),
        header({"verb": "enroll", "name": "Ada", "valid_from": "0001-01-01T00:00:00+23:59"}),
        header({"verb": "enroll", "name": "Ada", "valid_from": "9999-12-31T23:59:59-23:59"}),
        header({"verb": "enroll", "name": "Ada"}, attachments=[photo(size=-1)]),
        header({"verb": "enroll", "name": "Ada"}, attachments=[photo(size=MAX_ATTACHMENT_BYTES + 1)]),
        header({"verb": "enroll", "name": "Ada"}, attachments=[photo(size=MAX_ATTACHMENT_BYTES)] * 4),
        header({"verb": "enroll", "name": "Ada"}, attachments=[photo()] * 21),
        header({"verb": "enroll", "name": "Ada"}, attachments=[photo(size=1.5)]),  # type: ignore[arg-type]
        header({"verb": "enroll", "name": "Ada"}, attachments={"0": photo()}),
        header({"verb": "search", "model": "m", "vector": "AAAA", "k": 0}),
        header({"verb": "search", "model": "m", "vector": "AAAA", "k": 101}),
        header({"verb": "search", "model": "m\n", "vector": "AAAA"}),
        header({"verb": "search", "model": "m", "vector": "A" * 30000}),
        header({"verb": "audit.list", "limit": 501}),
        header({"verb": "audit.list", "after": -1}),
    ],
)
def test_what_is_not_exactly_a_request_is_refused(raw: bytes) -> None:
    """Unknown verbs, unknown fields, wrong types, values out of range."""
    with pytest.raises(ControlError):
        parse_header(raw)


_words = st.sampled_from(("verb", "who", "name", "protocol", "request", "attachments", "size", "status", "enroll", "x"))
_trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=10,
)


@given(_trees, _trees)
def test_no_tree_of_values_raises_anything_but_the_projects_own_error(request: object, attachments: object) -> None:
    """Strict JSON of any shape: a request or a ControlError."""
    for tree in (request, {"protocol": 1, "request": request, "attachments": attachments}):
        try:
            parse_header(json.dumps(tree).encode())
        except ControlError:
            continue


def test_stopping_the_daemon_is_no_verb() -> None:
    """Who may ask for people may not switch the door off."""
    verbs = {model.model_fields["verb"].default for model in Request.__args__}  # type: ignore[attr-defined]
    assert not {verb for verb in verbs if "stop" in verb or "open" in verb or "unlock" in verb}


def test_a_complete_enrolment_is_understood() -> None:
    """The way it is meant to be spoken."""
    raw = header(
        {"verb": "enroll", "name": " Ada  Lovelace ", "valid_from": "2026-01-01T00:00:00Z", "allow_duplicate": True},
        attachments=[photo()],
    )
    parsed = parse_header(raw)
    assert isinstance(parsed.request, EnrollRequest)
    assert parsed.request.name == "Ada Lovelace"
    assert parsed.request.valid_from is not None
    assert parsed.request.valid_from.isoformat() == "2026-01-01T00:00:00+00:00"
    assert parsed.attachments[0].size == 10


def test_validity_can_be_cleared_and_left_alone() -> None:
    """Null inside ``validity`` lifts a limit, no ``validity`` keeps it."""
    cleared = parse_header(
        header({"verb": "people.set", "who": "a", "validity": {"valid_from": None, "valid_until": None}})
    )
    kept = parse_header(header({"verb": "people.set", "who": "a", "enabled": False}))
    assert isinstance(cleared.request, PeopleSetRequest)
    assert isinstance(kept.request, PeopleSetRequest)
    assert cleared.request.validity is not None
    assert kept.request.validity is None


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    """A person's name in a malformed request does not travel into logs and terminals."""
    with pytest.raises(ControlError) as caught:
        parse_header(header({"verb": "people.show", "who": "Secret Name\x07"}))
    assert "Secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "text", ["a\tb", "Żółć", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "李小龍", "O'Brien; DROP TABLE people"]
)
def test_names_of_all_the_world_are_names(text: str) -> None:
    """Joiners that scripts need are kept; spaces of any kind become one."""
    assert clean_text(text)


@given(arrays(np.float32, st.integers(1, 600), elements=st.floats(-4, 4, width=32)))
def test_a_vector_comes_back_with_its_direction(vector: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """Packing and unpacking keep the direction; without one it is refused."""
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if norm <= 1e-6:
        with pytest.raises(ControlError):
            unpack_vector(pack_vector(vector))
        return
    unpacked = unpack_vector(pack_vector(vector))
    assert abs(float(np.linalg.norm(unpacked)) - 1) < 1e-5
    np.testing.assert_allclose(unpacked, vector / norm, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 3e38])
def test_a_vector_without_finite_length_is_refused_or_made_unit(value: float) -> None:
    """NaN, infinities and zero are errors; the largest finite numbers do not overflow into one."""
    vector = np.full(128, value, dtype=np.float32)
    if value == 3e38:
        assert abs(float(np.linalg.norm(unpack_vector(pack_vector(vector)))) - 1) < 1e-5
        return
    with pytest.raises(ControlError):
        unpack_vector(pack_vector(vector))


@pytest.mark.parametrize("text", ["", "A", "AAA=", "AAAAAA==", "AAAA AAAA", "é" * 8])
def test_a_vector_that_is_not_whole_floats_is_refused(text: str) -> None:
    """Not base64, or a byte too many."""
    with pytest.raises(ControlError):
        unpack_vector(text)
