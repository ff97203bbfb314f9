"""One walk: its start in the audit log, then its tries, its report, and its end in the audit log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from device.app.pad_log import EarlierWalks, earlier_walks
from device.app.pad_report import About, EarlierRow, ModelRow, Report, WalkRow, report_on
from device.app.pad_seal import fingerprint, public_key, signed
from device.app.pad_settings import config_sha256, section_values
from device.app.pad_test import Outcome, PlannedTry, TryResult, Walk
from device.app.roster import Roster
from device.app.trial import Trial
from device.app.visit_rules import VisitRules
from device.app.visitor import ProofOfLife
from device.audit.entry import json_time
from device.audit.pad_record import PadStarted, PadTested, SpeciesCount
from device.config import Config
from device.types import AuditEntry
from device.vision.pack import Pack
from device.wiring.models import Vision
from device.wiring.pad_scenes import PadScene
from device.wiring.state import State

#: A try takes no longer, unless the door itself is more patient.
TRY_S = 20.0


@dataclass(frozen=True, slots=True)
class PadTest:
    """Everything that a walk needs, open; nothing is tried before :meth:`begin`.

    Attributes:
        config: The door's.
        threshold: Cosine from which two faces match.
        simulated: Whether what is presented is rendered.
        state: The state directory, owned.
        vision: The door's models.
        roster: Who is enrolled.
        rules: The numbers of a visit.
        prove: Makes a fresh proof of life.
        scene: Where frames come from.
        named: Handle of the enrolled person who makes the bona fide tries; None where it may be anybody.
    """

    config: Config
    threshold: float
    simulated: bool
    state: State
    vision: Vision
    roster: Roster
    rules: VisitRules
    prove: Callable[[], ProofOfLife]
    scene: PadScene
    named: str | None

    @property
    def pack(self) -> Pack:
        """The models' pack."""
        return self.vision.pack

    def begin(self, walk: Walk, *, by_uid: int) -> WalkUnderway:
        """Write the walk's start into the audit log, where it stays whatever becomes of the walk.

        Args:
            walk: With the plan.
            by_uid: Who does it.

        Raises:
            StateError: The start cannot be committed.
            AuditError: The audit log is broken, so that walks cannot be counted on it.
        """
        earlier = earlier_walks(self.state.ledger.entries(), simulated=self.simulated)
        start = PadStarted(
            by_uid=by_uid,
            simulated=self.simulated,
            pack=self.pack.manifest.pack,
            level=self.config.liveness.level,
            planned=tuple(Counter(planned.species for planned in walk.plan).items()),
            config_sha256=config_sha256(self.config),
        )
        entry = self.state.ledger.record(start, urgent=False)
        return WalkUnderway(kit=self, walk=walk, by_uid=by_uid, earlier=earlier, start=entry)


@dataclass(frozen=True, slots=True)
class WalkUnderway:
    """A walk whose start is in the audit log; made by :meth:`PadTest.begin`.

    Attributes:
        kit: What it is made with.
        walk: How far it has come.
        by_uid: Who does it.
        earlier: The walks before it.
        start: The entry about its start.
    """

    kit: PadTest
    walk: Walk
    by_uid: int
    earlier: EarlierWalks
    start: AuditEntry

    @property
    def standing(self) -> WalkRow:
        """Which walk of the device it is, and how many tries of it were begun."""
        earlier = self.earlier
        return WalkRow(
            number=earlier.begun + 1,
            earlier_reported=earlier.reported,
            earlier_untried=earlier.untried,
            earlier_tries=tuple(
                EarlierRow(species=each.species, tries=each.tries, no_response=each.no_response, alive=each.alive)
                for each in earlier.counts
            ),
            start_seq=self.start.seq,
            start_sha256=self.start.hash.hex(),
            begun=self.walk.begun,
        )

    def attempt(self, planned: PlannedTry) -> TryResult:
        """Make one try. Raises CameraError, ModelError."""
        kit = self.kit
        trial = Trial(
            vision=kit.vision.pipeline(),
            roster=kit.roster,
            prove=kit.prove,
            signals=kit.scene.signals,
            clock=kit.scene.clock,
            rules=kit.rules,
        )
        kit.scene.signals.close()
        judged = trial.judge(kit.scene.frames(planned), limit_s=max(TRY_S, kit.rules.patience_s))
        made = judged.decision
        return TryResult(
            planned=planned,
            decision=made,
            responded=judged.responded,
            proven=judged.proven,
            as_named=None if kit.named is None else made.granted and made.person == kit.named,
            seconds=judged.seconds,
        )

    def report(self) -> Report:
        """The report on the walk, as far as it has come."""
        kit, walk = self.kit, self.walk
        config, clock = kit.config, kit.state.clock
        return report_on(
            walk,
            About(
                public_key=public_key(kit.state.keys.report_seed).hex(),
                walk=self.standing,
                made_at=json_time(clock.wall()) or "",
                clock_trusted=clock.wall_trusted(),
                version=_version(),
                platform=config.platform,
                simulated=kit.simulated,
                camera=kit.scene.description,
                width=config.camera.width,
                height=config.camera.height,
                pack=kit.pack.manifest.pack,
                models=_models(kit.pack),
                config_sha256=config_sha256(config),
                liveness=section_values(config, "liveness"),
                vision=section_values(config, "vision"),
                access=section_values(config, "access"),
                threshold=kit.threshold,
                enrolled=len(kit.roster.list()),
                named=kit.named is not None,
                complete=walk.complete,
                planned=dict(Counter(planned.species for planned in walk.plan)),
                skipped=dict(Counter(planned.species for planned in walk.skipped)),
            ),
        )

    def sign(self, report: Report) -> bytes:
        """The bytes of the report's file. Raises AuditError."""
        return signed(report, seed=self.kit.state.keys.report_seed)

    def end(self, raw: bytes | None) -> None:
        """Write the walk's end into the audit log. Raises StateError where that cannot be committed.

        Args:
            raw: The report's file; None where no try was made.
        """
        kit, walk = self.kit, self.walk
        species = dict.fromkeys(result.planned.species for result in walk.results)
        kit.state.ledger.record(
            PadTested(
                start_seq=self.start.seq,
                by_uid=self.by_uid,
                simulated=kit.simulated,
                complete=walk.complete,
                pack=kit.pack.manifest.pack,
                level=kit.config.liveness.level,
                begun=walk.begun,
                counts=tuple(_count(name, walk) for name in species),
                report_sha256=None if raw is None else fingerprint(raw),
            ),
            urgent=False,
        )


def _count(species: str, walk: Walk) -> SpeciesCount:
    outcomes = Counter(result.outcome for result in walk.results if result.planned.species == species)
    return SpeciesCount(
        species=species,
        tries=outcomes.total(),
        no_response=outcomes[Outcome.NO_RESPONSE],
        alive=outcomes[Outcome.ALIVE],
    )


def _models(pack: Pack) -> tuple[ModelRow, ...]:
    entries = sorted(pack.manifest.models.items())
    return tuple(ModelRow(role=role, model_id=entry.model_id, sha256=entry.sha256) for role, entry in entries)


def _version() -> str:
    try:
        return version("doorward")
    except PackageNotFoundError:
        return "not installed"
