"""Run as a script of its own: load unpacked TensorRT bindings beside empty libraries, and print what they offer.

The bindings register names, signatures and values when they are loaded; the functions of the libraries behind them are
looked up when they are called, and nothing is called. Standard input: a JSON list of names. Standard output: JSON.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def describe(module: Any, name: str) -> dict[str, str] | None:
    """Kind, documentation and, for members of enumerations, the value of a name; None where there is no such name."""
    thing = module
    for part in name.split("."):
        thing = getattr(thing, part, None)
        if thing is None:
            return None
    if isinstance(thing, property):
        return {"kind": "attribute", "doc": str(getattr(thing.fget, "__doc__", "")).strip()}
    if isinstance(thing, type):
        return {"kind": "class", "doc": ""}
    if callable(thing):
        return {"kind": "function", "doc": str(thing.__doc__)}
    if hasattr(type(thing), "__members__"):
        return {"kind": "member", "doc": str(int(thing))}
    return {"kind": "value", "doc": repr(thing)}


def main(folder: str) -> None:
    """Load what was unpacked into a folder."""
    sys.setdlopenflags(os.RTLD_LAZY)
    for library in sorted(Path(folder).glob("lib*.so.*")):
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    sys.path.insert(0, folder)
    module = importlib.import_module("tensorrt_bindings")
    names = json.load(sys.stdin)
    json.dump({name: describe(module, name) for name in names}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
