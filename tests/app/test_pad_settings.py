"""A report tells how the door was configured: all of it as a hash, what decides about a try as values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from device.app.pad_settings import SECTIONS, changed, config_sha256, section_values
from device.config import Config, parse_config


def configured(**sections: dict[str, Any]) -> Config:
    """The defaults with these settings."""
    return parse_config(json.dumps(sections).encode(), origin="test")


@pytest.mark.parametrize(
    "sections",
    [
        {"vision": {"min_face_px": 400}},
        {"liveness": {"steps": 2}},
        {"access": {"patience_s": 3}},
        {"gallery": {"margin": 0.5}},
        {"camera": {"fps": 5}},
        {"models": {"threads": 2}},
    ],
    ids=str,
)
def test_no_setting_is_outside_the_hash(sections: dict[str, dict[str, Any]]) -> None:
    """Wherever it stands."""
    assert config_sha256(configured(**sections)) != config_sha256(Config())


def test_a_default_that_is_written_out_is_the_same_configuration() -> None:
    """What is in force counts, not how it was said; a whole number is the same with and without a point."""
    assert config_sha256(configured(vision={"min_face_px": 40}, liveness={"level": "standard"})) == config_sha256(
        Config()
    )


def test_a_password_is_not_in_the_hash() -> None:
    """The attack: all but the password of the camera being known, try passwords until the hash is the report's."""
    one, other = (
        config_sha256(configured(camera={"source": f"rtsp://door:{word}@10.0.0.5/live"})) for word in ("1234", "4321")
    )
    assert one == other
    assert one != config_sha256(configured(camera={"source": "rtsp://door:1234@10.0.0.6/live"}))


def test_the_sections_are_told_whole() -> None:
    """Every key of each, with JSON's own values."""
    for section in SECTIONS:
        values = section_values(Config(), section)
        assert set(values) == set(type(getattr(Config(), section)).model_fields)
        assert json.loads(json.dumps(values)) == values


def test_what_is_not_as_shipped_is_named() -> None:
    """Also what only another version knows."""
    told = {section: section_values(Config(), section) for section in SECTIONS}
    assert list(changed(told)) == []
    told["vision"] = {**told["vision"], "min_face_px": 400.0, "new_gate": True}
    assert list(changed(told)) == [("vision.min_face_px", 400.0, 40.0), ("vision.new_gate", True, None)]
