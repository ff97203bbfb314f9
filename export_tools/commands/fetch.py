"""`doorward-export fetch` and `photos`: upstream files into the cache, the demo's photographs out of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from device.commands.output import say
from device.errors import UsageError
from export_tools.cards import PACKS_DIRECTORY, PhotoCard, load_card
from export_tools.commands.shared import add_embedder, add_json, add_pack, add_sources, card_of, fetcher_for, print_json
from export_tools.sources.fetch import default_cache, fetch_photos
from export_tools.sources.pins import Source
from export_tools.whole import write_whole


def add(commands: Any) -> None:
    """Register the commands."""
    text = "Bring the upstream files of a pack into the cache, verified."
    fetch: argparse.ArgumentParser = commands.add_parser("fetch", help=text, description=text)
    add_pack(fetch)
    add_embedder(fetch)
    add_json(fetch)
    add_sources(fetch)
    fetch.add_argument("--demo-photos", action="store_true", help="bring the demo's photographs too")
    fetch.set_defaults(action=_fetch)
    text = "Unpack the demo's photographs into the cache, verified."
    photos: argparse.ArgumentParser = commands.add_parser("photos", help=text, description=text)
    add_json(photos)
    add_sources(photos)
    photos.add_argument("--out", type=Path, help="into this folder instead")
    photos.set_defaults(action=_photos)


def _fetch(options: argparse.Namespace) -> None:
    fetcher = fetcher_for(options)
    sources: list[Source] = list(card_of(options).sources.values())
    if options.demo_photos:
        sources.append(load_card(PACKS_DIRECTORY / "demo-photos.yaml", PhotoCard)[0].archive)
    paths = {source.file: fetcher.fetch(source) for source in sources}
    if options.json:
        print_json({"pack": options.pack, "files": {name: str(path) for name, path in paths.items()}})
        return
    for source in sources:
        say(f"ok  {paths[source.file]}  sha256 {source.sha256[:16]}...")


def _photos(options: argparse.Namespace) -> None:
    folder = options.out or default_cache().parent / "demo-photos"
    photos = fetch_photos(fetcher=fetcher_for(options))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"cannot make the folder {folder}: {exc.strerror}", hint="choose --out") from exc
    for name, content in photos.items():
        write_whole(folder / name, content, mode=0o644)
    if options.json:
        print_json({"folder": str(folder), "photos": sorted(photos)})
        return
    say(f"{len(photos)} photographs of public figures: {folder}")
