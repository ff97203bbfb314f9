"""The field kit, put together: the door's own vision and rules, and no relay at all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from device.app.pad_report import About, ModelRow, Report, report_on
from device.app.pad_seal import fingerprint, public_key, signed
from device.app.pad_test import Outcome, PlannedTry, TryResult, Walk
from device.app.roster import Roster
from device.app.trial import Trial
from device.app.visitor import ProofOfLife, VisitRules
from device.audit.entry import json_time
from device.audit.pad_record import PadTested, SpeciesCount
from device.clock import SystemClock
from device.config import Config
from device.errors import BusyError, ConfigError, StateError
from device.interfaces import Clock, Signals
from device.vision.liveness.challenge import TurnGate
from device.vision.pack import Pack
from device.wiring.liveness import proof_maker
from device.wiring.models import Vision, load_vision, match_threshold, open_pack, same_face_threshold
from device.wiring.pad_scenes import PadScene, open_camera, render_scenes, simulated_clock
from device.wiring.people import open_roster
from device.wiring.state import State, open_state

#: A try takes no longer, unless the door itself is more patient.
TRY_S = 20.0


@dataclass(frozen=True, slots=True)
class PadTest:
    """Everything that a walk needs, open.

    Attributes:
        config: The door's.
        threshold: Cosine from which two faces match.
        simulated: Whether what is presented is rendered.
    """

    config: Config
    threshold: float
    simulated: bool
    _state: State
    _vision: Vision
    _roster: Roster
    _rules: VisitRules
    _prove: Callable[[], ProofOfLife]
    _scene: PadScene
    _named: str | None

    def attempt(self, planned: PlannedTry) -> TryResult:
        """Make one try. Raises CameraError, ModelError."""
        trial = Trial(
            vision=self._vision.pipeline(),
            roster=self._roster,
            prove=self._prove,
            signals=self._scene.signals,
            clock=self._scene.clock,
            rules=self._rules,
        )
        self._scene.signals.close()
        judged = trial.judge(self._scene.frames(planned), limit_s=max(TRY_S, self._rules.patience_s))
        made = judged.decision
        return TryResult(
            planned=planned,
            decision=made,
            responded=judged.responded,
            proven=judged.proven,
            as_named=None if self._named is None else made.granted and made.person == self._named,
            seconds=judged.seconds,
        )

    def report(self, walk: Walk) -> Report:
        """The report on a walk, as far as it has come."""
        config, clock = self.config, self._state.clock
        return report_on(
            walk,
            About(
                public_key=public_key(self._state.keys.report_seed).hex(),
                made_at=json_time(clock.wall()) or "",
                clock_trusted=clock.wall_trusted(),
                version=_version(),
                platform=config.platform,
                simulated=self.simulated,
                camera=self._scene.description,
                width=config.camera.width,
                height=config.camera.height,
                pack=self._vision.pack.manifest.pack,
                models=_models(self._vision.pack),
                liveness=config.liveness,
                threshold=self.threshold,
                votes=config.access.votes,
                vote_window=config.access.vote_window,
                enrolled=len(self._roster.list()),
                named=self._named is not None,
                complete=walk.complete,
                planned=dict(Counter(planned.species for planned in walk.plan)),
                skipped=dict(Counter(planned.species for planned in walk.skipped)),
            ),
        )

    def sign(self, report: Report) -> bytes:
        """The bytes of the report's file. Raises AuditError."""
        return signed(report, seed=self._state.keys.report_seed)

    def record(self, walk: Walk, raw: bytes, *, by_uid: int) -> None:
        """Write into the audit log that the tries were made. Raises StateError where that cannot be committed.

        Args:
            walk: With the counts.
            raw: The report's file.
            by_uid: Who did it.
        """
        species = dict.fromkeys(result.planned.species for result in walk.results)
        self._state.ledger.record(
            PadTested(
                by_uid=by_uid,
                simulated=self.simulated,
                complete=walk.complete,
                pack=self._vision.pack.manifest.pack,
                level=self.config.liveness.level,
                counts=tuple(_count(name, walk) for name in species),
                report_sha256=fingerprint(raw),
            ),
            urgent=False,
        )


@contextmanager
def open_pad_test(
    directory: Path,
    config: Config,
    *,
    signals: Signals,
    name: str | None = None,
    photos: Path | None = None,
    make_gate: Callable[[], TurnGate] | None = None,
    rng: random.Random | None = None,
) -> Iterator[PadTest]:
    """Own the state, load the models, open the camera; the relay is not touched.

    Args:
        directory: The state directory, which must exist.
        config: The door's configuration.
        signals: Tells whoever stands there what to do.
        name: The enrolled person who makes the bona fide tries, None where it may be anybody.
        photos: Folder with the demo's photographs: presentations are rendered from them instead of filmed; on platform
            ``sim`` only.
        make_gate: Judges turns; the door's own unless a test needs a control.
        rng: Draws the prompts; the system's random source unless a test repeats a scene.

    Raises:
        BusyError: A daemon runs.
        NotFoundError: Nobody is enrolled by this name, or a photograph is missing.
        ConfigError, StateError, PackError, ModelError, CameraError: What cannot be opened.
    """
    if photos is not None and config.platform != "sim":
        raise ConfigError("simulated presentations run on platform sim only", hint="leave out --simulate")
    if not directory.is_dir():
        raise StateError(f"there is no state directory {directory}", hint="check --state")
    simulated = simulated_clock() if photos is not None else None
    with ExitStack() as stack:
        state = stack.enter_context(_owned(directory, config, clock=simulated or SystemClock()))
        pack = open_pack(directory, config, state.keys)
        vision = load_vision(pack, config)
        threshold = match_threshold(pack, config)
        roster = open_roster(state, pack, config)
        named = roster.find(name).handle if name is not None else None
        scene: PadScene
        if photos is not None and simulated is not None:
            scene = render_scenes(vision, photos, clock=simulated, forward=signals)
        else:
            scene = stack.enter_context(open_camera(config, signals=signals))
        yield PadTest(
            config=config,
            threshold=threshold,
            simulated=photos is not None,
            _state=state,
            _vision=vision,
            _roster=roster,
            _rules=VisitRules.of(config, threshold=threshold, same_face=same_face_threshold(pack, config)),
            _prove=proof_maker(vision, config, rng=rng, make_gate=make_gate),
            _scene=scene,
            _named=named,
        )


@contextmanager
def _owned(directory: Path, config: Config, *, clock: Clock) -> Iterator[State]:
    """The state. Raises BusyError with what to do about the daemon that has it."""
    with ExitStack() as stack:
        try:
            state = stack.enter_context(open_state(directory, config, clock=clock, create=True))
        except BusyError as exc:
            raise BusyError(
                exc.message,
                hint="stop the daemon first and start it again afterwards: a walk needs state and camera for itself",
            ) from exc
        yield state


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
