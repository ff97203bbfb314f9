"""PyTorch state dicts (.pth, .pt) read without PyTorch, and without running anything that the file says.

A state dict is a pickle of names, shapes and references to storages, plus the storages' raw bytes, in one of two
containers. Legacy (PyTorch before 1.6): five pickles - magic number, protocol version, system, state dict, order of the
storages - and then each storage as an 8-byte count and its values. Zip (since 1.6): ``<root>/data.pkl`` and one
uncompressed entry ``<root>/data/<key>`` per storage. Both are read strictly: whatever is missing, left over, repeated,
not row-major, not little-endian or not finite is refused. The tensors are views of the bytes, never copies larger than
the file.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from export_tools.convert.inert_pickle import Call, External, Name, damaged, foreign, read_pickle

StateDict = dict[str, npt.NDArray[Any]]
"""Names and tensors in the file's order, float32 or int64, read-only."""

_MAX_BYTES: Final = 1 << 28
"""No network of a door comes near 256 MiB; a larger file is damage or malice."""
_MAX_TENSORS: Final = 4096
_MAX_DIMENSIONS: Final = 8
_MAX_STATES: Final = 2
"""PyTorch sets one, its version notes."""
_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_ORDERED_DICT: Final = "collections.OrderedDict"
_REBUILD: Final = "torch._utils._rebuild_tensor_v2"
_STORAGES: Final[dict[str, np.dtype[Any]]] = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.LongStorage": np.dtype("<i8"),
}
_NAMES: Final = frozenset({_ORDERED_DICT, _REBUILD, *_STORAGES})
_ZIP_BEGIN, _ZIP_ENTRY, _ZIP_END, _ZIP_END_SIZE = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", 22
_ZIP_NOTES: Final = frozenset({"version", ".format_version", ".storage_alignment", ".data/serialization_id"})
"""Entries that PyTorch adds and that say nothing about the tensors."""

_ZIP_DAMAGE: Final = (
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
    ArithmeticError,
    LookupError,
    struct.error,
)
"""What Python's reader of zips is seen to raise; RuntimeError stands for encryption and for what it cannot do."""


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_BYTES


def _storage(reference: Any) -> _Storage:
    """``("storage", type, key, device, count)``, in the legacy container followed by a view that must be None."""
    identity = reference.identity if isinstance(reference, External) else None
    if not isinstance(identity, tuple) or not 5 <= len(identity) <= 6 or identity[0] != "storage":
        raise foreign("a tensor does not refer to a storage")
    kind, key, device, count = identity[1:5]
    if not isinstance(kind, Name) or kind.path not in _STORAGES:
        raise foreign("a storage of an unknown type")
    if (
        not isinstance(key, str)
        or not isinstance(device, str)
        or not _is_count(count)
        or identity[5:] not in ((), (None,))
    ):
        raise damaged("a reference to a storage contradicts itself")
    return _Storage(key, _STORAGES[kind.path], count)


def _row_major(shape: tuple[int, ...]) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _tensor(name: str, value: Any) -> _Tensor:
    """``_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)``."""
    if not isinstance(value, Call) or value.function.path != _REBUILD or value.items or value.state:
        raise foreign(f"{name!r} is no plain tensor")
    if len(value.arguments) != 6:
        raise damaged(f"{name!r} is described by {len(value.arguments)} values, not by 6")
    reference, offset, shape, strides, gradient, hooks = value.arguments
    if not _is_plain_mapping(hooks) or _pairs(hooks):
        raise foreign(f"{name!r} brings hooks")
    storage = _storage(reference)
    sizes = (shape, strides)
    if not all(isinstance(part, tuple) and all(map(_is_count, part)) for part in sizes) or type(gradient) is not bool:
        raise damaged(f"the shape of {name!r} is not made of counts")
    if len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise damaged(f"{name!r} has {len(shape)} sizes and {len(strides)} strides")
    if math.prod(max(size, 1) for size in shape) > _MAX_BYTES:
        raise damaged(f"no array has the shape {shape} of {name!r}")
    if any(size > 1 and found != row for size, found, row in zip(shape, strides, _row_major(shape), strict=True)):
        raise damaged(f"{name!r} is not row-major: shape {shape}, strides {strides}")
    if not _is_count(offset) or offset + math.prod(shape) > storage.count:
        raise damaged(f"{name!r} reaches beyond its storage")
    return _Tensor(storage, offset, shape)


def _is_plain_mapping(value: Any) -> bool:
    """A dict, or an OrderedDict made empty and given nothing but pairs and PyTorch's version notes."""
    if not isinstance(value, Call):
        return isinstance(value, dict)
    made_empty = value.function.path == _ORDERED_DICT and not value.arguments and len(value.state) <= _MAX_STATES
    return made_empty and all(isinstance(state, dict) and state.keys() <= {"_metadata"} for state in value.state)


def _pairs(mapping: Any) -> dict[str, Any]:
    pairs: dict[str, Any] = mapping.items if isinstance(mapping, Call) else mapping
    return pairs


def _tensors(value: Any) -> dict[str, _Tensor]:
    if not _is_plain_mapping(value):
        raise foreign("it holds something else than a state dict")
    pairs = _pairs(value)
    if not 1 <= len(pairs) <= _MAX_TENSORS:
        raise damaged(f"a state dict of {len(pairs)} tensors")
    return {name: _tensor(name, description) for name, description in pairs.items()}


