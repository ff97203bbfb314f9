"""`doorward-export build`: from a description to the sealed pack in the state directory."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from device.errors import UsageError
from device.vision.manifest import PRECISIONS, ROLES, Precision, Role, Target
from device.vision.pack import Pack
from export_tools.build import build_pack
from export_tools.commands.shared import (
    add_embedder,
    add_json,
    add_pack,
    add_sources,
    add_state,
    embedder_of,
    fetcher_for,
    mac_key,
    print_json,
)
from export_tools.engine.builder import DEFAULT_WORKSPACE_MIB
from export_tools.engine.target import resolve_target
from export_tools.recipe import BuildOptions


def add(commands: Any) -> None:
    """Register the command."""
    text = "Fetch, convert, and put the sealed pack into the state directory."
    build: argparse.ArgumentParser = commands.add_parser("build", help=text, description=text)
    add_pack(build)
    add_json(build)
    add_sources(build)
    add_state(build)
    build.add_argument(
        "--target",
        choices=("auto", *get_args(Target)),
        default="auto",
        help="what runs the models; auto: TensorRT where it and a GPU are there, else onnxruntime",
    )
    build.add_argument(
        "--precision",
        action="append",
        default=[],
        metavar="ROLE=PRECISION",
        help=f"another precision than the pack's for a role: {', '.join(PRECISIONS)}",
    )
    add_embedder(build)
    build.add_argument(
        "--accept-non-commercial", action="store_true", help="use models whose licence forbids commercial use"
    )
    build.add_argument(
        "--workspace-mib",
        type=int,
        default=DEFAULT_WORKSPACE_MIB,
        help=f"memory a TensorRT kernel may use ({DEFAULT_WORKSPACE_MIB})",
    )
    build.add_argument("--sign-with", type=Path, help="sign the manifest with this Ed25519 key (PEM)")
    build.add_argument(
        "--drop-calibration", action="store_true", help="lose the thresholds that were calibrated for this door"
    )
    build.add_argument("--force", action="store_true", help="build even where nothing changed")
    build.set_defaults(action=_build)


def _build(options: argparse.Namespace) -> None:
    started = time.monotonic()
    if options.workspace_mib < 1:
        raise UsageError(
            f"--workspace-mib {options.workspace_mib} is no memory", hint="for example --workspace-mib 1024"
        )
    fetcher = fetcher_for(options)
    resolved = resolve_target(options.target)
    choices = BuildOptions(
        target=resolved.target,
        precisions=precisions_of(options.precision),
        embedder=embedder_of(options),
        accept_non_commercial=options.accept_non_commercial,
        sign_with=signing_key(options.sign_with) if options.sign_with else None,
        workspace_mib=options.workspace_mib,
        drop_calibration=options.drop_calibration,
        force=options.force,
    )
    result = build_pack(
        options.pack, state=options.state, mac_key=mac_key(options, create=True), fetcher=fetcher, options=choices
    )
    elapsed_s = time.monotonic() - started
    public_key = choices.sign_with.public_key().public_bytes_raw().hex() if choices.sign_with else None
    if options.json:
        told = {"built": result.built, "elapsed_s": round(elapsed_s, 3), "signing_key": public_key}
        told["target_reason"] = resolved.reason
        print_json({**described(result.pack), **told})
        return
    done = f"built in {elapsed_s:.1f} s" if result.built else "is up to date"
    sys.stdout.write(f"pack {options.pack} {done}: {result.pack.directory}\n")
    if result.built and resolved.reason is not None:
        sys.stdout.write(f"built for {resolved.target}: {resolved.reason}\n")
    if public_key is not None:
        sys.stdout.write(f"signed; a door that insists on it has models.signing_key: {public_key}\n")


def precisions_of(given: list[str]) -> dict[Role, Precision]:
    """What ``--precision ROLE=PRECISION`` says. Raises UsageError."""
    chosen: dict[Role, Precision] = {}
    for text in given:
        name, _, wanted = text.partition("=")
        role = next((role for role in ROLES if role == name), None)
        precision = next((precision for precision in PRECISIONS if precision == wanted), None)
        if role is None or precision is None or role in chosen:
            raise UsageError(
                f"--precision {text!r} is not one ROLE=PRECISION",
                hint=f"roles: {', '.join(ROLES)}; precisions: {', '.join(PRECISIONS)}; each role once",
            )
        chosen[role] = precision
    return chosen


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The maker's key out of a PEM file. Raises UsageError."""
    hint = "make one with: openssl genpkey -algorithm ed25519 -out KEY.pem"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}", hint=hint) from exc
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise UsageError(f"{path} is not an unencrypted private key in PEM form", hint=hint) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} is not an Ed25519 key", hint=hint)
    return key


def described(pack: Pack) -> dict[str, Any]:
    """A pack for machines."""
    manifest = pack.manifest
    thresholds = manifest.thresholds
    return {
        "pack": manifest.pack,
        "target": manifest.target,
        "directory": str(pack.directory),
        "models": {
            role: {
                "model_id": entry.model_id,
                "precision": entry.precision,
                "file": str(pack.directory / entry.file),
                "size_bytes": entry.size_bytes,
                "sha256": entry.sha256,
                "licence": entry.source.licence.id,
                "commercial_use": entry.source.licence.commercial_use,
            }
            for role, entry in manifest.models.items()
        },
        "match_cosine": thresholds.match_cosine if thresholds else None,
        "match_fmr": thresholds.default_fmr if thresholds else None,
        "built_with": manifest.built_with,
    }
