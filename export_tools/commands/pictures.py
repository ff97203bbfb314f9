"""Which pictures a command calibrates and measures with, beside the demo's photographs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from export_tools.cards import MODELS_DIRECTORY

CLIPS: Final = MODELS_DIRECTORY.parent.parent / "shared" / "clips"
"""Recorded clips beside the checkout, used where they are and nothing else is named."""


def add_calibration(parser: argparse.ArgumentParser) -> None:
    """Option: the folder."""
    parser.add_argument(
        "--calibration",
        type=Path,
        help="folder of photographs and clips of faces, beside the demo's photographs (../shared/clips where it is);"
        " about a third of all, by content, is held out to measure with",
    )


def calibration_folder(options: argparse.Namespace) -> Path | None:
    """The folder that was named, else the clips beside the checkout, else none."""
    named: Path | None = options.calibration
    if named is not None:
        return named
    return CLIPS if CLIPS.is_dir() else None
