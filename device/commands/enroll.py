"""`doorward enroll`: a person from photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from device.app.frames import AttachedFile
from device.app.requests import MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, MAX_ATTACHMENTS_BYTES, EnrollRequest
from device.commands.invocation import JsonOption, invocation
from device.commands.moments import FromOption, UntilOption, parse_moment
from device.commands.output import print_json, say, short
from device.errors import NotFoundError, PhotoError, UsageError


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("enroll")(enroll)


def enroll(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The person's name, for people's eyes only.")],
    photos: Annotated[list[Path], typer.Argument(help="One to twenty photographs; three are a good number.")],
    *,
    valid_from: FromOption = None,
    valid_until: UntilOption = None,
    allow_duplicate: Annotated[
        bool, typer.Option("--allow-duplicate", help="Enrol although this face is enrolled already (twins).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Enrol a person from photographs. All of them are judged first; one that is not good enough changes nothing."""
    begin = None if valid_from is None else parse_moment(valid_from, option="--valid-from")
    end = None if valid_until is None else parse_moment(valid_until, option="--valid-until", whole_day=True)
    try:
        request = EnrollRequest(name=name, valid_from=begin, valid_until=end, allow_duplicate=allow_duplicate)
    except ValidationError as exc:
        raise UsageError("this name cannot be stored", hint="1 to 200 printable characters on one line") from exc
    files = read_photos(photos)
    with invocation(context).verbs(create=True) as session:
        told = session.call(request, files)
    if as_json:
        print_json(told)
        return
    person = told["person"]
    say(f"enrolled {person['name']} ({short(person['handle'])}) from {person['photos']} photograph(s)")
    for warning in told["warnings"]:
        say(f"warning: {warning}")


def read_photos(paths: list[Path]) -> tuple[AttachedFile, ...]:
    """The files' bytes, no larger than the daemon would take.

    Raises:
        NotFoundError: No such file.
        PhotoError: ``too_large``, or not a file.
        UsageError: Too many, or too large together.
    """
    if not 1 <= len(paths) <= MAX_ATTACHMENTS:
        raise UsageError(f"{len(paths)} photographs given", hint=f"give 1 to {MAX_ATTACHMENTS}")
    files = tuple(AttachedFile(name=path.name[:255] or "photo", content=_read(path)) for path in paths)
    if sum(len(file.content) for file in files) > MAX_ATTACHMENTS_BYTES:
        raise UsageError(
            f"the photographs are larger than {MAX_ATTACHMENTS_BYTES // 2**20} MiB together",
            hint="give fewer, or scale them down to some 2000 pixels a side",
        )
    return files


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "does not exist" if not path.exists() else "is not a file"
            raise NotFoundError(f"{path} {kind}", hint="give the photographs one by one")
        with path.open("rb") as file:
            content = file.read(MAX_ATTACHMENT_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise NotFoundError(f"cannot read {path}: {exc}", hint="check the file's name and permissions") from exc
    if len(content) > MAX_ATTACHMENT_BYTES:
        raise PhotoError(
            f"{path} is larger than {MAX_ATTACHMENT_BYTES // 2**20} MiB",
            reason="too_large",
            hint="scale it down to some 2000 pixels a side",
        )
    return content
