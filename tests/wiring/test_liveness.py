"""What the configuration and the measurements become: limits, rules, and the doubts that they raise."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from device.access.doubts import CueLimits, doubts_about
from device.access.liveness import Level
from device.config import parse_config
from device.types import Cues, Doubt
from device.vision.liveness import bezel, light
from device.wiring.liveness import LIMITS, configured_rules

#: Within every limit by a little.
GOOD = Cues(
    live=0.9, faces=1, bezel=1.79, burnt=0.049, chroma=0.04, brightness=50.0, noise=0.029, context=2.0, sharpness=5.0
)
#: Each limit: what was measured, whether it is a most or a least, and what is doubted beyond it.
MEASURED: dict[str, tuple[float, str, Doubt]] = {
    "bezel": (bezel.BEZEL_LIMIT, "most", Doubt.BEZEL),
    "burnt": (light.BURNT_LIMIT, "most", Doubt.BURNT_BACKGROUND),
    "chroma": (light.GREY_LIMIT, "least", Doubt.GREY),
    "brightness": (light.LOW_LIGHT_LIMIT, "least", Doubt.LOW_LIGHT),
    "noise": (light.NOISE_LIMIT, "most", Doubt.NOISE),
    "context": (light.CONTEXT_LIMIT, "least", Doubt.LITTLE_CONTEXT),
    "sharpness": (light.BLUR_LIMIT, "least", Doubt.BLUR),
}


def test_every_limit_of_the_door_was_measured() -> None:
    assert set(MEASURED) == {each.name for each in fields(CueLimits)}
    assert doubts_about(GOOD, LIMITS) == frozenset(), "the control"


@pytest.mark.parametrize("cue", MEASURED)
def test_each_limit_is_the_one_that_was_measured_for_its_cue(cue: str) -> None:
    """At the door: a number just beyond it raises the doubt of this cue alone."""
    limit, kind, doubt = MEASURED[cue]
    assert getattr(LIMITS, cue) == limit
    beyond: dict[str, Any] = {cue: limit if kind == "most" else math.nextafter(limit, -math.inf)}
    within: dict[str, Any] = {cue: math.nextafter(limit, -math.inf) if kind == "most" else limit}
    assert doubts_about(replace(GOOD, **beyond), LIMITS) == {doubt}
    assert doubts_about(replace(GOOD, **within), LIMITS) == frozenset()


def test_the_door_heeds_these_limits() -> None:
    assert configured_rules(parse_config(b"{}", origin="test")).limits is LIMITS


def test_each_number_of_the_configuration_reaches_its_own_rule() -> None:
    """No two are alike here, so that none can stand for another."""
    text = b"""
liveness: {passive_samples: 9, passive_accept: 0.85, passive_veto: 0.15, max_gap_s: 0.31, passive_within_s: 2.5,
  passive_max_yaw_deg: 13, passive_max_roll_deg: 17, steps: 4, steps_undecided: 3}
"""
    rules = configured_rules(parse_config(text, origin="test"))
    passive = rules.passive
    assert (passive.samples, passive.accept, passive.veto, passive.max_gap_s) == (9, 0.85, 0.15, 0.31)
    assert (rules.within_s, rules.max_yaw_deg, rules.max_roll_deg) == (2.5, 13, 17)
    assert (rules.steps, rules.steps_undecided) == (4, 3)


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("risk", [True, False])
def test_head_turns_suffice_at_convenience_or_where_an_owner_says_so(level: Level, *, risk: bool) -> None:
    text = f"liveness: {{level: {level}, accept_replay_risk: {str(risk).lower()}}}"
    rules = configured_rules(parse_config(text.encode(), origin="test"))
    assert rules.level is level
    assert rules.turns_suffice is (risk or level is Level.CONVENIENCE)


@pytest.mark.parametrize(
    ("source", "trusted", "asks"),
    [
        ("rtsp://camera.example/stream", False, True),
        ("rtsp://camera.example/stream", True, False),
        ("scene", False, False),
    ],
)
def test_a_camera_on_a_network_is_always_asked_unless_its_network_is_trusted(
    source: str, *, trusted: bool, asks: bool
) -> None:
    text = f"camera: {{source: '{source}'}}\nliveness: {{trust_camera_network: {str(trusted).lower()}}}"
    assert configured_rules(parse_config(text.encode(), origin="test")).always_ask is asks
