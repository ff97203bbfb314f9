"""What one presentation came to under one policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from device.types import LivenessEvidence, Reason

#: The species of what is no attack.
LIVE: Final = "live"
#: The species of somebody who is alive and then holds up the picture of somebody else.
ACCOMPLICE: Final = "accomplice"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One presentation under one policy.

    Attributes:
        species: The attack type (PAI species, ISO/IEC 30107-3), or ``live`` for a bona fide presentation.
        number: Of the presentation within its species.
        subject: The identity shown; an attack's is its victim's.
        proven: Whether the proof of life passed at some frame.
        granted: Whether the visitor was let in as the enrolled identity: what IAPAR counts; False where nobody is
            enrolled.
        challenged: Whether a head turn was asked for.
        reason: ``GRANTED``, or why not.
        decided_s: Seconds from the first compared frame to the decision; None where no frame was compared.
        evidence: What the proof of life rested on in the end; None where there was no sample.
    """

    species: str
    number: int
    subject: str
    proven: bool
    granted: bool
    challenged: bool
    reason: Reason
    decided_s: float | None
    evidence: LivenessEvidence | None

    @property
    def passed(self) -> bool:
        """Whether an attack got what it was made for.

        A proof of life, for pictures. An accomplice is alive, and what is raised before the own face is to be let in.
        """
        return self.granted if self.species == ACCOMPLICE else self.proven
