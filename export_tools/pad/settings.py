"""The whole liveness policy of a door as one value, so that policies can be compared."""

from __future__ import annotations

from dataclasses import dataclass

from device.access.liveness import LivenessRules, Policy, rule
from device.app.visit_rules import VisitRules
from device.config import Config, LivenessConfig
from device.errors import UsageError
from device.vision.pack import Pack
from device.wiring.liveness import liveness_rules
from device.wiring.models import has_passive, match_threshold, same_face_threshold
from export_tools.pad.script import STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """Everything that decides about an attempt; what a switch turns off is not there, it is never taken for passed.

    Attributes:
        name: What to call it.
        rules: Level, passive test, doubts, and how many head turns are asked for.
        liveness: Times and angles of the challenge, and the least residual of its gate.
        visit: Votes, thresholds, agreement of embeddings, memory of failed faces, lock-outs.
        passive: Whether the networks are asked.
        challenge: Whether head turns are asked for; without, whoever would be asked is let wait, and denied.
        planarity: Whether a turn must leave a residual, and show relief.
        parallax: Whether it must show relief; without, the residual alone decides.
        link: Whether the turned face must hang together with the last compared one.
        several_faces: Whether several faces are a doubt.
        lockout: Whether failed faces and the door are locked for a while.
        policy: Decides what is asked next.
    """

    name: str
    rules: LivenessRules
    liveness: LivenessConfig
    visit: VisitRules
    passive: bool
    challenge: bool = True
    planarity: bool = True
    parallax: bool = True
    link: bool = True
    several_faces: bool = True
    lockout: bool = True
    policy: Policy = rule

    def __post_init__(self) -> None:
        """Raises UsageError for what no trace can answer."""
        if max(self.rules.steps, self.rules.steps_undecided) > STEPS:
            raise UsageError(
                f"the policy {self.name} asks for more than {STEPS} head turns, and traces have no more",
                hint=f"set liveness.steps and liveness.steps_undecided to at most {STEPS}",
            )

    @classmethod
    def of(cls, config: Config, pack: Pack, *, name: str = "policy") -> PolicySettings:
        """The policy of a door with this configuration and pack. Raises ConfigError, PackError, UsageError."""
        threshold, same_face = match_threshold(pack, config), same_face_threshold(pack, config)
        return cls(
            name=name,
            rules=liveness_rules(config, pack),
            liveness=config.liveness,
            visit=VisitRules.of(config, threshold=threshold, same_face=same_face),
            passive=has_passive(pack),
        )
