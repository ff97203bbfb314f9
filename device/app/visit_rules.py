"""The numbers of a visit, collected from the configuration and the pack."""

from __future__ import annotations

from dataclasses import dataclass

from device.access.decide import Rules
from device.access.face_memory import MemoryRules
from device.access.lockout import LockoutRules
from device.config import Config
from device.types import Embedding

#: One failed proof is forgotten for each such time without another. Seven fit into it at the longest pause of 480 s, so
#: whoever goes on trying stays paused; who fails once in a while does not.
_FORGET_S = 3600.0
#: No face whose proof ended undecided owes a challenge for longer, unless that happens again.
_LONGEST_DEBT_S = 3600.0
#: Faces that failed and are remembered, in memory only: four looks of 512 bytes each, half a megabyte together. A
#: question about one face then costs 1.1 ms (128 numbers a look, one thread of an EPYC, 2026-11-20), and to push a
#: locked one out so many others must be locked.
_FACES_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class VisitRules:
    """The numbers of a visit; the meaning of each is told in ``device/config.py``."""

    decision: Rules
    threshold: float
    margin: float
    same_face: float
    compare_every_s: float
    max_turn_deg: float
    max_gap_s: float
    max_unvouched_s: float
    lockout: LockoutRules
    memory: MemoryRules
    cool_down_s: float
    patience_s: float
    left_after_s: float
    takeover_ratio: float

    def agree(self, one: Embedding, other: Embedding) -> bool:
        """Whether two looks are of one face; written so that NaN or another model disagrees."""
        return one.model == other.model and float(one.vector @ other.vector) >= self.same_face

    @classmethod
    def of(cls, config: Config, *, threshold: float, same_face: float) -> VisitRules:
        """Collect them; ``threshold`` and ``same_face`` are the configured cosines or the pack's."""
        access = config.access

        def lockout(after: int, longest_s: float = access.lockout_longest_s) -> LockoutRules:
            return LockoutRules(after=after, pause_s=access.lockout_s, longest_s=longest_s, forget_s=_FORGET_S)

        return cls(
            decision=Rules(access.votes, access.vote_window, access.max_frame_age_s, same_face),
            threshold=threshold,
            margin=config.gallery.margin,
            same_face=same_face,
            compare_every_s=access.compare_every_s,
            max_turn_deg=access.max_turn_deg,
            max_gap_s=config.liveness.max_gap_s,
            max_unvouched_s=access.max_unvouched_s,
            lockout=lockout(access.lockout_after),
            memory=MemoryRules(
                veto=lockout(1, access.veto_longest_s),
                challenge=lockout(access.face_lockout_after),
                debt=LockoutRules(after=1, pause_s=access.owes_s, longest_s=_LONGEST_DEBT_S, forget_s=_FORGET_S),
                place_s=access.place_s,
                owes_s=access.owes_s,
                capacity=_FACES_REMEMBERED,
            ),
            cool_down_s=access.cool_down_s,
            patience_s=access.patience_s,
            left_after_s=access.left_after_s,
            takeover_ratio=access.takeover_ratio,
        )
