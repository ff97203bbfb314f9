"""`doorward identify`: who is on these pictures or in this video; opens nothing and changes nothing."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device.app.requests import PeopleListRequest
from device.audit.export import safe_cell
from device.camera.sources import VIDEO_SUFFIXES
from device.commands.invocation import JsonOption, invocation
from device.commands.output import print_json, print_table, say, short
from device.errors import NotFoundError, PhotoError, UsageError
from device.private_file import new_private_file

if TYPE_CHECKING:
    from device.commands.identifying import Row

_COLUMNS = (
    "file", "face", "first_s", "last_s", "identity", "handle", "similarity", "runner_up", "margin", "votes",
    "result", "quality", "x", "y", "width", "height",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("identify")(identify)


def identify(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A picture, a folder of pictures, or a video.")],
    *,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the result into this new file (mode 0600), one line per face.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=100, help="Show so many nearest people per face.")] = 1,
    annotate_to: Annotated[
        Path | None,
        typer.Option("--annotate", help="Write annotated copies (mode 0600): a new file, or a folder for a folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say who is on a picture, on the pictures of a folder, or in a video, and how sure that is."""
    from device.commands.identifying import Identification  # noqa: PLC0415  # models; --help need not wait for them

    asked = invocation(context)
    _check_paths(path, csv_file, annotate_to)
    with asked.verbs() as session:
        names = {each["handle"]: each["name"] for each in session.call(PeopleListRequest())["people"]}
        job = Identification(asked, session, names=names, top=top)
        if path.is_dir():
            rows = job.folder(path, annotate_to)
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            rows = job.video(path, annotate_to)
        else:
            rows = job.picture(path, path.name, annotate_to)
    if csv_file is not None:
        _write_csv(csv_file, rows, names)
    if as_json:
        print_json({"threshold": job.criteria.threshold, "faces": [_row_json(row, names, top=top) for row in rows]})
    else:
        _show(rows, names, threshold=job.criteria.threshold, top=top)
    bad = [row for row in rows if row.problem and row.finding is None and row.problem != "no_face"]
    if bad:
        raise PhotoError(
            f"{len(bad)} of {len({row.file for row in rows})} files cannot be used: {bad[0].file}: {bad[0].problem}",
            reason="unreadable",
            hint="the others were identified; leave these out or replace them",
        )


def _check_paths(path: Path, csv_file: Path | None, annotate_to: Path | None) -> None:
    if not path.exists():
        raise NotFoundError(f"{path} does not exist", hint="name a picture, a folder of pictures, or a video")
    if csv_file is not None:
        _check_new(csv_file)
    if annotate_to is None:
        return
    if annotate_to.resolve() == path.resolve():
        raise UsageError("--annotate would overwrite what is looked at", hint="name another place")
    if path.is_dir() and annotate_to.exists() and not annotate_to.is_dir():
        raise UsageError(f"{annotate_to} is not a folder", hint="for a folder of pictures name a folder")
    if not path.is_dir():
        _check_new(annotate_to)


def _check_new(path: Path) -> None:
    """Said before the work is done; making the file finds it out as well."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already", hint="name a file that does not exist yet")


def _result(row: Row) -> str:
    if row.finding is None:
        return row.problem
    return "match" if row.finding.person is not None else str(row.finding.reason)


def _name(handle: str | None, names: dict[str, str]) -> str:
    return "" if handle is None else names.get(handle, short(handle))


def _show(rows: Sequence[Row], names: dict[str, str], *, threshold: float, top: int) -> None:
    print_table(
        ("file", "face", "identity", "result", "similarity", "margin", "nearest", "quality"),
        (_cells(row, names, top=top) for row in rows),
        styles=("green" if row.finding is not None and row.finding.person is not None else "" for row in rows),
    )
    say(f"a match needs a similarity (cosine) of {threshold:.4f} or more")


def _cells(row: Row, names: dict[str, str], *, top: int) -> tuple[str, ...]:
    found = row.finding
    if found is None:
        return (row.file, "-", "-", row.problem, "-", "-", "-", "-")
    nearest = ", ".join(f"{_name(each.person, names)} {each.similarity:.3f}" for each in found.candidates[:top])
    return (
        row.file,
        str(found.number),
        _name(found.person, names) or "-",
        _result(row),
        _digits(found.similarity) or "-",
        _digits(found.margin) or "-",
        nearest or "-",
        ", ".join(map(str, found.quality)) or "good",
    )


def _digits(value: float | None) -> str:
    return f"{value:.4f}" if value is not None and math.isfinite(value) else ""


def _write_csv(path: Path, rows: Sequence[Row], names: dict[str, str]) -> None:
    try:
        with new_private_file(path) as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for row in rows:
                writer.writerow(_csv_cells(row, names))
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}", hint="choose another place for --csv") from exc


def _csv_cells(row: Row, names: dict[str, str]) -> list[str]:
    found = row.finding
    if found is None:
        return [str(safe_cell(row.file)), *[""] * 9, row.problem, *[""] * 5]
    runner_up = found.candidates[1].similarity if len(found.candidates) > 1 else None
    number: Callable[[float], str] = "{:.2f}".format
    box = found.box
    return [
        str(safe_cell(row.file)),
        str(found.number),
        number(found.first_s),
        number(found.last_s),
        str(safe_cell(_name(found.person, names))),
        found.person or "",
        _digits(found.similarity),
        _digits(runner_up),
        _digits(found.margin),
        str(found.votes),
        _result(row),
        " ".join(map(str, found.quality)),
        *(number(value) for value in (box.x, box.y, box.width, box.height)),
    ]


def _row_json(row: Row, names: dict[str, str], *, top: int) -> dict[str, Any]:
    found = row.finding
    if found is None:
        return {"file": row.file, "result": row.problem}
    return {
        "file": row.file,
        "face": found.number,
        "result": _result(row),
        "identity": _name(found.person, names) or None,
        "handle": found.person,
        "similarity": found.similarity,
        "margin": found.margin,
        "candidates": [
            {"identity": _name(each.person, names), "handle": each.person, "similarity": each.similarity}
            for each in found.candidates[:top]
        ],
        "quality": [str(reason) for reason in found.quality],
        "presence": round(found.presence, 4),
        "votes": found.votes,
        "first_s": round(found.first_s, 3),
        "last_s": round(found.last_s, 3),
        "box": {name: round(getattr(found.box, name), 1) for name in ("x", "y", "width", "height")},
    }
