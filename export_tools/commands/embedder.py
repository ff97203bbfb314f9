"""`doorward-export describe-embedder`: a description of an ONNX file of the owner's, for `build --embedder`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from device.commands.output import say
from device.errors import NotFoundError, PackError, UsageError
from device.vision.manifest import Licence, Preprocessing
from export_tools.cards import EmbedderCard
from export_tools.commands.shared import add_json, print_json
from export_tools.describe import card_text, describe_embedder

_MAX_MODEL_BYTES: Final = 1 << 30
"""As much as a description may pin; InsightFace's ResNet-100 has 261 MB."""
#: Mean and divisor of InsightFace's and EdgeFace's own loaders: (value - 127.5) / 127.5.
_HALF_RANGE: Final = 127.5


def add(commands: Any) -> None:
    """Register the command."""
    text = "Describe an ArcFace-style ONNX file (112x112, 128 to 512 dimensions) of yours, so that a pack can use it."
    parser: argparse.ArgumentParser = commands.add_parser("describe-embedder", help=text, description=text)
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="the file; its graph is looked at, not run")
    parser.add_argument("--name", required=True, help="what to call it; digits that identify the file are added")
    parser.add_argument("--licence", required=True, metavar="SPDX", help="licence of the weights: an SPDX identifier")
    parser.add_argument(
        "--commercial-use",
        required=True,
        choices=("yes", "no"),
        help="whether the terms of the weights and of what they were trained on allow commercial use; no, if unsure",
    )
    parser.add_argument("--licence-note", help="what else there is to know about the terms")
    parser.add_argument("--colour", choices=("rgb", "bgr"), default="rgb", help="order of the input's planes (rgb)")
    parser.add_argument("--mean", type=float, default=_HALF_RANGE, help="subtracted from each value 0..255 (127.5)")
    parser.add_argument("--divisor", type=float, default=_HALF_RANGE, help="by which the rest is divided (127.5)")
    parser.add_argument("--output", metavar="NAME", help="which output is the embedding, where several could be")
    parser.add_argument("--out", type=Path, metavar="CARD.yaml", help="write into this file (standard output)")
    parser.add_argument("--force", action="store_true", help="replace the file of --out")
    add_json(parser)
    parser.set_defaults(action=_describe)


def _describe(options: argparse.Namespace) -> None:
    out: Path | None = options.out
    if out is not None and not options.force and os.path.lexists(out):
        raise UsageError(f"{out} exists already", hint="name another file, or say --force")
    try:
        licence = Licence(
            id=options.licence, commercial_use=options.commercial_use == "yes", note=options.licence_note or None
        )
        preprocessing = Preprocessing(
            colour=options.colour, mean=options.mean, divisor=options.divisor, geometry="face_chip"
        )
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors())
        raise UsageError(f"this cannot be described: {problems}", hint="see describe-embedder --help") from exc
    card = describe_embedder(
        _read(options.model),
        file=options.model.name,
        name=options.name,
        licence=licence,
        preprocessing=preprocessing,
        output=options.output,
    )
    if out is not None:
        _write(out, card_text(card), replace=options.force)
    if options.json:
        print_json({"card": card.model_dump(mode="json"), "file": str(out) if out is not None else None})
    elif out is None:
        sys.stdout.write(card_text(card))
    else:
        say("\n".join(_told(card, out, folder=options.model.parent)))


def _told(card: EmbedderCard, out: Path, *, folder: Path) -> list[str]:
    model = card.model
    how = model.preprocessing
    batch, dimension = model.input.shape[0] or "free", model.outputs[0].shape[1]
    command = ["doorward-export", "build", f"--embedder={out}", f"--mirror={folder}"]
    if not model.licence.commercial_use:
        command.append("--accept-non-commercial")
    return [
        f"written: {out}",
        f"model    {model.name}: batch {batch}, {dimension} dimensions from {model.outputs[0].source}",
        f"fed with {how.colour}, (value - {how.mean:g}) / {how.divisor:g}: hold this against its publisher's own code",
        f"next     {shlex.join(command)}",
        "then     doorward-export calibrate: no door opens with an embedder that was not calibrated",
    ]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_MODEL_BYTES + 1)
    except OSError as exc:
        raise NotFoundError(f"cannot read {path}: {exc.strerror}", hint="name an ONNX file") from exc
    if len(data) > _MAX_MODEL_BYTES:
        raise PackError(f"{path} is larger than {_MAX_MODEL_BYTES >> 20} MiB", reason="size", hint="use a smaller one")
    return data


def _write(path: Path, text: str, *, replace: bool) -> None:
    """The whole file or none; without ``replace`` what is there stays, also if it came a moment ago."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(handle, 0o644)
                os.fsync(handle)
            if replace:
                os.replace(temporary, path)  # noqa: PTH105  # beside os.link, which has no other form
            else:
                os.link(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except FileExistsError as exc:
        raise UsageError(f"{path} exists already", hint="name another file, or say --force") from exc
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}", hint="name another place with --out") from exc
