"""config/default.yaml is the full list of keys, and says what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from device.config import Config, load_config


@pytest.fixture(scope="session")
def default_file(root: Path) -> Path:
    """The file that ships."""
    return root / "config" / "default.yaml"


def test_the_default_file_equals_the_defaults_of_the_code(default_file: Path) -> None:
    """Whoever starts without a file gets what the file says."""
    assert load_config(default_file) == Config()


def test_the_default_file_names_every_key(default_file: Path) -> None:
    """A key that is not in the file would be one that nobody finds."""
    assert _keys(yaml.safe_load(default_file.read_text())) == _keys(Config().model_dump(mode="json"))


def test_every_configuration_that_ships_is_valid(root: Path) -> None:
    """The files for a Pi, a Jetson and the demo as well."""
    for path in sorted((root / "config").glob("*.yaml")):
        load_config(path)


def _keys(tree: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in tree.items():
        found |= _keys(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key}
    return found
