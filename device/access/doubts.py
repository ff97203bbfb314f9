"""What speaks against a picture: from which value on a cue is a doubt, and what a doubt does to the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from device.types import Cues, Doubt

#: In such pictures the networks reject living people, and no attack was seen to gain: what they say for life counts,
#: what they say against it does not.
DULLING: Final = frozenset({Doubt.BLUR, Doubt.NOISE})
#: In such pictures the networks reject living people or accept replays: they are not believed, and their veto is void.
BLINDING: Final = DULLING | {Doubt.LOW_LIGHT, Doubt.BURNT_BACKGROUND, Doubt.GREY, Doubt.LITTLE_CONTEXT}
#: What :data:`device.access.liveness.Level.CONVENIENCE` does not mind: both are seen around living people too.
FRAMING: Final = frozenset({Doubt.BEZEL, Doubt.SEVERAL_FACES})
#: A doubt stands when so many of the last K frames raised it: 0.4 s.
DOUBTED: Final = 3


@dataclass(frozen=True, slots=True)
class CueLimits:
    """From where on a cue is a doubt; each limit stands beside its measurement in ``device/vision/liveness``.

    Attributes:
        bezel: At least so much looks like the frame of a screen.
        burnt: At least this share of the surroundings is burnt out.
        chroma: Less colour than this is a grey picture.
        brightness: A darker face is in low light.
        noise: At least so much grain is noise.
        context: Less around the face than this is too little to judge.
        sharpness: A less sharp face is blurred.
    """

    bezel: float
    burnt: float
    chroma: float
    brightness: float
    noise: float
    context: float
    sharpness: float


def doubts_about(cues: Cues, limits: CueLimits) -> frozenset[Doubt]:
    """Every doubt that a frame raises; a number that is none raises its doubt."""
    sound: tuple[tuple[Doubt, bool], ...] = (
        (Doubt.SEVERAL_FACES, cues.faces <= 1),
        (Doubt.BEZEL, cues.bezel < limits.bezel),
        (Doubt.BURNT_BACKGROUND, cues.burnt < limits.burnt),
        (Doubt.GREY, cues.chroma >= limits.chroma),
        (Doubt.LOW_LIGHT, cues.brightness >= limits.brightness),
        (Doubt.NOISE, cues.noise < limits.noise),
        (Doubt.LITTLE_CONTEXT, cues.context >= limits.context),
        (Doubt.BLUR, cues.sharpness >= limits.sharpness),
    )
    return frozenset(doubt for doubt, good in sound if not good)
