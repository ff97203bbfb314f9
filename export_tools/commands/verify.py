"""`doorward-export verify`: a built pack against its manifest, and its models against their FP32 answers."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from rich.console import Console
from rich.table import Table
from rich.text import Text

from device.commands.output import visible
from device.ed25519 import anybody_can_sign
from device.errors import UsageError
from export_tools.build import pack_directory
from export_tools.commands.build import described
from export_tools.commands.progress import print_line
from export_tools.commands.shared import add_json, add_pack, add_state, mac_key, print_json
from export_tools.verify import DriftRow, Verification, verify

_KEY_HINT: Final = "give 64 hex digits, or a public key in PEM form: openssl pkey -in KEY.pem -pubout"


def add(commands: Any) -> None:
    """Register the command."""
    text = "Check a built pack: seal, manifest, every file to the byte, and what its models answer."
    parser: argparse.ArgumentParser = commands.add_parser("verify", help=text, description=text)
    add_pack(parser)
    add_json(parser)
    add_state(parser)
    parser.add_argument("--signed-by", metavar="HEX|PEM", help="the manifest must be signed by this Ed25519 public key")
    parser.set_defaults(action=_verify)


def public_key(text: str) -> Ed25519PublicKey:
    """A public key: 64 hex digits, or the path of a PEM file. Raises UsageError."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        key: object = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    else:
        try:
            key = load_pem_public_key(Path(text).read_bytes())
        except OSError as exc:
            raise UsageError(f"cannot read {text}: {exc.strerror}", hint=_KEY_HINT) from exc
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise UsageError(f"{text} is not a public key in PEM form", hint=_KEY_HINT) from exc
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{text} is not an Ed25519 key", hint=_KEY_HINT)
    if anybody_can_sign(key.public_bytes_raw()):
        raise UsageError(f"{text} is a point of small order, for which anybody can sign", hint=_KEY_HINT)
    return key


def _verify(options: argparse.Namespace) -> None:
    signed_by = public_key(options.signed_by) if options.signed_by else None
    directory = pack_directory(options.state, options.pack)
    found = verify(directory, mac_key=mac_key(options, create=False), signed_by=signed_by, name=options.pack)
    if options.json:
        print_json(
            {
                **described(found.pack),
                "signed": found.signed,
                "signature_checked": found.signature_checked,
                "drift": [_row(row) for row in found.rows],
                "ok": all(row.passed for row in found.rows),
            }
        )
    else:
        _print(found)
    found.require()


def _row(row: DriftRow) -> dict[str, Any]:
    """For machines; a drift that is no number is null."""
    return {
        "role": row.role,
        "model_id": row.model_id,
        "backend": row.backend,
        "precision": row.precision,
        "output": row.output,
        "drift": row.drift if row.drift is not None and math.isfinite(row.drift) else None,
        "limit": row.limit,
        "fault": row.fault,
        "passed": row.passed,
    }


def _print(found: Verification) -> None:
    manifest = found.pack.manifest
    console = Console()
    console.print(
        _table(
            ("role", "model", "bytes", "sha256", "licence"),
            (
                (role, entry.model_id, f"{entry.size_bytes:,}", entry.sha256[:16], entry.source.licence.id)
                for role, entry in manifest.models.items()
            ),
        )
    )
    console.print(
        _table(("role", "backend", "precision", "output", "drift", "limit", "verdict"), map(_cells, found.rows))
    )
    signature = "not signed"
    if found.signed:
        signature = "signature verified" if found.signature_checked else "signed (not checked: --signed-by)"
    print_line(console, f"pack {manifest.pack} is complete and unaltered, {signature}: {found.pack.directory}")


def _cells(row: DriftRow) -> tuple[str, ...]:
    drift = "-" if row.drift is None else f"{row.drift:.1e}"
    verdict = "ok" if row.passed else f"FAILED {row.fault}".rstrip()
    return row.role, row.backend, row.precision, row.output, drift, f"{row.limit:.1e}", verdict


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """One in which long words are broken, not cut, and no word is markup: some come from whoever made the models."""
    table = Table(padding=(0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table
