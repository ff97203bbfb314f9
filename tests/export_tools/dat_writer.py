"""dlib's serialisation, written: small networks of the pinned one's kinds of layers, for tests of the reader."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def integer(value: int) -> bytes:
    """Control byte, then the magnitude, little-endian, at least one byte."""
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def real(value: float) -> bytes:
    """Mantissa and exponent."""
    fraction, exponent = math.frexp(value)
    return integer(int(math.ldexp(fraction, 53))) + integer(exponent - 53)


def string(text: str) -> bytes:
    """Length and bytes."""
    return integer(len(text)) + text.encode()


def tensor(values: Array | None = None, dims: tuple[int, ...] = (0, 0, 0, 0)) -> bytes:
    """Version, dimensions, values; an empty one without arguments."""
    data = np.zeros(0, np.float32) if values is None else values
    return b"".join(map(integer, (2, *dims))) + struct.pack(f"<{data.size}f", *data.ravel())


def alias(dims: tuple[int, ...]) -> bytes:
    """Version, dimensions."""
    return b"".join(map(integer, (1, *dims)))


def convolution(weights: Array, bias: Array, *, stride: int = 1, padding: int = 0) -> bytes:
    """Details of a con_ layer with [out, in, rows, columns] weights."""
    out, _, rows, columns = weights.shape
    params = np.concatenate([weights.ravel(), bias])
    numbers = (out, rows, columns, stride, stride, padding, padding)
    return (
        string("con_4")
        + tensor(params, (params.size, 1, 1, 1))
        + b"".join(map(integer, numbers))
        + alias(weights.shape)
        + alias((1, out, 1, 1))
        + real(1) * 4
    )


def affine(gamma: Array, beta: Array) -> bytes:
    """Details of an affine_ layer."""
    params, shape = np.concatenate([gamma, beta]), (1, gamma.size, 1, 1)
    return string("affine_") + tensor(params, (params.size, 1, 1, 1)) + alias(shape) + alias(shape) + integer(0)


def pool(kind: str, *, window: int, stride: int) -> bytes:
    """Details of a max_pool_ or avg_pool_ layer without padding; window 0 is everything."""
    return string(f"{kind}_2") + b"".join(map(integer, (window, window, stride, stride, 0, 0)))


def dense(weights: Array) -> bytes:
    """Details of an fc_ layer without bias, [inputs, outputs] weights."""
    inputs, outputs = weights.shape
    return (
        string("fc_2")
        + integer(outputs)
        + integer(inputs)
        + tensor(weights, (inputs, outputs, 1, 1))
        + alias((inputs, outputs, 1, 1))
        + alias((0, 0, 0, 0))
        + integer(1)
        + real(1) * 4
    )


@dataclass
class NetworkWriter:
    """Collects layers in forward order; ``marks`` are the tags and skips before each (1: saved, 2: swapped)."""

    size: int = 9
    mean: tuple[float, float, float] = (122.782, 117.001, 104.298)
    layers: list[tuple[bytes, int]] = field(default_factory=list)

    def add(self, details: bytes, *, marks: int = 0) -> None:
        """Append a layer."""
        self.layers.append((details, marks))

    def data(self) -> bytes:
        """The whole file."""
        versions: list[int] = []
        for position, (_, marks) in enumerate(self.layers):
            versions += [1] * marks + [3 if position == 0 else 2]
        out = integer(1) + string("loss_metric_2") + real(0.04) + real(0.6)
        out += b"".join(map(integer, reversed(versions)))
        out += string("input_rgb_image_sized") + b"".join(map(real, self.mean)) + integer(self.size) * 2
        for position, (details, _) in enumerate(self.layers):
            out += details + b"100" + tensor() * 3 + (integer(1) if position == 0 else b"")
        return out


def small_network(*, seed: int = 0) -> tuple[NetworkWriter, dict[str, Array]]:
    """A network with a plain block, a down block, every kind of layer, and the weights it was made of."""
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> Array:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    weights = {
        "w0": some(4, 3, 3, 3), "b0": some(4), "g0": some(4), "h0": some(4),
        "w1": some(4, 4, 3, 3), "b1": some(4), "g1": some(4), "h1": some(4),
        "w2": some(6, 4, 3, 3), "b2": some(6), "g2": some(6), "h2": some(6),
        "w3": some(6, 5),
    }  # fmt: skip
    network = NetworkWriter(size=15)
    network.add(convolution(weights["w0"], weights["b0"], stride=2))
    network.add(affine(weights["g0"], weights["h0"]))
    network.add(string("relu_"))
    network.add(pool("max_pool", window=2, stride=1))
    network.add(convolution(weights["w1"], weights["b1"], padding=1), marks=1)
    network.add(affine(weights["g1"], weights["h1"]))
    network.add(string("add_prev_"))
    network.add(string("relu_"))
    network.add(convolution(weights["w2"], weights["b2"], stride=2), marks=1)
    network.add(affine(weights["g2"], weights["h2"]))
    network.add(pool("avg_pool", window=2, stride=2), marks=2)
    network.add(string("add_prev_"))
    network.add(string("relu_"))
    network.add(pool("avg_pool", window=0, stride=1))
    network.add(dense(weights["w3"]))
    return network, weights
