"""From the fields of frozen dataclasses to a file of ranges, and from such ranges to one repeatable draw.

Every number stands in the file as ``[least, greatest]``, both included; every word or truth value as the list of those
that may be chosen; every dataclass within a dataclass as a table. Nothing may be missing and nothing more may stand
there, so a field that is added to the code must be decided about in the file.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, TypeVar, get_type_hints

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from device.errors import ConfigError
from device.yaml_loader import StrictLoader

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_STRICT: Final = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
#: A file of this size is a mistake; the parser never sees it.
MAX_BYTES: Final = 256 * 1024


def ordered(ends: list[float]) -> list[float]:
    """The two ends as they are. Raises ValueError when they are the wrong way round."""
    if ends[0] > ends[1]:
        raise ValueError("the first number must not be above the second")
    return ends


def _once(choices: list[Any]) -> list[Any]:
    if len(set(choices)) != len(choices):
        raise ValueError("a choice is given twice")
    return choices


Span = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(ordered)]
WholeSpan = Annotated[list[int], Field(min_length=2, max_length=2), AfterValidator(ordered)]
Truths = Annotated[list[bool], Field(min_length=1), AfterValidator(_once)]


def table(name: str, **entries: Any) -> type[BaseModel]:
    """A strict table with exactly these keys, each of the given type."""
    entry: dict[str, Any] = {key: (kind, ...) for key, kind in entries.items()}
    made: type[BaseModel] = create_model(name, __config__=_STRICT, **entry)
    return made


@cache
def ranges_of(kind: type) -> type[BaseModel]:
    """What a file must say about a frozen dataclass.

    Raises:
        TypeError: A field is neither number, truth value, enumeration of words nor such a dataclass.
    """
    hints = get_type_hints(kind)
    return table(kind.__name__, **{field.name: _entry(hints[field.name]) for field in fields(kind)})


def _entry(hint: Any) -> Any:
    if hint is bool:
        return Truths
    if hint is int:
        return WholeSpan
    if hint is float:
        return Span
    if isinstance(hint, type) and issubclass(hint, Enum):
        # A file has words, not members: this one conversion is allowed.
        return Annotated[list[Annotated[hint, Field(strict=False)]], Field(min_length=1), AfterValidator(_once)]
    if isinstance(hint, type) and is_dataclass(hint):
        return ranges_of(hint)
    raise TypeError(f"{hint} has no range")


def draw(kind: type[T], ranges: BaseModel, *, key: str) -> T:
    """One value of a dataclass within its ranges; the same for the same ``key``, for ever and on every machine.

    Each field depends on the key and on its own name alone: a field that is added or moved changes no other.
    """
    hints = get_type_hints(kind)
    drawn: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # ranges_of took it, so it is a dataclass
        entry, hint, own = getattr(ranges, field.name), hints[field.name], f"{key}/{field.name}"
        if isinstance(entry, BaseModel):
            drawn[field.name] = draw(hint, entry, key=own)
        elif hint is float:
            drawn[field.name] = between(entry, key=own)
        elif hint is int:
            drawn[field.name] = entry[0] + whole(entry[1] - entry[0] + 1, key=own)
        else:
            drawn[field.name] = entry[whole(len(entry), key=own)]
    return kind(**drawn)


def share(key: str) -> float:
    """0 or more and below 1, from the key alone."""
    return (int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 11) / 2**53


def whole(count: int, *, key: str) -> int:
    """0 or more and below ``count``, from the key alone."""
    return min(count - 1, int(count * share(key)))


def between(ends: list[float], *, key: str) -> float:
    """Within both ends, from the key alone."""
    low, high = float(ends[0]), float(ends[1])
    return min(high, low + (high - low) * share(key))


def parse(raw: bytes, model: type[M], *, origin: str) -> M:
    """Read a file of ranges.

    Args:
        raw: Its bytes.
        model: What must stand in it.
        origin: Its name, for people.

    Raises:
        ConfigError: Too large, no YAML, or not what must stand there; lists every problem as ``file:line: key: what``.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{origin} is larger than {MAX_BYTES} bytes")
    try:
        # Both steps of one loading, because only the nodes know their lines.
        loader = StrictLoader(raw)
        node = loader.get_single_node()
        tree = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise ConfigError(f"{origin} is not valid YAML: {exc}") from exc
    try:
        return model.model_validate(tree)
    except ValidationError as exc:
        problems = tuple(
            f"{origin}:{_line(node, error['loc'])}: {'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in exc.errors()
        )
        raise ConfigError(f"{origin} is not valid:", problems=problems) from exc


def _line(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """The line of the last part of ``path`` that stands in the file."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
