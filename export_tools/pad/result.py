"""What an evaluation of the whole liveness policy found: frozen values, one stable JSON document.

Terms are those of ISO/IEC 30107-3:2023. Rates are told for each attack type (PAI species), never averaged over types.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from device.types import Word
from export_tools.evaluate.results.common import Count, Rate, Result, Share

#: Percentages at which a :class:`Spread` is told; also what the plots need.
PERCENTS: Final = tuple(range(0, 101, 5))

Seconds = Annotated[float, Field(ge=0)]


class Outcome(Word):
    """What became of a presentation, in one word."""

    ACCEPTED = "accepted"
    """The passive networks alone sufficed."""
    CHALLENGED = "challenged"
    """A head turn was asked for, whatever came of it but a veto."""
    VETOED = "vetoed"
    """The passive networks took it for a spoof, before a challenge or in it."""
    REFUSED = "refused"
    """Denied without a challenge and without a veto."""
    NO_RESPONSE = "no_response"
    """No frame was compared, or a recording ended before the door had decided: neither accepted nor denied."""


class Spread(Result):
    """How numbers lie."""

    count: Annotated[int, Field(ge=1)]
    quantiles: Annotated[tuple[float, ...], Field(min_length=len(PERCENTS), max_length=len(PERCENTS))]
    """At 0, 5, ... 100 %, with linear interpolation: the least, the median in the middle, the greatest."""

    def at(self, percent: int) -> float:
        """The quantile at one of :data:`PERCENTS`."""
        return self.quantiles[PERCENTS.index(percent)]


class ReasonCount(Result):
    """How often a denial had a reason."""

    reason: str
    count: Count


class OutcomeCounts(Result):
    """Presentations by :class:`Outcome`."""

    accepted: Count
    challenged: Count
    vetoed: Count
    refused: Count
    no_response: Count


class TurnCounts(Result):
    """Head turns that reached the gate: were held as asked, in time. Turns of one attempt are no independent trials."""

    judged: Count
    passed: Count
    """Of these, taken for turns of a solid head that is the compared one."""
    attempts: Count
    """Attempts with a judged turn."""


class AttackFigures(Result):
    """One attack type."""

    species: str
    attempts: Count
    subjects: Count
    """Identities that were shown."""
    apcer: Rate
    """Attempts in which the proof of life passed, among those that got a response."""
    session_apcer: Rate | None
    """Sessions (the attempts of one attacker until the door locks out) in which it ever passed, among those that got a
    response; null where no sessions were played."""
    session_attempts: Count
    """Attempts that all sessions hold together."""
    iapar: Rate | None
    """Attempts let in as the victim, among all; null where nobody is enrolled."""
    apnrr: Rate
    """Attempts without a response, among all."""
    passed_unasked: Count
    """Passes that the passive networks gave alone."""
    turns: TurnCounts
    outcomes: OutcomeCounts
    reasons: tuple[ReasonCount, ...]
    """Of the attempts whose proof did not pass, the most frequent first."""
    residuals: Spread | None
    """Of every judged turn: KLT homography residual over inter-ocular distance."""
    parallaxes: Spread | None
    """Of every judged turn: sine of the turn that its corners confirm in depth."""
    medians: Spread | None
    """P(live) of the passive networks, median of the last K answers of each attempt."""


class DecisionTimes(Result):
    """Seconds from the first compared frame to the decision, of visitors whose proof passed."""

    every: Spread | None
    unasked: Spread | None
    """Where the passive networks sufficed."""
    asked: Spread | None
    """Where a head turn was asked for."""


class BonaFideFigures(Result):
    """Living visitors."""

    attempts: Count
    subjects: Count
    bpcer: Rate
    """Turned away, among those that got a response. A recorded visitor cannot answer, so being asked is no error."""
    bpnrr: Rate
    """Without a response, among all."""
    challenged: Rate
    """Asked for a head turn, among those that got a response."""
    vetoed: Rate
    """Taken for a spoof by the passive networks, among those that got a response."""
    granted: Rate | None
    """Let in as themselves, among all; null where nobody is enrolled."""
    outcomes: OutcomeCounts
    reasons: tuple[ReasonCount, ...]
    """Of those whose proof did not pass, the most frequent first."""
    times: DecisionTimes
    turns: TurnCounts
    residuals: Spread | None
    parallaxes: Spread | None
    medians: Spread | None


class AblationCell(Result):
    """One species under one variant."""

    species: str
    passes: Rate
    """Attempts in which the proof of life passed, among those that got a response."""


class AblationRow(Result):
    """One variant of the policy; the first of all rows is the policy as it is."""

    variant: str
    meaning: str
    cells: tuple[AblationCell, ...]


class AttemptRow(Result):
    """One presentation."""

    species: str
    number: Count
    subject: str
    outcome: Literal["accepted", "challenged", "vetoed", "refused", "no_response"]
    proven: bool
    granted: bool
    reason: str
    decided_s: Seconds | None
    residual: float | None
    """The least of its judged turns."""
    parallax: float | None
    """The least of its judged turns, of whichever of them."""
    median: Share | None


class Setting(Result):
    """A setting of the policy as it was in force."""

    name: str
    value: str


class ModelName(Result):
    """A model of the pack."""

    role: str
    model_id: str


class Simulated(Result):
    """Where simulated presentations come from."""

    source: Literal["simulated"] = "simulated"
    renderer: str
    parameters: str
    """Name of the committed file that the attacks are drawn from."""
    parameters_sha256: str
    half: str
    """Which half of the numbers was played; thresholds may be chosen on the other one only."""
    portraits: Count
    """Photographs that the presentations were rendered from."""


class Recorded(Result):
    """Where recorded presentations come from."""

    source: Literal["recorded"] = "recorded"
    manifest: str
    manifest_sha256: str


class PolicyResult(Result):
    """The whole liveness policy of a door, attempt by attempt: `evaluate pad`."""

    kind: Literal["pad_policy"] = "pad_policy"
    pack: str
    models: tuple[ModelName, ...]
    passive: bool
    """Whether the passive networks were asked."""
    settings: tuple[Setting, ...]
    min_residual: float
    """The residual below which a turn is flat."""
    min_parallax: float
    """What the parallax of a turn must reach, less its standard error."""
    passive_accept: Share
    passive_veto: Share
    origin: Annotated[Simulated | Recorded, Field(discriminator="source")]
    attacks: tuple[AttackFigures, ...]
    """The worst attack type first: by APCER, then by its upper bound."""
    worst: str | None
    """The attack type with the highest APCER; null where no attack got a response."""
    bona_fide: BonaFideFigures | None
    """Null where no living visitor came."""
    ablation: tuple[AblationRow, ...]
    attempts: tuple[AttemptRow, ...]
    elapsed_s: Seconds
