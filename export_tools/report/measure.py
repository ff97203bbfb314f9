"""Every model of some packs, at every precision, on this machine: what the report is made of.

Nothing is built into a state directory: artefacts are made in memory from the descriptions, exactly as a build makes
them. A model that several packs share is measured once, on what the first of them feeds it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from device.vision.manifest import TARGETS, Role, Target
from export_tools.build import read_sources
from export_tools.cards import PackCard, load_pack_card
from export_tools.convert.convert import convert
from export_tools.evaluate.latency import WARM_UP
from export_tools.precision.artefact import recorded_ranges
from export_tools.precision.calibration import record_ranges
from export_tools.precision.pictures import PictureSource, split_sources
from export_tools.precision.ranges import Ranges
from export_tools.precision.record import default_sources, observe_pack
from export_tools.report.engines import Engines
from export_tools.report.machine import this_machine
from export_tools.report.result import Backend, HeldOut, PackFigures, ReportResult
from export_tools.report.runner import ConvertedPack, Runner, Settings
from export_tools.report.steps import NoSteps, Steps
from export_tools.sources.fetch import Fetcher, fetch_photos


def measure_packs(
    names: Sequence[str],
    *,
    fetcher: Fetcher,
    settings: Settings,
    steps: Steps | None = None,
    engines: Engines,
) -> ReportResult:
    """Measure packs by name.

    Args:
        names: Which descriptions, `models/packs/<name>.yaml`.
        fetcher: What brings the sources.
        settings: How.
        steps: Who is told how far it is.
        engines: What builds TensorRT engines, or says why there are none.

    Raises:
        DownloadError: A source cannot be had.
        PackError: A description is damaged, a model cannot be converted, its recorded ranges are missing or foreign, or
            the calibration set is of no use.
        ModelError: A model failed.
    """
    started = time.monotonic()
    steps = steps or NoSteps()
    cards = [load_pack_card(name)[0] for name in names]
    _check_ranges(cards, settings)
    references = [_references(card, fetcher) for card in cards]
    split = split_sources(default_sources(fetcher=fetcher, clips=settings.calibration))
    runner = Runner(
        settings=settings, held_out=split.held_out, photos=fetch_photos(fetcher=fetcher), steps=steps, engines=engines
    )
    packs = [
        ConvertedPack(card, found, _excluded_ranges(card, found, split.calibration, fetcher))
        for card, found in zip(cards, references, strict=True)
    ]
    models = {model.name: len(pack.measured(role)) + 1 for pack in packs for role, model in pack.card.models.items()}
    steps.begin(2 * len(packs) + sum(models.values()))
    figures: list[PackFigures] = []
    pictures = 0
    try:
        for pack in packs:
            steps.step(f"{pack.card.pack}: looking at {len(split.held_out)} held-out sources")
            seen = observe_pack(pack.card, pack.references, split.held_out)
            pictures = seen.pictures
            figures.append(runner.measure(pack, seen))
    finally:
        steps.end()
    return ReportResult(
        measured_on=settings.measured_on,
        command=settings.command,
        elapsed_s=round(time.monotonic() - started, 1),
        machine=this_machine(),
        threads=settings.threads,
        warm_up=WARM_UP,
        rounds=settings.rounds,
        backends=tuple(_backend(name, engines) for name in TARGETS),
        held_out=HeldOut(
            description=_described(settings),
            sources=len(split.held_out),
            pictures=pictures,
            calibration_sources=len(split.calibration),
        ),
        models=runner.models,
        packs=tuple(figures),
    )


def _check_ranges(cards: Sequence[PackCard], settings: Settings) -> None:
    """Missing ranges end the run before minutes are spent. Raises PackError (``calibration``)."""
    for card in cards:
        for model in card.models.values():
            if model.name not in settings.ranges and any(name.startswith("int8") for name in model.precisions):
                recorded_ranges(model)


def _references(card: PackCard, fetcher: Fetcher) -> dict[Role, bytes]:
    sources = read_sources(card, fetcher)
    return {role: convert(model, sources[role]) for role, model in card.models.items()}


def _excluded_ranges(
    card: PackCard, references: Mapping[Role, bytes], calibration: Sequence[PictureSource], fetcher: Fetcher
) -> dict[str, Ranges]:
    """Nobody keeps ranges of a model that may not run in INT8: to be measured in it, it gets some for this run."""
    roles = [
        role
        for role, model in card.models.items()
        if model.ranges is None and any(precision.startswith("int8") for precision in model.excluded)
    ]
    if not roles:
        return {}
    fetcher.reporter.note(f"{card.pack}: recording what is excluded from {len(calibration)} photographs and clips")
    seen = observe_pack(card, references, calibration)
    return {
        card.models[role].name: record_ranges(
            references[role],
            seen.batches[role],
            name=card.models[role].name,
            description="the other side of this report's set, for this report alone",
            sources=len(seen.sources) - len(seen.without_face),
        )
        for role in roles
    }


def _described(settings: Settings) -> str:
    own = "the demo's photographs"
    what = own if settings.calibration is None else f"{own} and the photographs and clips in {settings.calibration}"
    return (
        f"about every third of {what}, chosen by content: other files than those that INT8 ranges are recorded from,"
        " partly of the same people"
    )


def _backend(name: Target, engines: Engines) -> Backend:
    if name == "tensorrt":
        return Backend(name="tensorrt", measured=engines.available, note=engines.note)
    library = next(each for each in this_machine().libraries if each.name == "onnxruntime")
    return Backend(name="onnxruntime", measured=True, note=f"{library.version}, CPUExecutionProvider")
