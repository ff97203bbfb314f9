"""Pickles read as data: a machine that knows 31 opcodes, and can neither import, look up nor call anything.

Python's own unpickler is a machine that runs programs; restricting what it may find still leaves its ``REDUCE``,
``BUILD`` and extension registry at work. This one builds strings, numbers, tuples, lists and mappings, and puts inert
records where a program would be named (:class:`Name`), called (:class:`Call`) or given an object from outside
(:class:`External`). What those records mean, and whether they are allowed, the caller decides from the finished value.

Bounds: every opcode consumes input, a memo entry is a reference and never a copy, keys are strings, and no value is
hashed, compared or printed on the way; so time and memory follow from the length of the input and ``max_steps``.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from device.errors import PackError

MAX_STEPS: Final = 1 << 18
"""A state dict of 370 tensors takes 15,000 steps."""
_MAX_TEXT: Final = 1 << 12
_MAX_LONG: Final = 16
"""The only long integer of a state dict is the magic number of its file: 10 bytes."""
_HINT: Final = "Fetch the file again from its pinned address; a state dict is the only kind of pickle that is read."


def damaged(message: str) -> PackError:
    """The refusal of a file that contradicts itself or ends too early."""
    return PackError(f"PyTorch file: {message}", reason="unconvertible", hint=_HINT)


def foreign(message: str) -> PackError:
    """The refusal of a pickle that asks for more than data."""
    return PackError(f"PyTorch file: {message}", reason="pickle_code", hint=_HINT)


class _Mark:
    """Where a tuple, a list of items or of pairs begins on the stack."""


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """Where a pickle names something to import; nothing is imported."""

    path: str


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """Where a pickle calls what it named; nothing is called.

    ``items`` and ``state`` are what it stores in the result afterwards: pairs, and what ``__setstate__`` would get.
    """

    function: Name
    arguments: tuple[Any, ...]
    items: dict[str, Any]
    state: list[Any]


@dataclass(frozen=True, slots=True, eq=False)
class External:
    """Where a pickle refers to something outside of itself (its persistent id)."""

    identity: Any


@dataclass(slots=True)
class _Machine:
    data: bytes
    offset: int
    names: Collection[str]
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    mark: _Mark = field(default_factory=_Mark)

    # ---- Input

    def take(self, count: int) -> bytes:
        end = self.offset + count
        if end > len(self.data):
            raise damaged(f"it ends at byte {len(self.data)}, {count} more were expected at {self.offset}")
        chunk = self.data[self.offset : end]
        self.offset = end
        return chunk

    def unsigned(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def text(self) -> str:
        length = self.unsigned(4)
        if length > _MAX_TEXT:
            raise damaged(f"a text of {length} bytes at {self.offset}")
        return self.decoded(self.take(length))

    def line(self) -> str:
        end = self.data.find(b"\n", self.offset, self.offset + _MAX_TEXT)
        if end < 0:
            raise damaged(f"a line without end at byte {self.offset}")
        chunk = self.take(end + 1 - self.offset)
        return self.decoded(chunk[:-1])

    def decoded(self, chunk: bytes) -> str:
        try:
            return chunk.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise damaged(f"what stands before byte {self.offset} is not text") from exc

    # ---- Stack

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is self.mark:
            raise damaged(f"a value is missing before byte {self.offset}")
        return self.stack.pop()

    def top(self) -> Any:
        value = self.pop()
        self.stack.append(value)
        return value

    def since_mark(self) -> list[Any]:
        for position in range(len(self.stack) - 1, -1, -1):
            if self.stack[position] is self.mark:
                values = self.stack[position + 1 :]
                del self.stack[position:]
                return values
        raise damaged(f"a group without beginning ends before byte {self.offset}")

    def popped(self, count: int) -> tuple[Any, ...]:
        values = [self.pop() for _ in range(count)]
        return tuple(reversed(values))

    def remember(self, key: int) -> None:
        self.memo[key] = self.top()

    def recall(self, key: int) -> Any:
        if key not in self.memo:
            raise damaged(f"entry {key} of the memo is used before it is made")
        return self.memo[key]

    def store(self, values: list[Any]) -> None:
        """Pairs into the mapping below them; a key may be given once."""
        target = self.top()
        mapping = target.items if isinstance(target, Call) else target
        if not isinstance(mapping, dict) or len(values) % 2:
            raise foreign(f"pairs are stored in what is no mapping, before byte {self.offset}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str) or key in mapping:
                raise damaged(f"a key that is no text, or comes twice, before byte {self.offset}")
            mapping[key] = value

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, list):
            raise foreign(f"values are appended to what is no list, before byte {self.offset}")
        target.extend(values)

    def name(self) -> Name:
        path = f"{self.line()}.{self.line()}"
        if path not in self.names:
            raise foreign(f"it names {path!r}, which no state dict of numbers needs")
        return Name(path)

    def call(self) -> Call:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise foreign(f"it calls what is no name, before byte {self.offset}")
        return Call(function, arguments, {}, [])

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if not isinstance(target, Call):
            raise foreign(f"it sets the state of what it did not make, before byte {self.offset}")
        target.state.append(state)

    # ---- Steps

    def value(self, opcode: bytes) -> Any:  # noqa: C901, PLR0912 - one line per opcode
        """The value that an opcode pushes."""
        match opcode:
            case b"K":
                return self.unsigned(1)
            case b"M":
                return self.unsigned(2)
            case b"J":
                return struct.unpack("<i", self.take(4))[0]
            case b"\x8a":
                size = self.unsigned(1)
                if size > _MAX_LONG:
                    raise damaged(f"an integer of {size} bytes at {self.offset}")
                return int.from_bytes(self.take(size), "little", signed=True)
            case b"X":
                return self.text()
            case b"N":
                return None
            case b"\x88" | b"\x89":
                return opcode == b"\x88"
            case b"(":
                return self.mark
            case b"]":
                return []
            case b"}":
                return {}
            case b")":
                return ()
            case b"t":
                return tuple(self.since_mark())
            case b"\x85" | b"\x86" | b"\x87":
                return self.popped(opcode[0] - 0x84)
            case b"h":
                return self.recall(self.unsigned(1))
            case b"j":
                return self.recall(self.unsigned(4))
            case b"c":
                return self.name()
            case b"R":
                return self.call()
            case b"Q":
                return External(self.pop())
            case _:
                raise foreign(f"opcode {opcode!r} before byte {self.offset} is none that a state dict needs")

    def step(self, opcode: bytes) -> None:
        """Carry out one opcode other than the last."""
        match opcode:
            case b"q":
                self.remember(self.unsigned(1))
            case b"r":
                self.remember(self.unsigned(4))
            case b"s":
                self.store(list(self.popped(2)))
            case b"u":
                self.store(self.since_mark())
            case b"a":
                self.append([self.pop()])
            case b"e":
                self.append(self.since_mark())
            case b"b":
                self.build()
            case _:
                self.stack.append(self.value(opcode))

    def run(self, max_steps: int) -> Any:
        if self.take(2) != b"\x80\x02":
            raise damaged(f"no pickle of protocol 2 begins at byte {self.offset - 2}")
        for _ in range(max_steps):
            opcode = self.take(1)
            if opcode == b".":
                value = self.pop()
                if self.stack:
                    raise damaged(f"values are left over at byte {self.offset}")
                return value
            self.step(opcode)
        raise damaged(f"a pickle of more than {max_steps} steps")


def read_pickle(
    data: bytes, *, names: Collection[str] = (), offset: int = 0, max_steps: int = MAX_STEPS
) -> tuple[Any, int]:
    """One pickle of protocol 2 as inert values, and the offset of the byte after it.

    Args:
        data: Bytes that hold the pickle.
        names: The ``module.name`` paths that may be named; any other is refused where it stands.
        offset: Where the pickle begins.
        max_steps: The longest pickle that is read, in opcodes.

    Returns:
        None, bool, int, str, tuple, list, dict with text keys, Name, Call and External, nested; may contain itself.

    Raises:
        PackError: ``pickle_code`` for an opcode or a name that no state dict needs, ``unconvertible`` for damage.
    """
    machine = _Machine(data, offset, names)
    value = machine.run(max_steps)
    return value, machine.offset
