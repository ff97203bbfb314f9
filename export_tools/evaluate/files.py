"""Lists of pictures that somebody wrote: read with a limit, all their faults told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from device.camera.sources import PICTURE_SUFFIXES
from device.errors import NotFoundError, UsageError
from export_tools.whole import read_limited

#: The longest list of LFW (6,000 pairs) has 150 kB.
_MAX_LIST_BYTES: Final = 64 * 1024 * 1024
#: So many faults are told one by one.
_NAMED: Final = 5


def read_list(path: Path) -> str:
    """The text of a list. Raises NotFoundError where there is none, UsageError where it is none."""
    try:
        return read_limited(path, limit=_MAX_LIST_BYTES, hint="split it").decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path} is not text in UTF-8: {exc.reason}", hint="save it as UTF-8") from exc


def refuse(path: str, problems: Sequence[str], *, hint: str) -> UsageError:
    """One error for all faults of a list."""
    return UsageError(f"{path}: {told(problems, 'problem')}", hint=hint)


def told(problems: Sequence[str], noun: str) -> str:
    """How many, and the first few."""
    more = len(problems) - _NAMED
    lines = [f"{len(problems)} {noun}{'s' * (len(problems) != 1)}", *(f"  {each}" for each in problems[:_NAMED])]
    return "\n".join([*lines, f"  ... and {more} more"] if more > 0 else lines)


def require_files(files: Iterable[Path], *, listed_in: str) -> None:
    """Raises NotFoundError that counts all files that are not there and names the first."""
    missing = [str(file) for file in dict.fromkeys(files) if not file.is_file()]
    if missing:
        raise NotFoundError(
            f"{listed_in} names files that do not exist: {told(missing, 'file')}", hint="check the folder of pictures"
        )


def pictures_of(folder: Path) -> tuple[Path, ...]:
    """The pictures directly in a folder, by name; hidden files are left out. Raises NotFoundError."""
    try:
        return tuple(
            sorted(
                entry
                for entry in folder.iterdir()
                if entry.suffix.lower() in PICTURE_SUFFIXES and not entry.name.startswith(".") and entry.is_file()
            )
        )
    except OSError as exc:
        raise NotFoundError(f"cannot read the folder {folder}: {exc.strerror}", hint="check the path") from exc


def inside(folder: Path, name: str) -> Path | None:
    """A file below a folder, by a name out of a list; None where the name leads elsewhere."""
    path = Path(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts:
        return None
    return folder / path
