"""`doorward-export convert`: one model of a pack as one ONNX file, to look at or to run elsewhere."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from device.commands.output import say
from device.errors import UsageError
from device.vision.manifest import PRECISIONS, ROLES, Role
from export_tools.build import read_sources
from export_tools.cards import PackCard
from export_tools.commands.shared import add_embedder, add_json, add_pack, add_sources, card_of, fetcher_for, print_json
from export_tools.convert.convert import convert
from export_tools.precision.artefact import make_artefact
from export_tools.precision.batch import with_batch
from export_tools.precision.ranges import load_ranges
from export_tools.sources.fetch import Fetcher
from export_tools.whole import write_whole


def add(commands: Any) -> None:
    """Register the command."""
    text = "Convert one model of a pack to one ONNX file at one precision."
    parser: argparse.ArgumentParser = commands.add_parser("convert", help=text, description=text)
    add_pack(parser)
    add_embedder(parser)
    add_json(parser)
    add_sources(parser)
    parser.add_argument("--role", required=True, choices=ROLES, help="which model")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="fp32 if not given")
    parser.add_argument("--ranges", type=Path, help="activation ranges for INT8 instead of the recorded ones")
    parser.add_argument("--batch", help="a number, or `free`; the description's if not given")
    parser.add_argument("--out", type=Path, required=True, help="the file to write; one that exists is replaced")
    parser.set_defaults(action=_convert)


def _convert(options: argparse.Namespace) -> None:
    card = card_of(options)
    batch = _batch(options.batch)
    ranges = load_ranges(options.ranges) if options.ranges else None
    reference = reference_of(card, options.role, fetcher_for(options))
    data = make_artefact(card.models[options.role], reference, options.precision, ranges=ranges)
    if options.batch is not None:
        data = with_batch(data, batch=batch)
    write_whole(options.out, data, mode=0o644)
    found = {
        "model_id": card.models[options.role].model_id(options.precision),
        "file": str(options.out),
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if options.json:
        print_json(found)
        return
    say(f"{found['model_id']}: {options.out}, {len(data):,} bytes")


def reference_of(card: PackCard, role: Role, fetcher: Fetcher) -> bytes:
    """The FP32 ONNX file of one model; only its own source is fetched. Raises DownloadError, PackError."""
    if role not in card.models:
        raise UsageError(f"the pack {card.pack} has no {role}", hint=f"it has {', '.join(card.models)}")
    return convert(card.models[role], read_sources(card, fetcher, roles=[role])[role])


def _batch(text: str | None) -> int | None:
    if text is None or text == "free":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise UsageError(f"--batch {text!r} is neither `free` nor a number from 1 to 256", hint="for example --batch 2")
    return int(text)
