"""`doorward-export calibrate`: the door's threshold out of pictures of strangers, with what it means at the door."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from device.clock import SystemClock
from device.commands.output import say
from device.config import load_config
from device.errors import PackError, UsageError
from device.vision.manifest import ScoringRule, Thresholds
from device.vision.pack import Pack, read_signature
from export_tools.build import pack_directory, replace_thresholds, verify_pack
from export_tools.commands.build import signing_key
from export_tools.commands.calibration_words import described, told
from export_tools.commands.evaluate import add_embeddings
from export_tools.commands.progress import CountingReporter
from export_tools.commands.shared import add_json, add_pack, add_state, embedding_place, mac_key, print_json

if TYPE_CHECKING:
    from export_tools.calibrate import Calibration

_MAX_PHOTOS, _MAX_VOTES, _MAX_WINDOW = 100, 30, 60
"""What a manifest may say."""


def add(commands: Any) -> None:
    """Register the command."""
    text = "Choose the threshold for a false match rate from pictures of many people, and put it into the pack."
    parser: argparse.ArgumentParser = commands.add_parser(
        "calibrate",
        help=text,
        description=f"{text} DIR/PERSON/*.jpg are photographs of one person: the first usable ones make the template, "
        "each further one is an attempt; DIR/PERSON/ATTEMPT/*.jpg are the frames of one attempt.",
    )
    add_pack(parser)
    add_json(parser)
    add_state(parser)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="pictures, a folder per person")
    parser.add_argument("--target-fmr", type=float, required=True, help="false match rate to aim at, such as 1e-5")
    parser.add_argument("--photos", type=int, default=3, help="photographs per template, as people are enrolled (3)")
    parser.add_argument("--votes", type=int, help="so many frames must match (the configuration's; one for pictures)")
    parser.add_argument("--window", type=int, help="among so many consecutive ones")
    parser.add_argument("--config", type=Path, help="the device's configuration file (the defaults)")
    parser.add_argument("--set-name", help="what to call the set in the pack (the folder's name)")
    parser.add_argument("--people", type=int, default=100, help="enrolled people, for the door's budget (100)")
    parser.add_argument("--attempts-per-day", type=float, default=10.0, help="attempts of strangers a day (10)")
    parser.add_argument("--sign-with", type=Path, help="sign the new manifest with this Ed25519 key (PEM)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="pictures at once (cores)")
    add_embeddings(parser)
    parser.add_argument(
        "--accept-unproven",
        action="store_true",
        help="write the threshold even where there are fewer comparisons than 3 / target",
    )
    parser.add_argument(
        "--accept-looser", action="store_true", help="write a threshold although the one in the pack is higher"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell the threshold, write nothing")
    parser.set_defaults(action=_calibrate)


def _calibrate(options: argparse.Namespace) -> None:
    try:
        from export_tools.attempts import score_people  # noqa: PLC0415
        from export_tools.calibrate import Budget, calibrate, check_target  # noqa: PLC0415
        from export_tools.evaluate.embeddings import DeviceFaces  # noqa: PLC0415
        from export_tools.evaluate.people import read_people, require_distinct  # noqa: PLC0415
    except ImportError as exc:
        raise UsageError(
            f"calibrating needs {exc.name}, which is not installed", hint="pip install 'doorward[export,evaluate]'"
        ) from exc
    check_target(options.target_fmr)
    if options.people < 1 or not 0 < options.attempts_per_day < float("inf"):
        raise UsageError("a door has people and attempts", hint="give --people and --attempts-per-day above 0")
    key = mac_key(options, create=False)
    sign_with = signing_key(options.sign_with) if options.sign_with else None
    pack = _opened(options, key=key, sign_with=sign_with)
    config = load_config(options.config)
    people = read_people(options.images)
    require_distinct(people)
    has_attempts = any(person.attempts for person in people)
    access = config.access
    votes = options.votes if options.votes is not None else (access.votes if has_attempts else 1)
    window = options.window if options.window is not None else max(votes, access.vote_window if has_attempts else 1)
    rule = _rule(pack, photos=options.photos, votes=votes, window=window)
    reporter = CountingReporter(Console(stderr=True))
    cache = None if options.no_embeddings else embedding_place(options)
    faces = DeviceFaces(pack, config, cache=cache, workers=options.workers)
    scores = score_people(people, faces=faces, photos=rule.photos, votes=votes, window=window, reporter=reporter)
    found = calibrate(
        scores,
        rule=rule,
        target=options.target_fmr,
        set_name=options.set_name or options.images.resolve().name,
        measured_on=SystemClock().wall().date(),
    )
    written = None
    refusals = _refusals(found, pack.manifest.thresholds, options)
    if not refusals and not options.dry_run:
        written = replace_thresholds(pack, found.thresholds(), mac_key=key, reporter=reporter, sign_with=sign_with)
    budgets = [
        Budget(people=options.people, attempts_per_day=options.attempts_per_day, fmr=fmr)
        for fmr in (found.target.target, found.target.upper_95)
    ]
    if options.json:
        print_json(described(found, budgets, before=pack, written=written))
    else:
        say("\n".join(told(found, budgets, before=pack, written=written)))
    if refusals and not options.dry_run:
        problems, hints = zip(*refusals, strict=True)
        raise UsageError(f"nothing was written: {'; '.join(problems)}", hint="; ".join(hints))


def _refusals(found: Calibration, old: Thresholds | None, options: argparse.Namespace) -> list[tuple[str, str]]:
    """What stands against writing the thresholds without a word of the owner's: problem and hint each."""
    refusals = []
    target = found.target
    if not (target.resolved or options.accept_unproven):
        refusals.append(
            (
                f"{target.comparisons:,} comparisons do not resolve a false match rate of {target.target:.3g}",
                "add pictures of more people, aim at a higher rate, or take the risk with --accept-unproven",
            )
        )
    if old is not None and not options.accept_looser:
        lowered = [
            f"{what} from {before:.6f} to {after:.6f}"
            for what, before, after in (
                ("the threshold", old.match_cosine, target.cosine),
                ("the loosest point", old.match[0].cosine, found.points[0].cosine),
            )
            if not after >= before
        ]
        if lowered:
            refusals.append(
                (
                    f"the door would become looser, {' and '.join(lowered)}",
                    "aim at a lower rate, or take the looser one with --accept-looser",
                )
            )
    return refusals


