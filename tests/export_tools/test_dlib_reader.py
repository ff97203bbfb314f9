"""The reader of dlib's networks: what it reads, and that nothing damaged gets past it."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import PackError
from export_tools.convert.dlib_reader import Stream, read_dlib
from tests.export_tools import dat_writer as write


@given(st.integers(min_value=-(2**63), max_value=2**63))
def test_every_integer_that_is_written_is_read_back(value: int) -> None:
    """The control byte carries sign and length."""
    stream = Stream(write.integer(value))
    assert stream.integer() == value
    assert stream.offset == len(stream.data)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_that_is_written_is_read_back(value: float) -> None:
    """Mantissa and exponent lose nothing."""
    stream = Stream(write.real(value))
    assert stream.real() == value
    assert stream.offset == len(stream.data)


@pytest.mark.parametrize(("exponent", "value"), [(32000, math.inf), (32001, -math.inf)])
def test_reserved_exponents_are_infinities(exponent: int, value: float) -> None:
    """The mantissa is ignored there."""
    assert Stream(write.integer(0) + write.integer(exponent)).real() == value
    assert math.isnan(Stream(write.integer(0) + write.integer(32002)).real())


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_every_short_name_is_read_back(text: str) -> None:
    """Length, then bytes."""
    assert Stream(write.string(text)).string() == text


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=24))
def test_every_tensor_is_read_back(values: list[float]) -> None:
    """Version, four dimensions, float32 values."""
    array = np.array(values, np.float32)
    read = Stream(write.tensor(array, (1, array.size, 1, 1))).tensor()
    assert read.shape == (1, array.size, 1, 1)
    assert np.array_equal(read.ravel(), array)


@given(st.binary(max_size=64))
def test_random_bytes_are_read_or_refused_but_never_crash(data: bytes) -> None:
    """Only PackError leaves the primitives."""
    for primitive in ("integer", "boolean", "real", "string", "tensor", "alias"):
        with contextlib.suppress(PackError):
            getattr(Stream(data), primitive)()


def test_a_network_is_read_to_its_last_byte() -> None:
    """Kinds, weights, tags and skips come out as they went in."""
    network, weights = write.small_network()
    read = read_dlib(network.data())
    assert [layer.kind for layer in read.layers].count("con") == 3
    assert [i for i, layer in enumerate(read.layers) if layer.saves] == [4, 8]
    assert [i for i, layer in enumerate(read.layers) if layer.swaps] == [10]
    assert (read.rows, read.columns, read.mean) == (15, 15, network.mean)
    first = read.layers[0]
    assert first.weights is not None
    assert np.array_equal(first.weights, weights["w0"])


@given(st.integers(min_value=0))
def test_a_truncated_network_is_refused(cut: int) -> None:
    """Whatever the length that is left."""
    data = write.small_network()[0].data()
    with pytest.raises(PackError) as refusal:
        read_dlib(data[: cut % len(data)])
    assert refusal.value.reason == "unconvertible"
    assert refusal.value.hint


def test_bytes_left_over_are_refused() -> None:
    """A file is understood to its end or not at all."""
    with pytest.raises(PackError, match="left over"):
        read_dlib(write.small_network()[0].data() + b"\0")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_flipped_byte_is_read_or_refused_but_never_crashes(position: int, change: int) -> None:
    """Only PackError leaves the reader."""
    data = bytearray(write.small_network()[0].data())
    data[position % len(data)] ^= change
    with contextlib.suppress(PackError):
        read_dlib(bytes(data))


@pytest.mark.parametrize("dims", [(1 << 40, 1, 1, 1), (-1, 1, 1, 1), (70000, 70000, 1, 1)])
def test_absurd_dimensions_are_refused_before_memory_is_asked_for(dims: tuple[int, ...]) -> None:
    """A tensor may not claim more than any model of a door has."""
    with pytest.raises(PackError, match="shape"):
        Stream(write.tensor(None, dims)).tensor()


def test_weights_that_are_not_finite_are_refused() -> None:
    """A NaN in the weights would make every comparison meaningless."""
    with pytest.raises(PackError, match="not finite"):
        Stream(write.tensor(np.array([np.nan], np.float32), (1, 1, 1, 1))).tensor()


def test_training_data_in_the_file_is_refused() -> None:
    """A cleaned network carries none."""
    stream = Stream(write.tensor(np.ones(1, np.float32), (1, 1, 1, 1)))
    with pytest.raises(PackError, match="training data"):
        stream.expect_empty_tensor()


def test_an_unknown_layer_is_refused_by_name() -> None:
    """Nothing is skipped."""
    network = write.NetworkWriter()
    network.add(write.string("dropout_"))
    with pytest.raises(PackError, match="dropout_"):
        read_dlib(network.data())
