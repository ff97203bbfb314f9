"""What `doorward-export evaluate` does; its libraries are an extra."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from rich.console import Console

from device.camera.photo import read_photo
from device.commands.output import say
from device.config import Config, load_config
from device.errors import NotFoundError, PackError, UsageError
from device.types import Box, Image
from device.vision.liveness.passive import PassiveScorer
from device.vision.manifest import ROLES, Role
from device.vision.pack import Pack, load_pack
from device.wiring.models import load_vision, match_threshold, open_session
from export_tools.build import pack_directory, read_sources
from export_tools.cards import load_pack_card
from export_tools.commands.delivering import deliver, require_places
from export_tools.commands.progress import CountingReporter
from export_tools.commands.shared import embedding_place, fetcher_for, mac_key
from export_tools.convert.convert import convert
from export_tools.evaluate.annotations import read_annotations
from export_tools.evaluate.detection import detector_alone, detector_and_mesh, run_detection
from export_tools.evaluate.embeddings import DeviceFaces
from export_tools.evaluate.identification import run_identification
from export_tools.evaluate.latency import LatencyCase, artefacts_of, onnx_cases, run_latency
from export_tools.evaluate.pad import run_pad
from export_tools.evaluate.pairs import read_pairs, require_distinct_pictures
from export_tools.evaluate.people import read_open_set, require_distinct
from export_tools.evaluate.presentations import SPECIES, read_manifest
from export_tools.evaluate.results.any import EvaluationResult
from export_tools.evaluate.results.detection import DetectionResult
from export_tools.evaluate.results.latency import LatencyResult
from export_tools.evaluate.results.pad import PadResult
from export_tools.evaluate.results.recognition import IdentificationResult, VerificationResult
from export_tools.evaluate.summary import told
from export_tools.evaluate.sweep import run_sweep, widest_px
from export_tools.evaluate.verification import run_verification
from export_tools.precision.pictures import folder_sources, photo_sources
from export_tools.precision.record import observe_pack
from export_tools.report.conditions import Conditions
from export_tools.report.engines import find_engines
from export_tools.sources.fetch import fetch_photos

_MAX_THREADS: Final = 64


def evaluate(options: argparse.Namespace) -> None:
    """Measure what the options name, then write; nothing is written where measuring fails. Raises DoorwardError."""
    require_places(options)
    reporter = CountingReporter(Console(stderr=True))
    measures: dict[str, Callable[[argparse.Namespace, CountingReporter], EvaluationResult]] = {
        "verification": _verification,
        "identification": _identification,
        "pad": _pad,
        "detection": _detection,
        "latency": _latency,
    }
    result = measures[options.measure](options, reporter)

    def page(conditions: Conditions) -> str:
        # Drawing takes a second to load.
        from export_tools.report.evaluation import evaluation_page  # noqa: PLC0415

        return evaluation_page(result, conditions=conditions)

    if deliver(options, result, prefix=result.kind, page=page):
        say("\n".join(told(result)))


def opened(options: argparse.Namespace) -> tuple[Pack, Config]:
    """The pack and the configuration that the options name. Raises PackError, StateError, ConfigError."""
    directory = pack_directory(options.state, options.pack)
    pack = load_pack(directory, mac_key=mac_key(options, create=False), name=options.pack)
    return pack, load_config(options.config)


def _faces(options: argparse.Namespace, pack: Pack, config: Config) -> DeviceFaces:
    cache = None if options.no_embeddings else embedding_place(options)
    return DeviceFaces(pack, config, cache=cache, workers=options.workers, face=options.face)


def _threshold(options: argparse.Namespace, pack: Pack, config: Config) -> float:
    given: float | None = options.threshold
    threshold = _door_threshold(pack, config) if given is None else given
    if not -1 <= threshold <= 1:
        raise UsageError(f"{threshold} is no cosine", hint="give a threshold from -1 to 1")
    return threshold


def _door_threshold(pack: Pack, config: Config) -> float:
    """Raises PackError where the embedder was never calibrated: it can be evaluated at a cosine named by hand."""
    try:
        return match_threshold(pack, config)
    except PackError as exc:
        if exc.reason != "uncalibrated":
            raise
        hint = f"{exc.hint}; to evaluate it as it is, name a cosine with --threshold, which changes no door"
        raise PackError(exc.message, reason=exc.reason, hint=hint) from exc


def _verification(options: argparse.Namespace, reporter: CountingReporter) -> VerificationResult:
    fars = _shares(options.fars, name="--fars")
    pairs = read_pairs(options.pairs, images=options.images)
    if not options.allow_duplicates:
        require_distinct_pictures(pairs)
    pack, config = opened(options)
    return run_verification(
        pairs,
        embedder=_faces(options, pack, config),
        threshold=_threshold(options, pack, config),
        reporter=reporter,
        target_fars=fars,
        mirror_gain=not options.no_mirror_gain,
        door_gates=options.door_gates,
    )


def _identification(options: argparse.Namespace, reporter: CountingReporter) -> IdentificationResult:
    fpirs = _shares(options.fpirs, name="--fpirs")
    people = read_open_set(gallery=options.gallery, probes=options.probes, photos=options.photos)
    if not options.allow_duplicates:
        require_distinct(
            people.people,
            hint="leave each picture with one person, once, or take a public set as it is with --allow-duplicates",
        )
    pack, config = opened(options)
    return run_identification(
        people,
        embedder=_faces(options, pack, config),
        threshold=_threshold(options, pack, config),
        photos=options.photos,
        reporter=reporter,
        target_fpirs=fpirs,
        door_gates=options.door_gates,
    )


def _pad(options: argparse.Namespace, reporter: CountingReporter) -> PadResult:
    species = tuple(options.species.split(",")) if options.species else SPECIES
    presentations = read_manifest(options.manifest, folder=options.images, species=species)
    pack, config = opened(options)
    if "pad_close" not in pack.manifest.models:
        raise UsageError(
            f"the pack {options.pack} has no passive liveness networks", hint="evaluate one that has: --pack door-plus"
        )
    scorer = PassiveScorer(open_session(pack, "pad_close", config), open_session(pack, "pad_wide", config))
    find = detector_and_mesh(load_vision(pack, config))

    def nearest(image: Image) -> Box | None:
        return max((face.box for face in find(image)), key=lambda box: box.area, default=None)

    return run_pad(
        presentations,
        scorer=lambda image, box: scorer.score(image, box).live,
        find_face=nearest,
        name=f"{pack.model('pad_close').model_id} + {pack.model('pad_wide').model_id}",
        threshold=options.threshold,
        rule=options.rule,
        reporter=reporter,
    )


def _detection(options: argparse.Namespace, reporter: CountingReporter) -> DetectionResult:
    pictures = None
    if options.annotations is not None:
        pictures = read_annotations(options.annotations, images=options.images or options.annotations.parent)
    widths = _numbers(options.widths, name="--widths")
    pack, config = opened(options)
    vision = load_vision(pack, config)
    name = pack.model("detector").model_id
    find = detector_alone(vision)
    if options.finder == "mesh":
        find, name = detector_and_mesh(vision), f"{name} + {pack.model('landmarks').model_id}"
    if pictures is not None:
        return run_detection(pictures, find=find, name=name, size=options.size, reporter=reporter)
    image = read_photo(options.sweep)
    # The truth is what the detector and the mesh see in high resolution.
    faces = detector_and_mesh(vision)(image)
    if not faces:
        raise NotFoundError(f"no face was found in {options.sweep}", hint="give a portrait with one large face")
    largest = max(faces, key=lambda face: face.box.area)
    fitting = [width for width in widths if width <= widest_px(largest)]
    if fitting and (skipped := [f"{width:g}" for width in widths if width not in fitting]):
        reporter.note(
            f"left out: {', '.join(skipped)} px; the face can be shown up to {widest_px(largest):.0f} px wide"
        )
    return run_sweep(image, largest, find=find, name=name, widths_px=fitting or widths, reporter=reporter)


def _latency(options: argparse.Namespace, reporter: CountingReporter) -> LatencyResult:
    fetcher = fetcher_for(options)
    threads = _thread_counts(options.threads)
    card, _ = load_pack_card(options.pack)
    roles = _roles(options.roles, tuple(card.models))
    sources = folder_sources(options.images) if options.images else photo_sources(fetch_photos(fetcher=fetcher))
    references = {role: convert(card.models[role], data) for role, data in read_sources(card, fetcher).items()}
    seen = observe_pack(card, references, sources)
    engines = find_engines()
    reporter.note(f"TensorRT: {engines.note}")
    cases: dict[str, LatencyCase] = {}
    for role in roles:
        artefacts = artefacts_of(card.models[role], references[role])
        cases |= onnx_cases(card.models[role], artefacts, threads=threads)
        cases |= engines.cases(card.models[role], artefacts, threads=min(threads))
    return run_latency(
        cases,
        inputs={card.models[role].name: seen.batches[role] for role in roles},
        rounds=options.rounds,
        reporter=reporter,
    )


def _roles(given: str | None, available: tuple[Role, ...]) -> tuple[Role, ...]:
    if given is None:
        return available
    names = given.split(",")
    if unknown := [name for name in names if name not in available]:
        raise UsageError(f"the pack has no {', '.join(unknown)}", hint=f"it has {', '.join(available)}")
    return tuple(role for role in ROLES if role in names)


def _thread_counts(text: str) -> list[int]:
    numbers = _numbers(text, name="--threads")
    if not all(number == int(number) <= _MAX_THREADS for number in numbers):
        raise UsageError(f"--threads {text!r}: whole numbers from 1 to {_MAX_THREADS} are wanted", hint="--threads 1,2")
    return [int(number) for number in numbers]


def _shares(text: str, *, name: str) -> list[float]:
    shares = _numbers(text, name=name)
    if max(shares) >= 1:
        raise UsageError(f"{name} {text!r}: rates below 1 are wanted", hint="separate them by commas")
    return shares


def _numbers(text: str, *, name: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as exc:
        raise UsageError(f"{name} {text!r} are not numbers", hint="separate them by commas") from exc
    if not all(0 < number < 10_000 for number in numbers):
        raise UsageError(f"{name} {text!r}: numbers above 0 are wanted", hint="separate them by commas")
    return numbers