def _rule(pack: Pack, *, photos: int, votes: int, window: int) -> ScoringRule:
    """Raises UsageError for a rule that no door follows."""
    if not (1 <= photos <= _MAX_PHOTOS and 1 <= votes <= _MAX_VOTES and votes <= window <= _MAX_WINDOW):
        raise UsageError(
            f"{photos} photographs, {votes} votes of {window} frames: no such rule",
            hint=f"1 to {_MAX_PHOTOS} photographs; 1 to {_MAX_VOTES} votes of at least as many, at most {_MAX_WINDOW}",
        )
    return ScoringRule(
        model_id=pack.model("embedder").model_id,
        mirrored=True,
        template="mean",
        photos=photos,
        votes=votes,
        window=window,
    )


def _opened(options: argparse.Namespace, *, key: bytes, sign_with: Ed25519PrivateKey | None) -> Pack:
    """The pack that is measured and written again: what a maker's key is to sign carries its signature already.

    Under the state's own key alone its models and thresholds may be anybody's who holds that key.

    Raises:
        PackError: It does not verify, is signed by another key than the one given, or by one and none is given.
    """
    directory = pack_directory(options.state, options.pack)
    try:
        pack = verify_pack(
            directory, mac_key=key, signed_by=sign_with.public_key() if sign_with else None, name=options.pack
        )
    except PackError as exc:
        if exc.reason not in ("unsigned", "wrong_signature"):
            raise
        raise PackError(
            f"the manifest of {directory} is not signed by the key given: only what it signed is signed by it again",
            reason=exc.reason,
            hint=f"sign models made anew: doorward-export build --pack {options.pack}"
            f" --state {shlex.quote(str(options.state))} --sign-with KEY --force",
        ) from exc
    if sign_with is None and not options.dry_run and read_signature(directory) is not None:
        raise PackError(
            f"the manifest of {directory} is signed; other thresholds need the signature anew",
            reason="unsigned",
            hint="add --sign-with KEY, or --dry-run to see the threshold",
        )
    return pack
