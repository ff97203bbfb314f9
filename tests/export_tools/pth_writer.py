"""PyTorch's containers and their pickles, written without PyTorch: sound ones, and ones that attack their reader."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ORDERED_DICT = b"ccollections\nOrderedDict\n"
EMPTY_ORDERED_DICT = ORDERED_DICT + b")R"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE_TYPES = {np.dtype(np.float32): b"ctorch\nFloatStorage\n", np.dtype(np.int64): b"ctorch\nLongStorage\n"}
MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
PROTOCOL = b"M\xe9\x03"


def text(value: str) -> bytes:
    """BINUNICODE."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    """BININT."""
    return b"J" + struct.pack("<i", value)


def group(*parts: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def numbers(values: tuple[int, ...]) -> bytes:
    """A tuple of numbers."""
    return group(*map(number, values))


def pickled(body: bytes) -> bytes:
    """One pickle of protocol 2."""
    return b"\x80\x02" + body + b"."


SYSTEM = pickled(b"}(" + text("protocol_version") + PROTOCOL + text("little_endian") + b"\x88u")


def reference(*, key: str, count: int, kind: bytes = STORAGE_TYPES[np.dtype(np.float32)], view: bytes = b"N") -> bytes:
    """A persistent id; ``view`` is what only the legacy container has."""
    return group(text("storage"), kind, text(key), text("cpu"), number(count), view) + b"Q"


def tensor(
    storage: bytes,
    *,
    shape: tuple[int, ...],
    offset: int = 0,
    strides: tuple[int, ...] | None = None,
    hooks: bytes = EMPTY_ORDERED_DICT,
    function: bytes = REBUILD,
) -> bytes:
    """One call of ``_rebuild_tensor_v2``."""
    rows = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))) if strides is None else strides
    return function + group(storage, number(offset), numbers(shape), numbers(rows), b"\x89", hooks) + b"R"


@dataclass
class File:
    """A state dict of plain tensors; every part may be exchanged for a hostile one before it is written."""

    tensors: dict[str, Array] = field(default_factory=dict)
    state: bytes | None = None
    order: bytes | None = None
    zipped: bool = False

    def description(self) -> bytes:
        """The pickle of the state dict."""
        if self.state is not None:
            return self.state
        items = b""
        for key, (name, values) in enumerate(self.tensors.items()):
            view = b"" if self.zipped else b"N"
            storage = reference(key=str(key), count=values.size, kind=STORAGE_TYPES[values.dtype], view=view)
            items += text(name) + tensor(storage, shape=values.shape)
        notes = b"}" + text("_metadata") + EMPTY_ORDERED_DICT + b"sb"
        return pickled(EMPTY_ORDERED_DICT + b"(" + items + b"u" + notes)

    def legacy(self) -> bytes:
        """Five pickles, then the storages."""
        keys = b"".join(text(str(key)) for key in range(len(self.tensors)))
        order = pickled(b"](" + keys + b"e") if self.order is None else self.order
        head = pickled(MAGIC) + pickled(PROTOCOL) + SYSTEM + self.description() + order
        return head + b"".join(struct.pack("<q", v.size) + v.tobytes() for v in self.tensors.values())

    def entries(self) -> dict[str, bytes]:
        """What the zip holds."""
        storages = {f"archive/data/{key}": v.tobytes() for key, v in enumerate(self.tensors.values())}
        return {"archive/data.pkl": self.description(), "archive/byteorder": b"little", **storages}

    def data(self) -> bytes:
        """The whole file."""
        return zip_of(self.entries()) if self.zipped else self.legacy()


def zip_of(entries: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these entries."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
    return stream.getvalue()
