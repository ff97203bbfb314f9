"""What `doorward-export evaluate pad` does with the whole policy: record, play, count, tell."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from device.access.liveness import Level
from device.config import Config, LivenessConfig
from device.errors import NotFoundError, UsageError
from device.sim.attacks.catalogue import PARAMETERS, Catalogue, Half
from device.vision.pack import Pack
from device.wiring.models import has_passive
from export_tools.commands.delivering import deliver, require_places
from export_tools.commands.evaluating import opened
from export_tools.commands.progress import CountingReporter
from export_tools.commands.shared import fetcher_for
from export_tools.evaluate.presentations import SPECIES, read_manifest
from export_tools.pad.ablation import ablated
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.farm import record_all
from export_tools.pad.measure import measure
from export_tools.pad.plan import PHOTOS, as_photos, recorded_items, simulated_items, species_of
from export_tools.pad.result import PolicyResult, Recorded, Simulated
from export_tools.pad.settings import PolicySettings
from export_tools.pad.studio import Item, StudioPlan, clip_digests
from export_tools.pad.studio import Recorded as RecordedClip
from export_tools.pad.summary import Measured, summarise_policy
from export_tools.pad.tables import print_policy
from export_tools.pad.trace import Trace
from export_tools.report.conditions import Conditions
from export_tools.sources.fetch import fetch_photos

_RENDERER: Final = "device.sim"


def evaluate_policy(options: argparse.Namespace) -> None:
    """Measure what the settled options name, then write; nothing is written where measuring fails.

    Raises:
        DoorwardError: See its exit code.
    """
    require_places(options)
    if options.key_file is not None:
        raise UsageError(
            "--key-file has no part here: the processes that record read the key of the state directory",
            hint="name the state directory that has the key with --state",
        )
    result = (_simulated if options.simulated else _recorded)(options, CountingReporter(Console(stderr=True)))

    def page(conditions: Conditions) -> str:
        # Drawing takes a second to load.
        from export_tools.pad.page import policy_page  # noqa: PLC0415
        from export_tools.report.conditions import told_conditions  # noqa: PLC0415

        return policy_page(result, conditions=told_conditions(conditions))

    if deliver(options, result, prefix="pad", page=page):
        print_policy(result)


def _simulated(options: argparse.Namespace, reporter: CountingReporter) -> PolicyResult:
    items = simulated_items(species_of(options.species), half=Half(options.half), count=options.count)
    pack, config, settings = _policy(options)
    photos = as_photos(fetch_photos(PHOTOS, fetcher=fetcher_for(options)))
    # What neither the networks nor an ablation needs is not recorded.
    brisk = not settings.passive and not options.ablation
    plan = StudioPlan(state=options.state, config=config, photos=photos, brisk=brisk)
    measured = _measured(
        options,
        items,
        plan=plan,
        policies=ablated(settings) if options.ablation else (settings,),
        reporter=reporter,
    )
    origin = Simulated(
        renderer=_RENDERER,
        parameters=PARAMETERS,
        parameters_sha256=Catalogue.load().sha256,
        half=options.half,
        portraits=len(photos),
    )
    return summarise_policy(measured, settings=settings, pack=pack, origin=origin)


def _recorded(options: argparse.Namespace, reporter: CountingReporter) -> PolicyResult:
    species = tuple(options.species.split(",")) if options.species else SPECIES
    presentations = read_manifest(options.manifest, folder=options.images, species=species)
    pack, config, settings = _policy(options)
    if not has_passive(pack):
        raise UsageError(
            f"the pack {options.pack} has no passive liveness networks: it would ask every clip, and none can answer",
            hint="evaluate one that has: --pack door-plus",
        )
    items = recorded_items(presentations)
    plan = StudioPlan(state=options.state, config=config, photos={}, clips=_digests(items))
    measured = _measured(options, items, plan=plan, policies=(settings,), reporter=reporter)
    origin = Recorded(
        manifest=options.manifest.name, manifest_sha256=hashlib.sha256(options.manifest.read_bytes()).hexdigest()
    )
    return summarise_policy(measured, settings=settings, pack=pack, origin=origin)


def _policy(options: argparse.Namespace) -> tuple[Pack, Config, PolicySettings]:
    """What judges. Raises PackError, StateError, ConfigError, UsageError."""
    pack, config = opened(options)
    changed: dict[str, object] = {} if options.level is None else {"level": options.level}
    if options.steps is not None:
        changed |= {"steps": options.steps, "steps_undecided": options.steps}
    liveness = LivenessConfig.model_validate(config.liveness.model_dump() | changed)
    models = config.models.model_copy(update={"pack": options.pack})
    config = config.model_copy(update={"liveness": liveness, "models": models})
    settings = PolicySettings.of(config, pack)
    if options.without_passive:
        if settings.rules.level is Level.HIGH:
            raise UsageError(
                "the configuration asks for level high, which needs the passive networks",
                hint="leave out --without-passive, or give --level standard",
            )
        settings = replace(settings, passive=False)
    return pack, config, settings


def _measured(
    options: argparse.Namespace,
    items: tuple[Item, ...],
    *,
    plan: StudioPlan,
    policies: tuple[PolicySettings, ...],
    reporter: CountingReporter,
) -> Measured:
    started_s = time.monotonic()
    studio = plan.open()
    with _folder(options.traces) as folder:
        cache = studio.cache(folder)
        for other in cache.others():
            reporter.note(f"{other} is of other models, settings or code: not used; delete it when it is not needed")
        record_all(items, open_recorder=plan.open, cache=cache, workers=options.workers, reporter=reporter)

        def enrolled(trace: Trace) -> Enrolled | None:
            return studio.enrolled(trace.about.photo) if options.simulated else None

        return measure(
            items,
            cache=cache,
            policies=policies,
            enrolled=enrolled,
            identities_known=options.simulated,
            answers=options.simulated,
            reporter=reporter,
            started_s=started_s,
        )


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    """Where traces are: in the folder that was named, else in one that is gone afterwards."""
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="doorward-traces-") as made:
        yield Path(made)


def _digests(items: tuple[RecordedClip, ...]) -> dict[str, str]:
    try:
        return clip_digests(items)
    except OSError as exc:
        raise NotFoundError(f"cannot read {exc.filename}: {exc.strerror}", hint="check the manifest") from exc
