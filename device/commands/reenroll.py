"""`doorward people reenroll`: photographs kept by their owner become templates of the model in use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from device.app.frames import ToldError
from device.app.requests import PeopleDropOldRequest, PeopleListRequest, PeopleReenrollRequest, clean_text
from device.commands.enroll import read_photos
from device.commands.invocation import JsonOption, invocation
from device.commands.output import print_json, print_table, say, short
from device.commands.pictures import pictures_in
from device.commands.session import Session
from device.errors import EnrolmentError, NotFoundError, PhotoError, UsageError

_HANDLE: Final = re.compile(r"[0-9a-f]{4,32}")
#: Exit codes of what is wrong with one person's photographs; anything else is wrong with the appliance.
_OF_ONE_PERSON: Final = frozenset((UsageError.exit_code, PhotoError.exit_code, NotFoundError.exit_code))


@dataclass(slots=True)
class _Person:
    """Somebody enrolled, and what became of the photographs."""

    handle: str
    name: str
    ready: bool
    folders: list[Path] = field(default_factory=list)
    result: str = ""
    photos: int = 0
    detail: str = ""
    hint: str = ""


def reenroll(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="With one folder of photographs per person: its name or handle.")
    ],
    *,
    everybody: Annotated[
        bool, typer.Option("--all", help="Also those who have a template of the model in use: it is replaced.")
    ] = False,
    drop_old: Annotated[
        bool,
        typer.Option("--drop-old", help="Afterwards erase templates of other models, of all who need them no more."),
    ] = False,
    allow_duplicate: Annotated[
        bool, typer.Option("--allow-duplicate", help="Also those who look like somebody else (twins).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Enrol people anew after the embedder was changed, from photographs in FOLDER/NAME/ or FOLDER/HANDLE/.

    Each photograph is judged as at an enrolment; one that is not good enough leaves its person as it was. Who is done
    is skipped the next time.
    """
    with invocation(context).verbs() as session:
        people = [
            _Person(handle=each["handle"], name=each["name"], ready=each["ready"])
            for each in session.call(PeopleListRequest())["people"]
        ]
        nobodys = _assign(folder, people)
        for person in people:
            _settle(person, session, everybody=everybody, allow_duplicate=allow_duplicate)
        dropped = [each["handle"] for each in session.call(PeopleDropOldRequest())["people"]] if drop_old else []
    if as_json:
        print_json(_told(people, nobodys=nobodys, dropped=dropped))
    else:
        _show(people, nobodys=nobodys, dropped=dropped)
    if refused := [person for person in people if person.result == "refused"]:
        raise EnrolmentError(
            f"{len(refused)} of {len(people)} people could not be enrolled anew:"
            f" {refused[0].name}: {refused[0].detail}",
            reason="refused",
            hint=refused[0].hint or "replace the photographs and call this again",
        )


def _assign(folder: Path, people: Sequence[_Person]) -> list[str]:
    """Give each person its folders; the names of folders that are nobody's, or more than one person's."""
    try:
        found = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as exc:
        raise NotFoundError(
            f"cannot look into {folder}: {exc.strerror}", hint="name a folder with one folder per person"
        ) from exc
    if not found:
        raise NotFoundError(
            f"{folder} holds no folders", hint="make one for each person, named like the person or the handle"
        )
    nobodys = []
    for entry in found:
        meant = list(_meant(entry.name, people))
        if len(meant) == 1:
            meant[0].folders.append(entry)
        else:
            nobodys.append(entry.name)
    return nobodys


def _meant(text: str, people: Sequence[_Person]) -> Iterator[_Person]:
    """As `doorward people show` understands who is meant: exactly the name, or the beginning of the handle."""
    try:
        name = clean_text(text)
    except ValueError:
        return
    is_handle = _HANDLE.fullmatch(text) is not None
    yield from (person for person in people if person.name == name or (is_handle and person.handle.startswith(text)))


def _settle(person: _Person, session: Session, *, everybody: bool, allow_duplicate: bool) -> None:
    if person.ready and not everybody:
        person.result = "ready"
        return
    if not person.folders:
        person.result = "ready" if person.ready else "waits"
        return
    try:
        files = read_photos(_pictures(person.folders))
        request = PeopleReenrollRequest(who=person.handle, allow_duplicate=allow_duplicate)
        told = session.call(request, files)
    except (PhotoError, UsageError, NotFoundError, ToldError) as exc:
        if exc.exit_code not in _OF_ONE_PERSON:
            raise
        person.result, person.detail, person.hint = "refused", exc.message, exc.hint
        return
    person.result, person.ready = "enrolled", True
    person.photos = len(files)
    person.detail = "; ".join(told["warnings"])


def _pictures(folders: Sequence[Path]) -> list[Path]:
    folder, *more = folders
    if more:
        names = ", ".join(path.name for path in folders)
        raise UsageError(f"more than one folder: {names}", hint="put the photographs into one of them")
    return pictures_in(folder, called="photographs")


def _told(people: Sequence[_Person], *, nobodys: Sequence[str], dropped: Sequence[str]) -> Mapping[str, Any]:
    return {
        "people": [
            {
                "handle": person.handle,
                "name": person.name,
                "result": person.result,
                "photos": person.photos,
                "detail": person.detail,
                "hint": person.hint,
            }
            for person in people
        ],
        "waiting": [person.handle for person in people if not person.ready],
        "unknown_folders": list(nobodys),
        "dropped": list(dropped),
    }


def _show(people: Sequence[_Person], *, nobodys: Sequence[str], dropped: Sequence[str]) -> None:
    print_table(
        ("handle", "name", "result", "photos", "found"),
        (
            (short(person.handle), person.name, person.result, str(person.photos or "-"), person.detail)
            for person in people
        ),
        styles=({"refused": "bold red", "waits": "yellow"}.get(person.result, "") for person in people),
    )
    for name in nobodys:
        say(f"warning: the folder {name} is nobody's, or more than one person's")
    if dropped:
        say(f"templates of other models erased: {len(dropped)} people")
    waiting = sum(not person.ready for person in people)
    say(f"{waiting} people still wait and are not recognised" if waiting else "nobody waits")
