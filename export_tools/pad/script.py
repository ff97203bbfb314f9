"""What is done with every presentation while it is recorded: one script, whatever a policy would do."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final

from device.access.liveness import LivenessRules, Move, Ruling, Standpoint
from device.app.visit_rules import VisitRules
from device.config import Config, LivenessConfig, VisionConfig
from device.types import Signal
from device.vision.liveness.prompts import PromptCourses
from device.vision.pack import Pack
from device.wiring.liveness import liveness_rules
from device.wiring.models import same_face_threshold

#: Head turns that a script asks for; a policy may ask for as many or fewer.
STEPS: Final = 3
#: Prompts beyond these, for turns that leave the gate undecided.
SPARES: Final = 1
#: The passive part goes on for so long after the last moment at which a policy decides: two more compared frames, for
#: the votes of whoever is accepted just then.
BEYOND_S: Final = 0.3
#: After the last turn a window of votes is filled: five compared frames, 0.13 s apart at 30 frames per second, 0.2 s
#: at 10.
TAIL_S: Final = 1.2
#: No recording is longer: an approach, the passive part, and three turns of which each takes all the time it has.
LONGEST_S: Final = 45.0
#: What shapes a recording and lies in the configuration's liveness section; everything else there is a policy's.
_SHAPING: Final = (
    "passive_within_s",
    "turn_deg",
    "nod_deg",
    "neutral_deg",
    "hold_s",
    "answer_min_s",
    "answer_max_s",
    "return_max_s",
    "baseline_s",
    "max_gap_s",
    "planarity_window_s",
    "min_corners",
    "min_linked",
    "min_linked_parts",
)
#: Where brisk, what the gate refuses ends a recording: it must not serve a policy with other limits.
_SHAPING_BRISK: Final = ("min_residual", "min_parallax")


@dataclass(frozen=True, slots=True)
class Script:
    """The script of one configuration.

    Attributes:
        liveness: Times, angles and the gate's numbers.
        vision: Rates and gates.
        visit: When a face is compared, and how faces come and go.
        rules: Nobody is asked anything for ``within_s`` after a visit's first compared frame, then for three turns.
        brisk: For policies without networks and with the whole gate: cues are not read, nobody waits before being
            asked, and a turn that the gate refuses ends the recording. Costs a third.
    """

    liveness: LivenessConfig
    vision: VisionConfig
    visit: VisitRules
    rules: LivenessRules
    brisk: bool = False

    @classmethod
    def of(cls, config: Config, pack: Pack, *, brisk: bool = False) -> Script:
        """The script that serves the policies of a configuration, whatever its level. Raises ConfigError, PackError."""
        standard = config.model_copy(update={"liveness": config.liveness.model_copy(update={"level": "standard"})})
        rules = liveness_rules(standard, pack)
        return cls(
            liveness=config.liveness,
            vision=config.vision,
            # Nobody is enrolled while a presentation is recorded.
            visit=VisitRules.of(config, threshold=1.0, same_face=same_face_threshold(pack, config)),
            rules=replace(
                rules,
                within_s=0.0 if brisk else rules.within_s + BEYOND_S,
                steps=STEPS,
                steps_undecided=STEPS,
            ),
            brisk=brisk,
        )

    @property
    def identity(self) -> dict[str, float]:
        """Every number that shapes a recording, by name."""
        visit = self.visit
        names = (*_SHAPING, *_SHAPING_BRISK) if self.brisk else _SHAPING
        shaping = {name: float(getattr(self.liveness, name)) for name in names}
        return shaping | {
            "within_s": self.rules.within_s,
            "same_face": visit.same_face,
            "compare_every_s": visit.compare_every_s,
            "max_turn_deg": visit.max_turn_deg,
            "max_unvouched_s": visit.max_unvouched_s,
            "patience_s": visit.patience_s,
            "left_after_s": visit.left_after_s,
            "takeover_ratio": visit.takeover_ratio,
            "brisk": float(self.brisk),
            "steps": STEPS,
            "spares": SPARES,
            "tail_s": TAIL_S,
            "longest_s": LONGEST_S,
        }


def wait_then_ask(case: Standpoint, rules: LivenessRules) -> Ruling:
    """The script's policy."""
    return Ruling(Move.CHALLENGE, steps=rules.steps) if case.late else Ruling(Move.WAIT)


def course(seed: int) -> tuple[Signal, ...]:
    """The prompts of a presentation, drawn as a door draws them."""
    return PromptCourses(random.Random(f"{seed}/course")).draw(STEPS + SPARES)  # noqa: S311  # a presentation can be repeated
