"""`doorward-export quantize`: activation ranges from pictures, INT8 models from them, and what they cost.

The ranges that the project ships were recorded with ``--record``. A door of its own kind (infra-red camera, helmets)
records its own and measures on the side of the pictures that was held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from device.commands.output import print_table
from device.errors import UsageError
from device.vision.manifest import ROLES, Precision, Role
from export_tools.build import read_sources
from export_tools.cards import RANGES_DIRECTORY, ModelCard, PackCard, load_pack_card
from export_tools.commands.pictures import add_calibration, calibration_folder
from export_tools.commands.shared import add_json, add_pack, add_sources, fetcher_for, print_json
from export_tools.convert.convert import convert
from export_tools.precision.artefact import make_artefact
from export_tools.precision.drift import run_all
from export_tools.precision.graph import open_session
from export_tools.precision.pictures import split_sources
from export_tools.precision.ranges import Ranges, write_ranges
from export_tools.precision.record import default_sources, observe_pack, record_pack
from export_tools.report.errors import drift_of
from export_tools.report.explain import error_words
from export_tools.report.result import Drift
from export_tools.whole import write_whole

_INT8: tuple[Precision, ...] = tuple(each for each in get_args(Precision) if each.startswith("int8"))


def add(commands: Any) -> None:
    """Register the command."""
    text = "Record activation ranges from pictures, make INT8 models from them, and say what they cost."
    parser: argparse.ArgumentParser = commands.add_parser("quantize", help=text, description=text)
    add_pack(parser)
    add_json(parser)
    add_sources(parser)
    parser.add_argument(
        "--role", action="append", choices=ROLES, help="which model (may be repeated; all that may run in INT8)"
    )
    add_calibration(parser)
    parser.add_argument("--set-name", help="what the set consists of, in words, for whoever reads the ranges")
    parser.add_argument("--out", type=Path, help="folder for ranges and models")
    parser.add_argument(
        "--record", action="store_true", help="replace the ranges in models/ranges, which every pack is built from"
    )
    parser.set_defaults(action=_quantize)


def _quantize(options: argparse.Namespace) -> None:
    if options.out is None and not options.record:
        raise UsageError(
            "nothing would be kept", hint="name a folder with --out, or --record to replace what is shipped"
        )
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise UsageError(f"{options.out} is no folder", hint="name a folder; it is made where it is missing")
    card, _ = load_pack_card(options.pack)
    roles = _roles(card, options.role)
    fetcher = fetcher_for(options)
    options.calibration = calibration_folder(options)
    split = split_sources(default_sources(fetcher=fetcher, clips=options.calibration))
    sources = read_sources(card, fetcher)
    references = {role: convert(model, sources[role]) for role, model in card.models.items()}
    fetcher.reporter.note(f"recording from {len(split.calibration)} photographs and clips")
    ranges = record_pack(card, references, split.calibration, description=_description(options))
    fetcher.reporter.note(f"comparing on the {len(split.held_out)} that were held out")
    seen = observe_pack(card, references, split.held_out)
    rows = []
    for role in roles:
        model, reference = card.models[role], references[role]
        artefacts = {each: make_artefact(model, reference, each, ranges=ranges[role]) for each in _allowed(model)}
        _keep(options, model, ranges[role], artefacts)
        expected = run_all(open_session(reference, name=model.name), seen.batches[role])
        for precision, data in artefacts.items():
            found = run_all(open_session(data, name=model.model_id(precision)), seen.batches[role])
            drift = drift_of(model, expected, found)
            rows.append(_row(model, precision, drift, size=len(data), fp32_size=len(reference)))
    if options.json:
        print_json({"calibration_sources": len(split.calibration), "held_out": len(split.held_out), "models": rows})
        return
    print_table(
        ("model", "bytes", "of FP32", "on held-out pictures"),
        ((row["model_id"], f"{row['size_bytes']:,}", f"{row['share_of_fp32']:.0%}", row["cost"]) for row in rows),
    )


def _roles(card: PackCard, asked: list[Role] | None) -> list[Role]:
    """The models to quantise. Raises UsageError."""
    possible = [role for role, model in card.models.items() if _allowed(model)]
    for role in asked or []:
        if role not in card.models:
            raise UsageError(f"the pack {card.pack} has no {role}", hint=f"it has {', '.join(card.models)}")
        if role not in possible:
            reasons = sorted(set(card.models[role].excluded.values())) or ["no ranges are kept for it"]
            raise UsageError(f"the {role} is not quantised: {'; '.join(reasons)}", hint=f"choose {', '.join(possible)}")
    return [role for role in ROLES if role in (asked or possible)]


def _allowed(model: ModelCard) -> list[Precision]:
    return [precision for precision in model.precisions if precision in _INT8]


def _keep(options: argparse.Namespace, model: ModelCard, ranges: Ranges, artefacts: Mapping[Precision, bytes]) -> None:
    if options.out is not None:
        write_ranges(options.out / f"{model.name}.json", ranges)
        for precision, data in artefacts.items():
            write_whole(options.out / f"{model.model_id(precision)}.onnx", data, mode=0o644)
    if options.record and model.ranges is not None:
        write_ranges(RANGES_DIRECTORY / model.ranges, ranges)


def _row(model: ModelCard, precision: Precision, drift: Drift, *, size: int, fp32_size: int) -> dict[str, Any]:
    return {
        "model_id": model.model_id(precision),
        "size_bytes": size,
        "share_of_fp32": round(size / fp32_size, 3),
        "cost": error_words(drift),
        "drift": drift.model_dump(mode="json", exclude={"distribution"}),
    }


def _description(options: argparse.Namespace) -> str:
    if options.set_name:
        return str(options.set_name)
    own = "the demo's photographs"
    return own if options.calibration is None else f"{own} and a folder of photographs and clips"
