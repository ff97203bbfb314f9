"""What YAML can mean here: plain values; never a date, an object, or a number that takes minutes to read."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from device.config import parse_config
from device.errors import ConfigError
from device.yaml_loader import PlainLoader, StrictLoader


def _load(text: str, loader: type[PlainLoader] = PlainLoader) -> Any:
    return yaml.load(text, Loader=loader)  # noqa: S506 the loader is what is tested


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-17", -17), ("0", 0), ("1.5", 1.5), ("-.5", -0.5), ("1.0e-5", 1e-5), (".inf", math.inf),
        ("true", True), ("off", False), ("~", None), ("", None), ("word", "word"), ("'1'", "1"), ("[1, a]", [1, "a"]),
    ],
)  # fmt: skip
def test_plain_values_are_what_they_look_like(text: str, value: object) -> None:
    """As every reader of YAML takes them."""
    assert _load(f"key: {text}") == {"key": value}


@pytest.mark.parametrize(
    "text",
    [
        "2001-99-99", "2001-01-01", "2001-01-01T00:00:61Z", "1:30", "22:00:00", "0x1F", "0b1", "017", "1_000",
        "=", "<<",        "9" * 19, "9" * 5000, "1:" * 120_000 + "1", "1." + "1" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_plain_value_stays_text(text: str) -> None:
    """Whether text may stand there is the schema's to say."""
    assert _load(f"key: {text}") == {"key": text}


@pytest.mark.parametrize("tag", ["!!timestamp '2001-99-99'", "!!int '1:1:1'", "!!binary x", "!!set {a}", "!own x",
                                 "!!python/object/apply:os.system [true]", "!<tag:yaml.org,2002:int> 'x'"])  # fmt: skip
def test_a_tag_is_refused(tag: str) -> None:
    """Also one that Python's reader knows."""
    with pytest.raises(yaml.YAMLError, match="tags"):
        _load(f"key: {tag}")


@pytest.mark.parametrize("text", ["? [a]\n: b", "? {a: b}\n: c", "1: a", "~: a", "true: a", "a: 1\na: 2"])
def test_keys_are_words_that_are_given_once(text: str) -> None:
    """Neither lists nor numbers; the second of two would silently win."""
    with pytest.raises(yaml.YAMLError, match="key"):
        _load(text)


def test_aliases_are_for_descriptions_only() -> None:
    """In a configuration they are refused."""
    assert _load("a: &x 1\nb: *x") == {"a": 1, "b": 1}
    with pytest.raises(yaml.YAMLError, match="aliases"):
        _load("a: &x 1\nb: *x", StrictLoader)


@pytest.mark.parametrize("text", ["2001-99-99: 1", "platform: 2001-99-99", "platform: " + "9" * 5000, "? [a]\n: b",
                                  "platform: !!timestamp 2001-99-99"])  # fmt: skip
def test_a_hostile_configuration_is_an_invalid_one(text: str) -> None:
    """Nothing else comes out."""
    with pytest.raises(ConfigError):
        parse_config(text.encode(), origin="test")


@given(st.text(alphabet="0123456789:-+.eExb_TZ '\"!&*[]{}?,#\n\tax~", max_size=60))
def test_no_text_fails_in_another_way_than_yaml_does(text: str) -> None:
    """Values out of a tree of plain types, or YAML's own error."""
    try:
        tree = _load(text)
    except yaml.YAMLError:
        return
    todo = [tree]
    while todo:
        value = todo.pop()
        assert value is None or type(value) in (dict, list, str, bool, int, float)
        todo += [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
