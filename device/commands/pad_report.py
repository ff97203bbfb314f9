"""`doorward pad-report`: whether a report is as its device signed it, and what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from device.commands.invocation import Invocation, JsonOption, invocation
from device.commands.output import print_json, say
from device.commands.pad_table import show_report
from device.errors import NotFoundError, UsageError

_KEY = re.compile(r"[0-9a-fA-F]{64}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("pad-report")(pad_report)


def pad_report(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `doorward pad-test` wrote.")],
    *,
    key: Annotated[
        str | None,
        typer.Option(help="Public key of the device that made it, 64 hex digits (default: this device's own)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a report's signature and show it; exit code 76 when it does not hold."""
    from device.app.pad_seal import verified  # noqa: PLC0415  # --help need not wait for it

    report = verified(_read(file), key=_key(key, invocation(context)))
    if as_json:
        print_json({"file": str(file), **report.model_dump(mode="json")})
        return
    say(f"signature    good: {file} is as its device signed it")
    show_report(report)


def _read(file: Path) -> bytes:
    from device.app.pad_seal import MAX_REPORT_BYTES  # noqa: PLC0415  # as above

    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_REPORT_BYTES + 1)
    except OSError as exc:
        raise NotFoundError(f"cannot read {file}: {exc.strerror}", hint="check the path") from exc
    if len(raw) > MAX_REPORT_BYTES:
        raise UsageError(f"{file} is larger than any report", hint="check the path")
    return raw


def _key(key: str | None, asked: Invocation) -> bytes:
    """The key that must have signed: the given one, else the one of this state. Raises UsageError, StateError."""
    if key is None:
        from device.app.pad_seal import public_key  # noqa: PLC0415  # as above
        from device.wiring.state import state_keys  # noqa: PLC0415

        return public_key(state_keys(asked.state).report_seed)
    if not _KEY.fullmatch(key):
        raise UsageError("--key is no public key", hint="give the 64 hex digits that `doorward pad-test` printed")
    return bytes.fromhex(key)
