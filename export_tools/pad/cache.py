"""Traces kept from one evaluation to the next, in a private folder that the caller names.

A trace belongs to what shaped it: the parameters and photographs of the simulator, the models, the settings of vision,
the numbers of the script, and the code that renders, sees and records. All of that is in the key; whatever changes
opens another folder. The code counts without its comments and docstrings.

Traces hold templates of whoever was presented. Delete the folder together with the pictures.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import device
import export_tools
from device.errors import StateError
from device.vision.pack import Pack
from export_tools.pad.script import Script
from export_tools.pad.trace import Trace, TraceError
from export_tools.pad.trace_file import TRACE_FORMAT, load_trace, save_trace

_NAME: Final = re.compile(r"^[a-z0-9_]{1,40}-[0-9a-f]{5,64}$")
#: What renders, sees and records.
_CODE: Final = (
    "device/sim",
    "device/vision",
    "device/app/proof.py",
    "device/app/visitor.py",
    "device/app/visit_rules.py",
    "device/access/passive_test.py",
    "device/access/nearest.py",
    "export_tools/pad/columns.py",
    "export_tools/pad/notes.py",
    "export_tools/pad/record.py",
    "export_tools/pad/script.py",
    "export_tools/pad/studio.py",
    "export_tools/pad/witness.py",
)
_HINT: Final = "name a folder of your own that nobody else can look into"


def trace_key(pack: Pack, script: Script, *, presented: Mapping[str, str]) -> str:
    """Under which key traces are kept, 64 hex digits.

    Args:
        pack: The models.
        script: What is done with a presentation.
        presented: What is presented, by name: digests of parameters and photographs, in the order that counts.
    """
    payload = {
        "format": TRACE_FORMAT,
        "pack": pack.manifest.model_dump(mode="json"),
        "script": script.identity,
        "vision": script.vision.model_dump(mode="json"),
        "presented": list(presented.items()),
        "code": code_digest(),
    }
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


def code_digest(paths: tuple[Path, ...] | None = None) -> str:
    """SHA-256 over the code that shapes a trace; what does not run (comments, docstrings, layout) does not count."""
    roots = {name: Path(*package.__path__).parent for name, package in (("device", device), ("tools", export_tools))}
    if paths is None:
        paths = tuple(roots["device" if each.startswith("device") else "tools"] / each for each in _CODE)
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    digest = hashlib.sha256()
    for file in files:
        tree = ast.parse(file.read_bytes())
        for node in ast.walk(tree):
            _drop_docstring(node)
        digest.update(f"{file.name}\0{ast.dump(tree)}\0".encode())
    return digest.hexdigest()


def _drop_docstring(node: ast.AST) -> None:
    body: list[Any] | None = getattr(node, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        del body[0]


class TraceCache:
    """The traces of one key.

    Args:
        folder: Made where it is missing; several keys may share it.
        key: 64 hex digits, see :func:`trace_key`.

    Raises:
        StateError: The folder cannot be made, or somebody else can look into it.
    """

    def __init__(self, folder: Path, *, key: str) -> None:
        self._key = key
        self._folder = folder / f"traces-{key[:16]}"
        for each in (folder, self._folder):
            _make_private(each)

    @property
    def folder(self) -> Path:
        """Where the traces of this key are."""
        return self._folder

    def get(self, name: str) -> Trace | None:
        """A trace; None where it was not recorded. Raises TraceError for a file that is not this trace."""
        try:
            trace = load_trace(self._path(name), key=self._key)
        except FileNotFoundError:
            return None
        if trace.about.name != name:
            raise TraceError(f"the trace {self._path(name)} is not used: it is of {trace.about.name}")
        return trace

    def put(self, trace: Trace) -> None:
        """Keep a trace. Raises FullError, StateError."""
        save_trace(trace, self._path(trace.about.name), key=self._key)

    def others(self) -> tuple[Path, ...]:
        """Folders of other keys: of other models, parameters or code; nothing reads them."""
        return tuple(sorted(set(self._folder.parent.glob("traces-*")) - {self._folder}))

    def _path(self, name: str) -> Path:
        if not _NAME.match(name):
            raise TraceError(f"{name!r} names no trace")
        return self._folder / f"{name}.npz"


def _make_private(folder: Path) -> None:
    """Raises StateError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as exc:
        raise StateError(f"traces cannot be kept in {folder}: {exc.strerror or exc}", hint=_HINT) from exc
    if not stat.S_ISDIR(status.st_mode):
        raise StateError(f"traces cannot be kept in {folder}: it is no folder", hint=_HINT)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise StateError(f"traces cannot be kept in {folder}: it is not private (mode 0700)", hint=_HINT)
