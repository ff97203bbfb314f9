"""A pause after too many failed proofs of life at one door, whoever failed: trying again must not be free.

Three prompts of four directions are 64 sequences; one recorded sequence would fit after some minutes of trying without
a pause. Pure values: each event gives a new state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class LockoutRules:
    """See ``AccessConfig`` for the meaning of each number; all in seconds but the first."""

    after: int
    pause_s: float
    longest_s: float
    forget_s: float


@dataclass(frozen=True, slots=True)
class Lockout:
    """How often a proof has failed in a row, and until when nobody is asked.

    Attributes:
        failures: Less those forgiven by grants and those forgotten.
        until_s: Monotonic time until which nobody is asked; minus infinity without a pause.
        failed_s: When it failed last.
    """

    failures: int = 0
    until_s: float = float("-inf")
    failed_s: float = float("-inf")

    def active(self, now_s: float) -> bool:
        """Whether the pause still lasts; a time that is no number counts as too early."""
        return not (now_s >= self.until_s)

    def failed(self, now_s: float, rules: LockoutRules) -> Lockout:
        """After one more failure: from ``rules.after`` on a pause, twice as long each time, up to the longest.

        One failure is forgotten for each ``rules.forget_s`` without any: waiting pays no better than pausing.
        """
        quiet_s = now_s - max(self.failed_s, self.until_s)
        forgotten = int(min(quiet_s / rules.forget_s, self.failures)) if quiet_s > 0 else 0
        failures = self.failures - forgotten + 1
        beyond = failures - rules.after
        if beyond < 0:
            return replace(self, failures=failures, failed_s=now_s)
        pause_s = min(rules.pause_s * 2.0 ** min(beyond, 32), rules.longest_s)
        return Lockout(failures=failures, until_s=now_s + pause_s, failed_s=now_s)

    def passed(self) -> Lockout:
        """After a grant one failure is forgiven: of who failed and came again. A stranger's passed proof is no grant.

        Not all of them: at a busy door others' grants would make every four tries free.
        """
        return replace(self, failures=max(0, self.failures - 1))
