"""The options of `doorward-export evaluate pad`, and which of them contradict one another."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from device.errors import UsageError
from export_tools.commands.shared import add_sources

TEXT: Final = "Presentation attacks: errors of the whole liveness policy per attack type, never per frame."
MORE: Final = """\
columns of the manifest:
  file      a picture or a video, below --images or beside the manifest
  subject   the person
  clip      a name of one recording: a video is a clip; pictures that are frames of one clip share its name
  label     bona_fide or attack
  species   the attack type, empty where it is bona fide; one of
            print, print_bent, print_cut, replay_phone, replay_tablet, replay_monitor,
            mask_paper, mask_rigid, mask_flexible (or those that --species declares)

Recordings cannot answer a prompt: a clip that the door would ask is told as challenged.
Simulated presentations are rendered from the demo's photographs: what they say about the passive networks is no
evidence for them.

examples:
  doorward-export evaluate pad --pack door-plus --manifest attacks/clips.csv --html attacks.html
  doorward-export evaluate pad --pack door-plus --manifest attacks/clips.csv --networks-only --html networks.html
  doorward-export evaluate pad --simulated --without-passive --count 200 --traces traces --html simulated.html
"""
HALVES: Final = ("tuning", "held-out")
LEVELS: Final = ("convenience", "standard", "high")
#: A trace holds a course of three prompts; one prompt alone is no challenge.
STEPS: Final = (2, 3)
MAX_COUNT: Final = 5000

_DEFAULTS: Final[Mapping[str, object]] = {"count": 20, "half": "held-out", "threshold": 0.5, "rule": "median"}
#: Options that mean something with one way of measuring only, and that way.
_SIMULATED_ONLY: Final = ("half", "count", "without_passive", "steps", "ablation", "mirror", "offline", "cache")
_NETWORKS_ONLY: Final = ("threshold", "rule")
_POLICY_ONLY: Final = ("level", "traces", "workers")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is presented, to which policy, and how. The defaults are filled in by :func:`settle`."""
    presented = parser.add_mutually_exclusive_group(required=True)
    presented.add_argument(
        "--manifest", type=Path, metavar="CSV", help="recorded clips: columns file, subject, clip, label, species"
    )
    presented.add_argument("--simulated", action="store_true", help="rendered attacks and visitors")
    parser.add_argument("--images", type=Path, metavar="DIR", help="where a manifest's files are (beside it)")
    parser.add_argument(
        "--species", help="by commas; simulated: only these (live among them); manifest: the types that are declared"
    )
    simulated = parser.add_argument_group("simulated presentations")
    simulated.add_argument("--half", choices=HALVES, help="which half of the parameters; figures are of held-out (it)")
    simulated.add_argument("--count", type=int, metavar="N", help="presentations per species (20)")
    simulated.add_argument("--steps", type=int, choices=STEPS, help="head turns of every challenge (the configuration)")
    simulated.add_argument("--without-passive", action="store_true", help="as if the pack had no passive networks")
    simulated.add_argument("--ablation", action="store_true", help="also with each cue taken away in turn")
    add_sources(simulated)  # type: ignore[arg-type]  # a group takes options as a parser does
    policy = parser.add_argument_group("the whole policy")
    policy.add_argument("--level", choices=LEVELS, help="of the policy (the configuration's)")
    policy.add_argument(
        "--traces", type=Path, metavar="DIR", help="private folder that keeps what was seen; biometric data (nothing)"
    )
    policy.add_argument("--workers", type=int, metavar="N", help="presentations at once (cores)")
    networks = parser.add_argument_group("the passive networks alone")
    networks.add_argument("--networks-only", action="store_true", help="clips by the networks' scores, without policy")
    networks.add_argument("--threshold", type=float, help="P(live) from which a clip is bona fide (0.5)")
    networks.add_argument("--rule", choices=("median", "mean", "min"), help="how frames of a clip are joined (median)")


def settle(options: argparse.Namespace) -> None:
    """Refuse what contradicts itself, then fill in what was not given. Raises UsageError."""
    if options.networks_only:
        if options.simulated:
            raise UsageError(
                "--networks-only judges recordings: a render is an animated photograph and says nothing about networks",
                hint="give --manifest, or leave out --networks-only",
            )
        _refuse(options, (*_SIMULATED_ONLY, *_POLICY_ONLY), why="has no part in --networks-only", hint="leave it out")
    else:
        _refuse(options, _NETWORKS_ONLY, why="belongs to --networks-only", hint="add --networks-only, or leave it out")
    if options.simulated:
        _refuse(options, ("images",), why="belongs to --manifest", hint="leave it out")
    else:
        _refuse(
            options,
            _SIMULATED_ONLY,
            why="belongs to --simulated: recordings are what they are, and cannot answer a prompt",
            hint="leave it out, or measure with --simulated",
        )
    if options.without_passive and options.level == "high":
        raise UsageError(
            "level high needs the passive networks, and --without-passive takes them away",
            hint="leave out one of the two",
        )
    for name, least, most in (("count", 1, MAX_COUNT), ("workers", 1, 256)):
        given: int | None = getattr(options, name)
        if given is not None and not least <= given <= most:
            raise UsageError(f"--{name} {given}: {least} to {most} are possible", hint=f"give --{name} {least} or more")
    _fill(options)


def _fill(options: argparse.Namespace) -> None:
    wanted = [*(("half", "count") if options.simulated else ()), *(_NETWORKS_ONLY if options.networks_only else ())]
    for name in wanted:
        if getattr(options, name) is None:
            setattr(options, name, _DEFAULTS[name])
    if not options.networks_only and options.workers is None:
        options.workers = len(os.sched_getaffinity(0))


def _refuse(options: argparse.Namespace, names: tuple[str, ...], *, why: str, hint: str) -> None:
    given: list[Any] = [name for name in names if getattr(options, name) not in (None, False)]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} {why}", hint=hint)
