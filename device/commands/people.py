"""`doorward people`: who is enrolled, and what may be done about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from device.app.requests import (
    PeopleExportRequest,
    PeopleListRequest,
    PeopleRemoveRequest,
    PeopleSetRequest,
    PeopleShowRequest,
    Validity,
)
from device.commands.invocation import JsonOption, invocation, need_verb
from device.commands.moments import FromOption, UntilOption, parse_moment
from device.commands.output import local_time, print_json, print_table, say, short
from device.commands.reenroll import reenroll
from device.errors import UsageError
from device.private_file import new_private_file

WhoArgument = Annotated[str, typer.Argument(metavar="WHO", help="Name, handle, or the first 4 or more of its digits.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    people = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help="Who is enrolled.")
    people.callback()(need_verb)
    for name, verb in (
        ("list", show_all),
        ("show", show),
        ("enable", enable),
        ("disable", disable),
        ("validity", validity),
        ("reenroll", reenroll),
        ("export", export),
        ("remove", remove),
    ):
        people.command(name)(verb)
    app.add_typer(people, name="people")


def show_all(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Everybody."""
    with invocation(context).verbs() as session:
        told = session.call(PeopleListRequest())
    if as_json:
        print_json(told)
        return
    if not told["people"]:
        say("nobody is enrolled")
        return
    print_table(
        ("handle", "name", "let in", "from", "until", "photos", "enrolled"),
        (
            (
                short(person["handle"]),
                person["name"],
                _standing(person),
                local_time(person["valid_from"]),
                local_time(person["valid_until"]),
                str(person["photos"]),
                local_time(person["enrolled_at"]),
            )
            for person in told["people"]
        ),
    )


def show(context: typer.Context, who: WhoArgument, *, as_json: JsonOption = False) -> None:
    """One person."""
    with invocation(context).verbs() as session:
        told = session.call(_request(PeopleShowRequest, who))
    if as_json:
        print_json(told)
        return
    for label, value in (
        ("name", told["name"]),
        ("handle", told["handle"]),
        ("let in", _standing(told)),
        ("from", local_time(told["valid_from"])),
        ("until", local_time(told["valid_until"])),
        ("enrolled", local_time(told["enrolled_at"])),
        ("photos", str(told["photos"])),
        ("models", ", ".join(told["models"])),
    ):
        say(f"{label:<9} {value}")


def enable(context: typer.Context, who: WhoArgument, *, as_json: JsonOption = False) -> None:
    """Let a person in again."""
    _set(context, _request(PeopleSetRequest, who, enabled=True), as_json=as_json)


def disable(context: typer.Context, who: WhoArgument, *, as_json: JsonOption = False) -> None:
    """Let a person in no longer, without forgetting the face."""
    _set(context, _request(PeopleSetRequest, who, enabled=False), as_json=as_json)


def validity(
    context: typer.Context,
    who: WhoArgument,
    *,
    valid_from: FromOption = None,
    valid_until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """From when until when a person is let in; what is not given has no limit."""
    limits = Validity(
        valid_from=None if valid_from is None else parse_moment(valid_from, option="--valid-from"),
        valid_until=None if valid_until is None else parse_moment(valid_until, option="--valid-until", whole_day=True),
    )
    _set(context, _request(PeopleSetRequest, who, validity=limits), as_json=as_json)


def export(
    context: typer.Context,
    who: WhoArgument,
    *,
    output: Annotated[Path | None, typer.Option(help="Write into this new file (mode 0600).")] = None,
) -> None:
    """Everything stored about one person, as JSON, for that person (right of access)."""
    with invocation(context).verbs() as session:
        told = session.call(_request(PeopleExportRequest, who))
    if output is None:
        print_json(told)
        return
    with new_private_file(output) as file:
        file.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    say(f"written: {output}")


def remove(
    context: typer.Context,
    who: WhoArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase a person: templates, name, and the personal fields of all audit entries. Cannot be undone."""
    with invocation(context).verbs() as session:
        person = session.call(_request(PeopleShowRequest, who))
        question = f"erase {person['name']} ({short(person['handle'])}) for ever?"
        if not yes and not typer.confirm(question, err=True):
            raise UsageError("nothing was removed", hint="answer y, or say --yes")
        # By the handle that was confirmed: the name may mean somebody else by now.
        told = session.call(PeopleRemoveRequest(who=person["handle"]))
    if as_json:
        print_json(told)
        return
    say(
        f"removed {told['name']} ({short(told['handle'])});"
        f" {told['audit_entries']} audit entries no longer name anybody"
    )


def _request(model: Any, who: str, **fields: Any) -> Any:
    try:
        return model(who=who, **fields)
    except ValidationError as exc:
        raise UsageError(f"{who!r} can be nobody's name or handle", hint="`doorward people list` shows who is") from exc


def _set(context: typer.Context, request: PeopleSetRequest, *, as_json: bool) -> None:
    with invocation(context).verbs() as session:
        told = session.call(request)
    if as_json:
        print_json(told)
        return
    say(
        f"{told['name']} ({short(told['handle'])}): {_standing(told)}, from {local_time(told['valid_from'])}"
        f" until {local_time(told['valid_until'])}"
    )


def _standing(person: dict[str, Any]) -> str:
    if not person["enabled"]:
        return "no"
    return "yes" if person["ready"] else "enrol anew"
