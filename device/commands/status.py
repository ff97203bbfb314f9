"""`doorward status`: how the appliance is doing."""

from __future__ import annotations

from typing import Any

import typer

from device.app.requests import StatusRequest
from device.commands.invocation import JsonOption, invocation
from device.commands.output import print_json, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("status")(status)


def status(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """How the appliance is doing: daemon, people, audit, space."""
    with invocation(context).verbs() as session:
        told = session.call(StatusRequest())
    if as_json:
        print_json(told)
        return
    for line in _lines(told):
        say(line)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items() if each not in ("", None))
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _lines(told: dict[str, Any]) -> list[str]:
    daemon, gallery, database = told["daemon"], told["gallery"], told["database"]
    lines = ["daemon    not running" if daemon is None else "daemon    running"]
    for name, value in (daemon or {}).items():
        lines.append(f"  {name:<16} {_words(value)}")
    waiting = len(gallery["needs_template"])
    lines.append(f"people    {gallery['people']} enrolled, {gallery['enabled']} enabled")
    if waiting:
        lines.append(f"          {waiting} must be enrolled anew for model {gallery['model']}")
    lines.append(f"audit     {told['audit']['entries']} entries")
    lines.append(
        f"database  {100 * database['used_share']:.1f} % of {database['quota_bytes'] // 2**20} MiB used"
        + ("" if database["reserve"] else ", the reserve for urgent entries is gone: make room on the disk")
    )
    return lines
