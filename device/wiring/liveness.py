"""The proof of life that a configuration asks for, made of what the pack has."""

from __future__ import annotations

import random
from collections.abc import Callable

from device.access.doubts import CueLimits
from device.access.liveness import Level, LivenessRules, heeded_by
from device.access.passive_test import PassiveRules
from device.app.proof import LivenessProof
from device.config import Config
from device.errors import ConfigError
from device.vision.liveness.bezel import BEZEL_LIMIT
from device.vision.liveness.challenge import HeadTurnChallenge
from device.vision.liveness.cues import FrameCues
from device.vision.liveness.eyes import BlinkWatch
from device.vision.liveness.light import (
    BLUR_LIMIT,
    BURNT_LIMIT,
    CONTEXT_LIMIT,
    GREY_LIMIT,
    LOW_LIGHT_LIMIT,
    NOISE_LIMIT,
)
from device.vision.liveness.planarity import PlanarityGate
from device.vision.liveness.prompts import PromptCourses
from device.vision.pack import Pack
from device.wiring.models import Vision, has_passive

LIMITS = CueLimits(
    bezel=BEZEL_LIMIT,
    burnt=BURNT_LIMIT,
    chroma=GREY_LIMIT,
    brightness=LOW_LIGHT_LIMIT,
    noise=NOISE_LIMIT,
    context=CONTEXT_LIMIT,
    sharpness=BLUR_LIMIT,
)


def liveness_rules(config: Config, pack: Pack) -> LivenessRules:
    """What the door asks for. Raises ConfigError where the pack cannot give it."""
    rules = configured_rules(config)
    if rules.level is Level.HIGH and not has_passive(pack):
        raise ConfigError(
            f"liveness.level high needs the passive networks, and the pack {pack.manifest.pack} has none",
            hint="build and configure the pack door-plus, or set liveness.level: standard",
        )
    return rules


def configured_rules(config: Config) -> LivenessRules:
    """What a configuration asks for, whatever pack there is."""
    liveness, level = config.liveness, Level(config.liveness.level)
    return LivenessRules(
        level=level,
        passive=PassiveRules(
            samples=liveness.passive_samples,
            accept=liveness.passive_accept,
            veto=liveness.passive_veto,
            max_gap_s=liveness.max_gap_s,
            heeded=heeded_by(level),
        ),
        within_s=liveness.passive_within_s,
        max_yaw_deg=liveness.passive_max_yaw_deg,
        max_roll_deg=liveness.passive_max_roll_deg,
        steps=liveness.steps,
        steps_undecided=liveness.steps_undecided,
        limits=LIMITS,
        turns_suffice=liveness.accept_replay_risk or level is Level.CONVENIENCE,
        always_ask=_on_a_network(config) and not liveness.trust_camera_network,
    )


def _on_a_network(config: Config) -> bool:
    """Whether the camera's pictures come over a network: whoever can write there can play back yesterday's entry."""
    return "://" in config.camera.source


def proof_maker(vision: Vision, config: Config, *, rng: random.Random | None = None) -> Callable[[], LivenessProof]:
    """Makes a fresh proof of life for each visit; all of one door share the memory of the courses that were asked.

    Args:
        vision: The loaded models.
        config: The configuration.
        rng: Draws the prompts; the system's random source unless a test repeats a scene.

    Raises:
        ConfigError: The pack cannot give what the configuration asks for.
    """
    rules = liveness_rules(config, vision.pack)
    courses = PromptCourses(rng if rng is not None else random.SystemRandom())
    reader = FrameCues(vision.passive)

    def challenge(steps: int) -> HeadTurnChallenge:
        gate = PlanarityGate(config.liveness)
        spares = config.liveness.spare_turns
        course = courses.draw(steps, spares=spares)
        return HeadTurnChallenge(
            config.liveness, gate=gate, prompts=course, spares=spares, shown=lambda: courses.shown(course[:steps])
        )

    def prove() -> LivenessProof:
        eyes = BlinkWatch(vision.eyes) if vision.eyes is not None else None
        return LivenessProof(rules, reader=reader, challenge=challenge, eyes=eyes)

    return prove