def _storages(tensors: Mapping[str, _Tensor]) -> dict[str, _Storage]:
    """Every storage once; two references to one must agree."""
    found: dict[str, _Storage] = {}
    for tensor in tensors.values():
        storage = tensor.storage
        if found.setdefault(storage.key, storage) != storage:
            raise damaged(f"storage {storage.key!r} is described in two ways")
    return found


def _values(data: bytes, storage: _Storage, offset: int) -> npt.NDArray[Any]:
    if offset + storage.count * storage.dtype.itemsize > len(data):
        raise damaged(f"storage {storage.key!r} ends behind byte {len(data)}")
    values = np.frombuffer(data, storage.dtype, storage.count, offset)
    if not np.isfinite(values).all():
        raise damaged(f"storage {storage.key!r} holds values that are not finite")
    return values


def _assembled(tensors: Mapping[str, _Tensor], values: Mapping[str, npt.NDArray[Any]]) -> StateDict:
    return {
        name: values[tensor.storage.key][tensor.offset : tensor.offset + math.prod(tensor.shape)].reshape(tensor.shape)
        for name, tensor in tensors.items()
    }


def _read_legacy(data: bytes) -> StateDict:
    magic, offset = read_pickle(data)
    protocol, offset = read_pickle(data, offset=offset)
    if type(magic) is not int or magic != _MAGIC or type(protocol) is not int or protocol != _PROTOCOL:
        raise damaged("it does not begin like one")
    system, offset = read_pickle(data, offset=offset)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise damaged("it was not written on a little-endian machine")
    description, offset = read_pickle(data, offset=offset, names=_NAMES)
    tensors = _tensors(description)
    storages = _storages(tensors)
    order, offset = read_pickle(data, offset=offset)
    if not isinstance(order, list) or not all(isinstance(key, str) for key in order):
        raise damaged("the order of its storages is no list of names")
    if len(order) != len(storages) or set(order) != storages.keys():
        raise damaged("the storages it brings are not the ones it refers to")
    values: dict[str, npt.NDArray[Any]] = {}
    for key in order:
        storage = storages[key]
        if data[offset : offset + 8] != storage.count.to_bytes(8, "little"):
            raise damaged(f"storage {key!r} does not have the announced size")
        values[key] = _values(data, storage, offset + 8)
        offset += 8 + storage.count * storage.dtype.itemsize
    if offset != len(data):
        raise damaged(f"{len(data) - offset} bytes are left over")
    return _assembled(tensors, values)


def _entries(data: bytes) -> dict[str, bytes]:
    """The contents of an uncompressed zip by the names below its one root; nothing is written to disk."""
    if data[-_ZIP_END_SIZE:][:4] != _ZIP_END or data[-2:] != b"\0\0":
        raise damaged("the zip does not end where its directory ends")
    # Python reads the whole directory at once, whatever number of entries its end announces.
    if data.count(_ZIP_ENTRY) > _MAX_TENSORS:
        raise damaged(f"a zip of more than {_MAX_TENSORS} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            stored = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
            if not stored or sum(info.file_size for info in infos) > len(data):
                raise damaged("the zip is compressed, or promises more than it holds")
            contents = [(info.filename, archive.read(info)) for info in infos]
    except _ZIP_DAMAGE as exc:
        raise damaged(f"the zip is damaged ({type(exc).__name__})") from exc
    roots = {name.partition("/")[0] for name, _ in contents}
    entries = {name.partition("/")[2]: content for name, content in contents}
    if len(roots) != 1 or len(entries) != len(contents):
        raise damaged("the zip has several roots, or one name twice")
    return entries


def _read_zip(data: bytes) -> StateDict:
    entries = _entries(data)
    description = entries.pop("data.pkl", None)
    if description is None:
        raise damaged("the zip holds no state dict")
    if entries.pop("byteorder", b"little") != b"little":
        raise damaged("it was not written on a little-endian machine")
    value, end = read_pickle(description, names=_NAMES)
    if end != len(description):
        raise damaged(f"{len(description) - end} bytes are left over behind the state dict")
    tensors = _tensors(value)
    storages = {f"data/{key}": storage for key, storage in _storages(tensors).items()}
    if entries.keys() - _ZIP_NOTES != storages.keys():
        raise damaged("the storages it brings are not the ones it refers to")
    values = {}
    for name, storage in storages.items():
        if len(entries[name]) != storage.count * storage.dtype.itemsize:
            raise damaged(f"storage {storage.key!r} does not have the announced size")
        values[storage.key] = _values(entries[name], storage, 0)
    return _assembled(tensors, values)


def read_state_dict(data: bytes) -> StateDict:
    """The tensors of a PyTorch state dict, by name, in the file's order.

    Args:
        data: The whole .pth or .pt file, of either container.

    Returns:
        Read-only float32 and int64 arrays; names as they stand in the file.

    Raises:
        PackError: ``pickle_code`` when the pickle asks for more than tensors by name, ``unconvertible`` for damage.
    """
    if len(data) > _MAX_BYTES:
        raise damaged(f"{len(data)} bytes are more than {_MAX_BYTES}")
    return _read_zip(data) if data.startswith(_ZIP_BEGIN) else _read_legacy(data)
