"""dlib's serialised networks (.dat) read without dlib.

The file is a stream without lengths or checksums: every value must be understood to find the next one, so
parsing is strict and must end exactly at the last byte. What each value looks like on disk (dlib's
``serialize.h`` and ``dnn/layers.h``) is told at the method that reads it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from device.errors import PackError

FloatArray = npt.NDArray[np.float32]

_MAX_ELEMENTS: Final = 1 << 26
"""No tensor of a door model comes near 64 Mi elements (256 MiB); a larger one is damage or malice."""
_MAX_STRING: Final = 256
_MAX_WRAPPERS: Final = 4096
_SPECIAL_FLOATS: Final = {32000: math.inf, 32001: -math.inf, 32002: math.nan}
_LAYER, _TAG_OR_SKIP, _LEAF = 2, 1, 3


def _refuse(message: str) -> PackError:
    return PackError(
        f"dlib network: {message}",
        reason="unconvertible",
        hint="Fetch the archive again; only the pinned face recognition network is supported.",
    )


@dataclass(slots=True)
class Stream:
    """The primitives of dlib's serialisation, read from the front of ``data``."""

    data: bytes
    offset: int = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, all of them or a refusal."""
        end = self.offset + count
        if count < 0 or end > len(self.data):
            raise _refuse(f"it ends at byte {len(self.data)}, {count} more were expected at {self.offset}")
        chunk = self.data[self.offset : end]
        self.offset = end
        return chunk

    def integer(self) -> int:
        """A control byte (bit 7: sign, low nibble: n <= 8), then n little-endian bytes of magnitude."""
        control = self.take(1)[0]
        size = control & 0x0F
        if control & 0x70 or not 1 <= size <= 8:
            raise _refuse(f"byte {self.offset - 1} is no integer")
        magnitude = int.from_bytes(self.take(size), "little")
        return -magnitude if control & 0x80 else magnitude

    def boolean(self) -> bool:
        """An ASCII ``0`` or ``1``."""
        value = self.take(1)
        if value not in (b"0", b"1"):
            raise _refuse(f"byte {self.offset - 1} is no truth value")
        return value == b"1"

    def real(self) -> float:
        """Two integers: mantissa and binary exponent; three reserved exponents mean inf, -inf and nan."""
        mantissa, exponent = self.integer(), self.integer()
        if exponent in _SPECIAL_FLOATS:
            return _SPECIAL_FLOATS[exponent]
        try:
            return math.ldexp(mantissa, exponent)
        except OverflowError as exc:
            raise _refuse(f"the number before byte {self.offset} is out of range") from exc

    def string(self) -> str:
        """An integer length, then that many bytes."""
        length = self.integer()
        if not 0 <= length <= _MAX_STRING:
            raise _refuse(f"a name of {length} bytes at {self.offset}")
        try:
            return self.take(length).decode("ascii")
        except UnicodeDecodeError as exc:
            raise _refuse(f"the name before byte {self.offset} is not text") from exc

    def _dims(self, version: int) -> tuple[int, int, int, int]:
        if self.integer() != version:
            raise _refuse(f"a tensor of an unknown version before byte {self.offset}")
        dims = (self.integer(), self.integer(), self.integer(), self.integer())
        if min(dims) < 0 or math.prod(dims) > _MAX_ELEMENTS:
            raise _refuse(f"a tensor of the shape {dims} before byte {self.offset}")
        return dims

    def tensor(self) -> FloatArray:
        """Version 2, four dimensions (samples, channels, rows, columns), little-endian float32 values."""
        dims = self._dims(2)
        values = np.frombuffer(self.take(4 * math.prod(dims)), dtype="<f4").reshape(dims)
        if not np.isfinite(values).all():
            raise _refuse(f"the tensor before byte {self.offset} holds values that are not finite")
        return values

    def alias(self) -> tuple[int, int, int, int]:
        """A shape without data: version 1, four dimensions."""
        return self._dims(1)

    def expect_empty_tensor(self) -> None:
        """A gradient or cache; it is empty in a network that was cleaned before it was saved."""
        if self.tensor().size:
            raise _refuse(f"training data before byte {self.offset}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One computing layer; fields that do not apply to ``kind`` keep their defaults.

    ``saves``: the value before this layer is remembered. ``swaps``: the remembered value and the current one
    change places before this layer (dlib's tag2 + skip1, the shortcut of a down block).
    """

    kind: str
    weights: FloatArray | None = None
    bias: FloatArray | None = None
    window: tuple[int, int] = (0, 0)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    saves: bool = False
    swaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A face recognition network: input size in pixels, RGB mean (0..255), layers in forward order."""

    rows: int
    columns: int
    mean: tuple[float, float, float]
    layers: tuple[Layer, ...]


def _pair(stream: Stream) -> tuple[int, int]:
    values = (stream.integer(), stream.integer())
    if not 0 <= min(values) <= max(values) <= 1024:
        raise _refuse(f"window, stride or padding {values} before byte {stream.offset}")
    return values


def _convolution(stream: Stream) -> Layer:
    params = stream.tensor().reshape(-1)
    count = stream.integer()
    window, stride, padding = _pair(stream), _pair(stream), _pair(stream)
    filters, biases = stream.alias(), math.prod(stream.alias())
    for _ in range(4):
        stream.real()
    fits = filters[0] == count and filters[2:] == window and biases == count and min(stride) > 0
    if not fits or params.size != math.prod(filters) + count or count < 1:
        raise _refuse(f"a convolution before byte {stream.offset} contradicts itself")
    weights, bias = params[:-count].reshape(filters), params[-count:]
    return Layer(kind="con", weights=weights, bias=bias, window=window, stride=stride, padding=padding)


def _affine(stream: Stream) -> Layer:
    params = stream.tensor().reshape(-1)
    gamma, beta = math.prod(stream.alias()), math.prod(stream.alias())
    stream.integer()
    if gamma != beta or params.size != gamma + beta or not gamma:
        raise _refuse(f"an affine layer before byte {stream.offset} contradicts itself")
    return Layer(kind="affine", weights=params[:gamma], bias=params[gamma:])


def _pool(stream: Stream, kind: str) -> Layer:
    return Layer(kind=kind, window=_pair(stream), stride=_pair(stream), padding=_pair(stream))


def _dense(stream: Stream) -> Layer:
    outputs, inputs = stream.integer(), stream.integer()
    params = stream.tensor()
    weights, biases = math.prod(stream.alias()), math.prod(stream.alias())
    stream.integer()
    for _ in range(4):
        stream.real()
    if min(outputs, inputs) < 1 or weights != inputs * outputs or biases or params.size != inputs * outputs:
        raise _refuse(f"a dense layer before byte {stream.offset} contradicts itself or has a bias")
    return Layer(kind="fc", weights=params.reshape(inputs, outputs))


def _details(stream: Stream) -> Layer:
    name = stream.string()
    if name == "con_4":
        return _convolution(stream)
    if name == "affine_":
        return _affine(stream)
    if name == "relu_":
        return Layer(kind="relu")
    if name in ("max_pool_2", "avg_pool_2"):
        return _pool(stream, name[:8])
    if name == "add_prev_":
        return Layer(kind="add_prev")
    if name == "fc_2":
        return _dense(stream)
    raise _refuse(f"layer {name!r} before byte {stream.offset} is not known")


def _versions(stream: Stream) -> list[int]:
    """The versions of the nested wrappers, outermost first, ending with the leaf."""
    found: list[int] = []
    while not found or found[-1] != _LEAF:
        found.append(stream.integer())
        if found[-1] not in (_LAYER, _TAG_OR_SKIP, _LEAF) or len(found) > _MAX_WRAPPERS:
            raise _refuse(f"wrapper {len(found)} has the unknown version {found[-1]}")
    return found


def _input(stream: Stream) -> tuple[int, int, tuple[float, float, float]]:
    """Rows, columns and mean of the input layer."""
    if stream.string() != "input_rgb_image_sized":
        raise _refuse("its input is not a colour image of fixed size")
    mean = (stream.real(), stream.real(), stream.real())
    rows, columns = stream.integer(), stream.integer()
    if not all(map(math.isfinite, mean)) or not 1 <= min(rows, columns) <= max(rows, columns) <= 1024:
        raise _refuse(f"its input has the mean {mean} and the size {rows} x {columns}")
    return rows, columns, mean


def _skip_training_state(stream: Stream, *, leaf: bool) -> None:
    """What follows each layer's details: three flags, three empty tensors, at the leaf a factor."""
    for _ in range(3):
        stream.boolean()
    for _ in range(3):
        stream.expect_empty_tensor()
    if leaf:
        stream.integer()


def read_dlib(data: bytes) -> Network:
    """Read a network of the type ``loss_metric<...input_rgb_image_sized<...>>``.

    Args:
        data: The whole .dat file.

    Raises:
        PackError: The file is damaged, holds other layers, or has bytes left over (``unconvertible``).
    """
    stream = Stream(data)
    if stream.integer() != 1 or stream.string() != "loss_metric_2":
        raise _refuse("it does not begin with a metric loss")
    stream.real()
    stream.real()
    versions = _versions(stream)
    rows, columns, mean = _input(stream)
    layers: list[Layer] = []
    marks = 0
    for version in reversed(versions):
        if version == _TAG_OR_SKIP:
            marks += 1
            continue
        if marks > 2:
            raise _refuse(f"{marks} tags in a row")
        layers.append(replace(_details(stream), saves=marks == 1, swaps=marks == 2))
        marks = 0
        _skip_training_state(stream, leaf=version == _LEAF)
    if marks or stream.offset != len(data):
        raise _refuse(f"{len(data) - stream.offset} bytes are left over")
    return Network(rows=rows, columns=columns, mean=mean, layers=tuple(layers))
