"""Which foreign names the code uses, and what bindings say about them.

The names are those of ``stubs/``, against which mypy holds the code: what is not there cannot be used.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

STUBS: Final = Path(__file__).resolve().parent.parent.parent / "stubs"
_PYBIND: Final = re.compile(r"^(?:\d+\. )?(\w+)\((.*)\) -> ", re.MULTILINE)
_REGISTRATION: Final = re.compile(r'\.?(?:def|add_property)\s*\(\s*"(\w+)"|DEF_SIMPLE_(?:METHOD|FUNCTION)\((\w+)\)')
_CLASS: Final = re.compile(r'py::class_<[^;]*?>\s*\(\s*"(\w+)"')
_ARGUMENTS: Final = re.compile(r'py::args?\(((?:\s*"\w+"\s*,?)+)\)')
_STATEMENT: Final = re.compile(r"\s+\.def|\s+\.add_property|\s+\.DEF_SIMPLE|\s+\.staticmethod|;")


@dataclass(frozen=True, slots=True)
class Used:
    """One foreign name."""

    name: str
    """Below the module: ``Runtime.deserialize_cuda_engine``."""
    kind: Literal["class", "member", "attribute", "function", "value"]
    parameters: tuple[str, ...] = ()
    """Without self; for functions."""


def used_names(stub: Path) -> list[Used]:
    """Everything in a stub file."""
    return _names(ast.parse(stub.read_text(encoding="utf-8")).body, "")


def _names(body: list[ast.stmt], prefix: str, *, members: bool = False) -> list[Used]:
    found: list[Used] = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            name = f"{prefix}{node.name}"
            is_enum = any(isinstance(base, ast.Name) and base.id == "Enum" for base in node.bases)
            found += [Used(name, "class"), *_names(node.body, f"{name}.", members=is_enum)]
        elif isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            if "overload" in decorators and found and found[-1].name == f"{prefix}{node.name}":
                continue
            parameters = tuple(argument.arg for argument in node.args.args if argument.arg != "self")
            kind: Literal["attribute", "function"] = "attribute" if "property" in decorators else "function"
            found.append(Used(f"{prefix}{node.name}", kind, parameters))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append(Used(f"{prefix}{node.target.id}", "value"))
        elif isinstance(node, ast.Assign) and members and isinstance(node.targets[0], ast.Name):
            found.append(Used(f"{prefix}{node.targets[0].id}", "member"))
    return found


def matching_signature(documentation: str, used: Used) -> str | None:
    """The first signature that pybind11 wrote into a docstring and that takes the parameters; None if there is none.

    The parameters must be its first ones, under these names, and every further one must have a default.
    """
    for signature in _PYBIND.finditer(documentation):
        parameters = [part for part in _split(signature[2]) if part.partition(":")[0] != "self"]
        names = tuple(part.partition(":")[0].strip() for part in parameters)
        count = len(used.parameters)
        if names[:count] == used.parameters and all("=" in part for part in parameters[count:]):
            line = documentation[signature.start() :].partition("\n")[0]
            return re.sub(r"^\d+\. ", "", line)
    return None


def _split(parameters: str) -> list[str]:
    """At the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(parameters):
        depth += (letter in "[(<") - (letter in "])>")
        if letter == "," and depth == 0:
            parts.append(parameters[start:index].strip())
            start = index + 1
    return [part for part in (*parts, parameters[start:].strip()) if part]


def boost_names(source: str) -> dict[str, str]:
    """What a C++ source registers with Boost.Python: name to registration, classes and functions."""
    found: dict[str, str] = {}
    places = [(match.start(), match[1]) for match in _CLASS.finditer(source)]
    for start, name in places:
        end = source.find(";\n", start)
        block = source[start:end]
        found[name] = " ".join(block[: block.index(")") + 1].split())
        if "py::init<" in block.partition(".def(")[0]:
            found[f"{name}.__init__"] = _one(block[block.index("py::init<") :])
        for match in _REGISTRATION.finditer(block):
            found.setdefault(f"{name}.{match[1] or match[2]}", _one(block[match.start() :]))
    for match in re.finditer(r'py::def\(\s*"(\w+)"|^\s*DEF_SIMPLE_FUNCTION\((\w+)\)', source, re.MULTILINE):
        found.setdefault(match[1] or match[2], _one(source[match.start() :].lstrip()))
    return found


def takes(registration: str, used: Used) -> bool:
    """Whether a registration contradicts the parameters; one that names none is called by position."""
    names = tuple(name for group in _ARGUMENTS.findall(registration) for name in re.findall(r'"(\w+)"', group))
    names = tuple(name for name in names if name != "self")
    return not names or names[: len(used.parameters)] == used.parameters


def _one(text: str) -> str:
    """The registration at the beginning of a text, in one line."""
    end = _STATEMENT.search(text, 1)
    return " ".join(text[: end.start() if end else None].partition("#")[0].split())
