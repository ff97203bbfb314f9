"""Results as CSV files, and files that are written whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from device.audit.export import safe_cell
from device.errors import UsageError
from export_tools.evaluate.results.common import Result
from export_tools.whole import write_whole

_FIGURES: Final = "figures"


def tables_of(result: Result) -> dict[str, str]:
    """CSV texts by name: ``figures`` with every single value, and one table for each list and curve of the result.

    A rate stands in ``figures`` as its count, trials, value and interval, one row each.
    """
    figures: list[tuple[str, object]] = []
    tables: dict[str, str] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            if columns := _columns(value):
                tables[name.replace(".", "_")] = _table(columns)
                return
            for key, part in value.items():
                walk(f"{name}.{key}" if name else key, part)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            tables[name.replace(".", "_")] = _table(_of_rows([_flat(row) for row in value]))
        elif isinstance(value, list):
            figures.append((name, " ".join(map(str, value))))
        else:
            figures.append((name, value))

    walk("", result.model_dump(mode="json"))
    names, values = [name for name, _ in figures], [value for _, value in figures]
    return {_FIGURES: _table({"figure": names, "value": values}), **tables}


def write_tables(result: Result, folder: Path, *, prefix: str) -> tuple[Path, ...]:
    """All tables as ``PREFIX_NAME.csv`` in a folder, which is made where it is missing. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"cannot make the folder {folder}: {exc.strerror}", hint="name a writable folder") from exc
    texts = {folder / f"{prefix}_{name}.csv": text for name, text in tables_of(result).items()}
    for path, text in texts.items():
        write_whole(path, text)
    return tuple(texts)


def _columns(value: Mapping[str, Any]) -> dict[str, Sequence[object]]:
    """The columns of a value that consists of nothing else; empty for any other."""
    lists = [part for part in value.values() if isinstance(part, list) and not any(isinstance(x, dict) for x in part)]
    if len(lists) < 2 or len(lists) != len(value) or max(map(len, lists)) - min(map(len, lists)) > 1:
        return {}
    return dict(value)


def _of_rows(rows: Sequence[Mapping[str, object]]) -> dict[str, Sequence[object]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _table(columns: Mapping[str, Sequence[object]]) -> str:
    """Columns of one length, or one shorter (a histogram has one edge more than bins), as CSV; None is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(safe_cell, columns))
    for row in range(max((len(values) for values in columns.values()), default=0)):
        cells = (values[row] if row < len(values) else None for values in columns.values())
        writer.writerow("" if cell is None else safe_cell(cell) for cell in cells)
    return out.getvalue()
