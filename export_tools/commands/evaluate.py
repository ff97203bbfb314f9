"""`doorward-export evaluate`: how good a pack is, on pictures with the truth about them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

from device.errors import UsageError
from export_tools.commands import evaluate_pad
from export_tools.commands.shared import add_pack, add_sources, add_state

_SWEEP_PX: Final = "247,99,74,49,37,30"

_MORE: Final = {
    "verification": """\
lines of the list, fields between tabs or blanks:
  10 300               first line: ten folds of 300 genuine and 300 impostor pairs (may be left out)
  Ann_Lee 1 4          pictures 1 and 4 of one person
  Ann_Lee 1 Bo_Kim 2   picture 1 of one person, picture 2 of another

example:
  doorward-export evaluate verification --pack door-plus --pairs lfw/pairs.txt --images lfw/images --html lfw.html
""",
    "identification": """\
  GALLERY/PERSON/*.jpg   who is enrolled, the first photographs by name
  PROBES/PERSON/*.jpg    who comes; a name that the gallery does not have is a stranger's

example:
  doorward-export evaluate identification --pack door-plus --gallery enrolled --probes visits --html search.html
""",
    "pad": evaluate_pad.MORE,
    "detection": """\
columns of the annotations, one row per face, numbers in pixels:
  file, x, y, w, h   the picture and the box of a face; a picture without a face has empty numbers
  right_eye_x, right_eye_y, left_eye_x, left_eye_y   the person's eyes, all four or none

examples:
  doorward-export evaluate detection --pack door-plus --annotations faces/boxes.csv --html faces.html
  doorward-export evaluate detection --pack door-plus --sweep portrait.jpg --widths 99,49,30
""",
    "latency": """\
example:
  doorward-export evaluate latency --pack door-plus --roles embedder,detector --threads 1,2 --html latency.html
""",
}


def add(commands: Any) -> None:
    """Register the command and what it can measure."""
    text = "Measure a pack: verification, identification, attacks, detection, latency."
    parser: argparse.ArgumentParser = commands.add_parser("evaluate", help=text, description=text)
    measures = parser.add_subparsers(required=True, metavar="MEASURE", dest="measure")

    def measure(name: str, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = measures.add_parser(
            name,
            help=text,
            description=text,
            epilog=_MORE[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_pack(added)
        added.add_argument("--json", metavar="FILE", help="write the result for machines; - for standard output")
        added.add_argument("--csv", type=Path, metavar="DIR", help="write the result as CSV files into this folder")
        added.add_argument("--html", type=Path, metavar="FILE", help="write the result as one self-contained page")
        added.set_defaults(action=_evaluate)
        return added

    verification = measure("verification", "One person against one: a list of pairs in the format of LFW.")
    verification.add_argument("--pairs", type=Path, required=True, metavar="FILE", help="the list of pairs")
    verification.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="pictures: NAME/NAME_0001.jpg, or all in one folder"
    )
    verification.add_argument(
        "--fars", default="1e-2,1e-3,1e-4", help="false accept rates at which the true one is told (1e-2,1e-3,1e-4)"
    )
    verification.add_argument("--no-mirror-gain", action="store_true", help="do not score without the mirrored chip")
    identification = measure("identification", "One person against everybody enrolled, strangers among the probes.")
    identification.add_argument("--gallery", type=Path, required=True, metavar="DIR", help="a folder per person")
    identification.add_argument(
        "--probes", type=Path, required=True, metavar="DIR", help="a folder per person; unknown names are strangers"
    )
    identification.add_argument(
        "--fpirs", default="1e-1,1e-2,1e-3", help="false alarm rates at which the misses are told (1e-1,1e-2,1e-3)"
    )
    identification.add_argument("--photos", type=int, default=3, help="photographs per template (3)")
    for added in (verification, identification):
        _add_faces(added)
    pad = measure("pad", evaluate_pad.TEXT)
    evaluate_pad.add_options(pad)
    detection = measure("detection", "How large a face must be to be found.")
    what = detection.add_mutually_exclusive_group(required=True)
    what.add_argument("--annotations", type=Path, metavar="CSV", help="columns file, x, y, w, h, and the eyes")
    what.add_argument("--sweep", type=Path, metavar="PICTURE", help="render one face at several distances")
    detection.add_argument("--images", type=Path, metavar="DIR", help="where annotated pictures are (beside the list)")
    detection.add_argument("--finder", choices=("mesh", "detector"), default="mesh", help="mesh: it must confirm")
    detection.add_argument("--size", choices=("face_width", "eye_distance"), default="face_width", help="of the bins")
    detection.add_argument(
        "--widths", default=_SWEEP_PX, help=f"of the sweep, in pixels ({_SWEEP_PX}); wider than the face is left out"
    )
    for added in (verification, identification, pad, detection):
        add_state(added)
        added.add_argument("--config", type=Path, metavar="FILE", help="the device's configuration file (the defaults)")
    latency = measure("latency", "Every model at every precision, in turns, on real inputs.")
    add_sources(latency)
    latency.add_argument("--images", type=Path, metavar="DIR", help="inputs (the demo's photographs)")
    latency.add_argument("--roles", help="some models only, by commas")
    latency.add_argument("--threads", default="1,2", help="threads per inference, by commas (1,2)")
    latency.add_argument("--rounds", type=int, default=100, help="measured runs of each (100)")


def _add_faces(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-duplicates", action="store_true", help="take a set in which a picture is there twice, by its content"
    )
    parser.add_argument("--threshold", type=float, help="cosine from which faces match (the pack's)")
    parser.add_argument("--face", choices=("largest", "central"), default="largest", help="of several faces (largest)")
    parser.add_argument("--door-gates", action="store_true", help="count faces the door would not compare as none")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="pictures at once (cores)")
    add_embeddings(parser)


def add_embeddings(parser: argparse.ArgumentParser) -> None:
    """Options: where embeddings of the pictures are kept, if anywhere."""
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--embeddings", type=Path, help="folder that keeps embeddings ($DOORWARD_CACHE/embeddings)")
    kept.add_argument("--no-embeddings", action="store_true", help="keep no embeddings of the people in the pictures")


def _evaluate(options: argparse.Namespace) -> None:
    try:
        # Building a pack needs none of this.
        from export_tools.commands.evaluating import evaluate  # noqa: PLC0415
        from export_tools.commands.evaluating_pad import evaluate_policy  # noqa: PLC0415
    except ImportError as exc:
        raise UsageError(
            f"evaluating needs {exc.name}, which is not installed", hint="pip install 'doorward[export,evaluate]'"
        ) from exc
    if options.measure == "pad":
        evaluate_pad.settle(options)
        if not options.networks_only:
            evaluate_policy(options)
            return
    evaluate(options)
