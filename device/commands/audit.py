"""`doorward audit`: what happened at the door, and whether the record of it is whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from device.app.requests import MAX_PAGE, AuditExportRequest, AuditListRequest, AuditVerifyRequest
from device.audit.export import write_csv, write_json_lines
from device.commands.invocation import JsonOption, invocation, need_verb
from device.commands.moments import parse_moment
from device.commands.output import local_time, print_json, print_table, say, short
from device.commands.session import Session
from device.errors import AuditError, UsageError
from device.private_file import new_private_file
from device.types import AuditEntry

SinceOption = Annotated[str | None, typer.Option("--since", help="From this day or time on.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Until the end of this day, or before this time.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    audit = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help="What happened at the door.")
    audit.callback()(need_verb)
    for name, verb in (("list", show), ("verify", verify), ("export", export)):
        audit.command(name)(verb)
    app.add_typer(audit, name="audit")


def show(
    context: typer.Context,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    last: Annotated[
        int, typer.Option("--last", min=1, max=MAX_PAGE, help="So many, without --since and --until.")
    ] = 50,
    as_json: JsonOption = False,
) -> None:
    """The newest entries, or all of some time."""
    begin, end = _times(since, until)
    with invocation(context).verbs() as session:
        if begin is None and end is None:
            entries = session.call(AuditListRequest(newest=True, limit=last))["entries"]
        else:
            entries = list(_all(session, AuditListRequest(since=begin, until=end)))
    if as_json:
        print_json({"entries": entries})
        return
    print_table(("seq", "time", "kind", "outcome", "person"), (_row(entry) for entry in entries))


def verify(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Check the chain from its first entry to its last; exit code 76 when it is broken."""
    with invocation(context).verbs() as session:
        told = session.call(AuditVerifyRequest())
    if as_json:
        print_json(told)
    elif told["sound"]:
        say(f"the audit log is whole: {told['entries']} entries, {told['erased']} of them with erased personal fields")
        say(f"head {told['head']['seq']} {told['head']['hash']}")
    if not told["sound"]:
        raise AuditError(
            f"the audit log is broken at entry {told['seq']}: {told['fault']}, {told['detail']}",
            hint="keep a copy of the state directory as it is, and compare with what was exported before",
        )


def export(
    context: typer.Context,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, which can be verified elsewhere.")] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    output: Annotated[Path | None, typer.Option(help="Write into this new file (mode 0600).")] = None,
) -> None:
    """All entries, or those of some time, for other programs."""
    if as_csv == as_json:
        raise UsageError("say either --csv or --json", hint="doorward audit export --help")
    begin, end = _times(since, until)
    write = write_csv if as_csv else write_json_lines
    target = nullcontext(sys.stdout) if output is None else new_private_file(output)
    with invocation(context).verbs() as session, target as stream:
        count = write((_entry(raw) for raw in _all(session, AuditExportRequest(since=begin, until=end))), stream)
    if output is not None:
        say(f"written: {count} entries to {output}")


def _times(since: str | None, until: str | None) -> tuple[Any, Any]:
    return (
        None if since is None else parse_moment(since, option="--since"),
        None if until is None else parse_moment(until, option="--until", whole_day=True),
    )


def _all(session: Session, request: AuditListRequest | AuditExportRequest) -> Iterator[dict[str, Any]]:
    after: int | None = 0
    while after is not None:
        page = session.call(request.model_copy(update={"after": after}))
        yield from page["entries"]
        after = page["next"]


def _entry(raw: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        seq=raw["seq"],
        body=raw["body"].encode(),
        hash=bytes.fromhex(raw["hash"]),
        personal=None if raw["personal"] is None else raw["personal"].encode(),
        salt=None if raw["salt"] is None else bytes.fromhex(raw["salt"]),
    )


def _row(entry: dict[str, Any]) -> tuple[str, str, str, str, str]:
    data = entry.get("data") or {}
    outcome = next((str(data[key]) for key in ("reason", "outcome", "event", "state", "cause") if key in data), "")
    personal = entry["personal"]
    if personal is None:
        who = "(erased)"
    else:
        handle = personal.get("person") or personal.get("claimed") or ""
        who = f"{personal.get('name') or ''} {short(handle)}".strip()
        if handle and not personal.get("person"):
            who = f"claimed: {who}"  # recognised, not let in: nobody has proven to be there
    return str(entry["seq"]), local_time(entry.get("wall")), str(entry.get("kind", "")), outcome, who
