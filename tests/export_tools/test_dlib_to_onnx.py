"""The converted network against a plain numpy rendering of the same layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray

from device.errors import PackError
from export_tools.convert.dlib_to_onnx import convert_dlib
from tests.export_tools import dat_writer as write

Values = NDArray[np.float64]


def _windows(x: Values, size: int, stride: int) -> Any:
    views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return views[:, ::stride, ::stride]


def _convolve(x: Values, weights: Values, bias: Values, *, stride: int = 1, padding: int = 0) -> Values:
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    result: Values = np.einsum("irckl,oikl->orc", _windows(padded, 3, stride), weights) + bias[:, None, None]
    return result


def _add(a: Values, b: Values) -> Values:
    shape = np.maximum(a.shape, b.shape)
    return sum(np.pad(v, [(0, n - k) for n, k in zip(shape, v.shape, strict=True)]) for v in (a, b))  # type: ignore[return-value]


def _reference(picture: Values, w: dict[str, Any], mean: tuple[float, ...]) -> Values:
    x = (picture - np.array(mean)[:, None, None]) / 256
    x = _convolve(x, w["w0"], w["b0"], stride=2) * w["g0"][:, None, None] + w["h0"][:, None, None]
    x = _windows(np.maximum(x, 0), 2, 1).max(axis=(-2, -1))
    y = _convolve(x, w["w1"], w["b1"], padding=1) * w["g1"][:, None, None] + w["h1"][:, None, None]
    x = np.maximum(_add(x, y), 0)
    y = _convolve(x, w["w2"], w["b2"], stride=2) * w["g2"][:, None, None] + w["h2"][:, None, None]
    x = np.maximum(_add(_windows(x, 2, 2).mean(axis=(-2, -1)), y), 0)
    result: Values = x.mean(axis=(1, 2)) @ w["w3"]
    return result


def test_folded_and_rewired_layers_give_the_same_numbers() -> None:
    """Mean, affine layers, shortcuts, zero padding of channels and space, pools, and the batch axis."""
    network, weights = write.small_network(seed=3)
    session = ort.InferenceSession(convert_dlib(network.data()), providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(1).integers(0, 256, (3, 3, 15, 15)).astype(np.float32)
    answers = session.run(["embedding"], {"input": pictures})[0]
    expected = np.stack([_reference(p.astype(np.float64), weights, network.mean) for p in pictures])
    assert answers.shape == (3, 5)
    assert np.abs(answers - expected).max() < 1e-5


def test_the_same_network_is_converted_to_the_same_bytes() -> None:
    """A pack can be built again elsewhere and compared."""
    data = write.small_network()[0].data()
    assert convert_dlib(data) == convert_dlib(data)


def _broken(change: str) -> bytes:
    network, weights = write.small_network()
    layers = network.layers
    if change == "mean cannot be folded":
        layers[0] = (write.convolution(weights["w0"], weights["b0"], stride=2, padding=1), 0)
    elif change == "channels":
        layers[4] = (write.convolution(weights["w0"], weights["b0"], padding=1), 1)
    elif change == "without its second value":
        layers[4] = (layers[4][0], 0)
    elif change == "does not follow":
        layers[2] = layers[1]
    elif change == "dense layer":
        layers[-1] = (write.dense(np.ones((7, 2), np.float32)), 0)
    elif change == "to a dense layer":
        layers.pop()
    elif change == "without its beginning":
        layers[2] = (layers[2][0], 2)
    elif change == "leaves nothing":
        layers[3] = (write.pool("max_pool", window=50, stride=1), 0)
    return network.data()


@pytest.mark.parametrize(
    "change",
    [
        "mean cannot be folded",
        "channels",
        "without its second value",
        "does not follow",
        "dense layer",
        "to a dense layer",
        "without its beginning",
        "leaves nothing",
    ],
)
def test_a_network_that_does_not_fit_together_is_refused(change: str) -> None:
    """Each contradiction has its own sentence."""
    with pytest.raises(PackError, match=change) as refusal:
        convert_dlib(_broken(change))
    assert refusal.value.reason == "unconvertible"
