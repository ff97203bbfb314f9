"""`doorward pad-report`: whether a report is as its device signed it, whether its device knows it, and what it says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from device.app.pad_log import Trace, find_report
from device.app.requests import AuditListRequest, AuditVerifyRequest
from device.commands.invocation import Invocation, JsonOption, invocation
from device.commands.output import print_json, say
from device.commands.pad_table import show_report
from device.commands.session import Session
from device.errors import AuditError, NotFoundError, UsageError
from device.store.files import DATABASE_NAME

_TRACES = {
    Trace.FOUND: "found: this device's audit log holds the end of this walk",
    Trace.NOT_FOUND: "NOT FOUND: this device's audit log knows of no walk with this report",
    Trace.NOT_AT_HAND: "not looked at: it is on the device that signed",
}
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
    """Check a report's signature and show it; exit code 76 when it does not hold.

    On the device that made it, its audit log must know the report too; exit code 66 when it does not.
    """
    from device.app.pad_seal import fingerprint, verified  # noqa: PLC0415  # --help need not wait for it

    asked = invocation(context)
    raw = _read(file)
    signer = _key(key, asked)
    report = verified(raw, key=signer)
    if signer == _own_key(asked):
        trace = _look_up(asked, sha256=fingerprint(raw), after=report.about.walk.start_seq)
    else:
        trace = Trace.NOT_AT_HAND
    if as_json:
        print_json({"file": str(file), "audit_log": str(trace), **report.model_dump(mode="json")})
    else:
        say(f"signature    good: {file} is as its device signed it")
        say(f"audit log    {_TRACES[trace]}")
        show_report(report)
    if trace is Trace.NOT_FOUND:
        raise NotFoundError(
            "the audit log of this device knows of no walk with this report",
            hint="trust no figure of it: it was signed with this device's key, not made by a walk that this log holds",
        )


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
        return _state_key(asked.state)
    if not _KEY.fullmatch(key):
        raise UsageError("--key is no public key", hint="give the 64 hex digits that `doorward pad-test` printed")
    return bytes.fromhex(key)


def _own_key(asked: Invocation) -> bytes | None:
    """The key of the state at hand; None where there is none that this user can read. Raises StateError."""
    from device.wiring.state import KEY_NAME  # noqa: PLC0415  # as above

    return _state_key(asked.state) if os.access(asked.state / KEY_NAME, os.R_OK) else None


def _state_key(state: Path) -> bytes:
    from device.app.pad_seal import public_key  # noqa: PLC0415  # as above
    from device.wiring.state import state_keys  # noqa: PLC0415  # as above

    return public_key(state_keys(state).report_seed)


def _look_up(asked: Invocation, *, sha256: str, after: int) -> Trace:
    """Whether this device's audit log, itself verified, holds the end of a walk with this report.

    Raises:
        AuditError: The log is broken.
        StateError, ControlError: It cannot be read.
    """
    if not (asked.state / DATABASE_NAME).exists():
        return Trace.NOT_FOUND  # a key alone; to open the state would make a log
    with asked.verbs() as session:
        told = session.call(AuditVerifyRequest())
        if not told["sound"]:
            raise AuditError(
                f"the audit log is broken at entry {told['seq']}: it can speak for no report",
                hint="see `doorward audit verify`, and keep a copy of the state directory as it is",
            )
        return find_report(_entries(session, after=after), sha256=sha256)


def _entries(session: Session, *, after: int) -> Iterator[dict[str, Any]]:
    """Those that follow the start of a walk, as objects."""
    following: int | None = after
    while following is not None:
        page = session.call(AuditListRequest(after=following))
        yield from page["entries"]
        following = page["next"]
