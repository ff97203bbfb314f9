"""What the commands share: options, the fetcher, the key, progress on standard error, JSON on standard output."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from device.errors import UsageError
from device.keys import KeyFile, StateKeys
from device.store.files import DATABASE_NAME
from export_tools.cards import EmbedderCard, PackCard, load_card, load_pack_card
from export_tools.commands.progress import TerminalReporter
from export_tools.evaluate.cache import CachePlace
from export_tools.sources.fetch import Fetcher, default_cache

DEFAULT_STATE: Final = ".doorward"


def add_pack(parser: argparse.ArgumentParser) -> None:
    """Option: which pack."""
    parser.add_argument("--pack", default="door", help="which pack: a description in models/packs (door)")


def add_embedder(parser: argparse.ArgumentParser) -> None:
    """Option: another embedder than the pack's."""
    parser.add_argument("--embedder", type=Path, help="description of another embedder (models/embedders/*.yaml)")


def embedder_of(options: argparse.Namespace) -> EmbedderCard | None:
    """The embedder that was asked for. Raises PackError (``card``)."""
    return load_card(options.embedder, EmbedderCard)[0] if options.embedder else None


def card_of(options: argparse.Namespace) -> PackCard:
    """The description of the pack, with the embedder that was asked for. Raises PackError (``card``)."""
    card, embedder = load_pack_card(options.pack)[0], embedder_of(options)
    return card if embedder is None else card.with_embedder(embedder)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Option: the result for machines."""
    parser.add_argument("--json", action="store_true", help="print the result for machines")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Options: where upstream files come from."""
    parser.add_argument("--mirror", type=Path, help="folder with upstream files; what it has is not downloaded")
    parser.add_argument("--offline", action="store_true", help="never open a network connection")
    parser.add_argument("--cache", type=Path, help="folder that keeps downloads ($DOORWARD_CACHE/archives)")


def add_state(parser: argparse.ArgumentParser) -> None:
    """Options: the state directory and its key."""
    state = os.environ.get("DOORWARD_STATE", DEFAULT_STATE)
    parser.add_argument("--state", type=Path, default=Path(state), help=f"the state directory ({state})")
    parser.add_argument("--key-file", type=Path, help="the state key (state.key in the state directory)")


def fetcher_for(options: argparse.Namespace) -> Fetcher:
    """A fetcher as the options say, with progress on standard error. Raises UsageError for a mirror that is none."""
    if options.mirror is not None and not options.mirror.is_dir():
        raise UsageError(f"--mirror {options.mirror} is no folder", hint="name the folder that holds the files")
    return Fetcher(
        cache=options.cache or default_cache(),
        mirror=options.mirror,
        offline=options.offline,
        reporter=TerminalReporter(Console(stderr=True)),
    )


def mac_key(options: argparse.Namespace, *, create: bool) -> bytes:
    """The key that seals packs; made only where no database was written under another one. Raises StateError."""
    create = create and not (options.state / DATABASE_NAME).exists()
    return _keys(options, create=create).pack_mac


def embedding_place(options: argparse.Namespace) -> CachePlace:
    """Where embeddings are kept, sealed with the state's key. Raises StateError."""
    folder = options.embeddings or default_cache().parent / "embeddings"
    return CachePlace(folder, _keys(options, create=False).evaluation_cache)


def _keys(options: argparse.Namespace, *, create: bool) -> StateKeys:
    return StateKeys.derive(KeyFile(options.key_file or options.state / "state.key", create=create).load())


def print_json(value: Any) -> None:
    """A result for machines, on standard output."""
    sys.stdout.write(json.dumps(value, indent=1, allow_nan=False) + "\n")
