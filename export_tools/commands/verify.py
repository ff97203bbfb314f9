"""`doorward-export verify`: a built pack against its manifest."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

from export_tools.build import pack_directory, verify_pack
from export_tools.commands.build import described
from export_tools.commands.shared import add_json, add_pack, add_state, mac_key, print_json


def add(commands: Any) -> None:
    """Register the command."""
    text = "Check a built pack: seal, manifest, and every file to the byte."
    verify: argparse.ArgumentParser = commands.add_parser("verify", help=text, description=text)
    add_pack(verify)
    add_json(verify)
    add_state(verify)
    verify.set_defaults(action=_verify)


def _verify(options: argparse.Namespace) -> None:
    pack = verify_pack(pack_directory(options.state, options.pack), mac_key=mac_key(options, create=False))
    if options.json:
        print_json(described(pack))
        return
    table = Table("role", "model", "bytes", "sha256", "licence")
    for role, entry in pack.manifest.models.items():
        table.add_row(role, entry.model_id, f"{entry.size_bytes:,}", entry.sha256[:16], entry.source.licence.id)
    console = Console()
    console.print(table)
    console.print(f"pack {options.pack} is complete and unaltered: {pack.directory}", highlight=False, soft_wrap=True)
