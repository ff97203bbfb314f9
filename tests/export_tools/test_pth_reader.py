"""The reader of PyTorch's files: what it reads, and that nothing damaged gets past it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from device.errors import PackError
from export_tools.convert.pth_reader import read_state_dict
from tests.export_tools import pth_writer as write

GOLDEN: Final = Path(__file__).resolve().parent.parent / "golden" / "minifasnet.npz"
TENSORS: Final[dict[str, write.Array]] = {
    "module.conv.weight": np.arange(24, dtype=np.float32).reshape(4, 1, 2, 3) / 7,
    "module.counter": np.array(12, np.int64),
    "module.bias": np.array([-1, 0, 2], np.float32),
}


def _file(**parts: Any) -> write.File:
    return write.File(tensors=dict(TENSORS), **parts)


def _refused(data: bytes, reason: str, match: str = "PyTorch file") -> None:
    with pytest.raises(PackError, match=match) as refusal:
        read_state_dict(data)
    assert refusal.value.reason == reason


# ---- What is read


@pytest.mark.parametrize("zipped", [False, True])
def test_every_tensor_comes_out_as_it_went_in(zipped: bool) -> None:
    """Names, order, types, shapes and values, from both containers."""
    state = read_state_dict(_file(zipped=zipped).data())
    assert list(state) == list(TENSORS)
    for name, values in TENSORS.items():
        assert state[name].dtype == values.dtype
        assert np.array_equal(state[name], values)
        assert not state[name].flags.writeable


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_files_that_pytorch_wrote_are_read(container: str) -> None:
    """Both containers of torch 2.13.0: views of one storage, a scalar, a counter."""
    with np.load(GOLDEN) as golden:
        state = read_state_dict(golden[f"torch/{container}"].tobytes())
        names = {name.partition("/")[2] for name in golden.files if name.startswith("torch/")} - {"legacy", "zip"}
        assert state.keys() == names
        for name, values in state.items():
            assert values.dtype == golden[f"torch/{name}"].dtype
            assert np.array_equal(values, golden[f"torch/{name}"])


def test_the_published_networks_are_read(shared: Path) -> None:
    """Every tensor of both; 0.43 million weights and the statistics of their normalisation."""
    for file, tensors in (("2.7_80x80_MiniFASNetV2.pth", 334), ("4_0_0_80x80_MiniFASNetV1SE.pth", 370)):
        state = read_state_dict((shared / "models" / file).read_bytes())
        assert len(state) == tensors
        assert sum(values.size for values in state.values()) in range(440_000, 450_000)


def test_strides_of_a_dimension_of_one_do_not_matter() -> None:
    """PyTorch writes whatever the tensor had there."""
    name = "module.conv.weight"
    storage = write.reference(key="0", count=24)
    body = write.text(name) + write.tensor(storage, shape=(4, 1, 2, 3), strides=(6, 99, 3, 1))
    file = write.File({name: TENSORS[name]}, state=write.pickled(b"}(" + body + b"u"))
    assert np.array_equal(read_state_dict(file.data())[name], TENSORS[name])


# ---- Damage


def _one(tensor: bytes, *, count: int = 6, second: bytes = b"") -> bytes:
    values = np.zeros(count, np.float32)
    return write.File({"a": values}, state=write.pickled(b"}(" + write.text("a") + tensor + second + b"u")).data()


_SIX: Final = write.reference(key="0", count=6)
DAMAGED: Final[dict[str, tuple[bytes, str]]] = {
    "beyond": (_one(write.tensor(_SIX, shape=(7,))), "beyond its storage"),
    "offset": (_one(write.tensor(_SIX, shape=(6,), offset=1)), "beyond its storage"),
    "negative offset": (_one(write.tensor(_SIX, shape=(2,), offset=-1)), "beyond its storage"),
    "negative size": (_one(write.tensor(_SIX, shape=(-2, -3))), "not made of counts"),
    "huge": (_one(write.tensor(_SIX, shape=(2**28, 1))), "beyond its storage"),
    "expanded": (_one(write.tensor(_SIX, shape=(2**20, 6), strides=(0, 1))), "not row-major"),
    "transposed": (_one(write.tensor(_SIX, shape=(3, 2), strides=(1, 3))), "not row-major"),
    "negative stride": (_one(write.tensor(_SIX, shape=(6,), strides=(-1,))), "not made of counts"),
    "strides missing": (_one(write.tensor(_SIX, shape=(3, 2), strides=(1,))), "2 sizes and 1 strides"),
    "nine dimensions": (_one(write.tensor(_SIX, shape=(1,) * 9)), "9 sizes"),
    "storage twice": (
        _one(
            write.tensor(_SIX, shape=(1,)),
            second=write.text("b") + write.tensor(write.reference(key="0", count=5), shape=(1,)),
        ),
        "in two ways",
    ),
    "name twice": (
        _one(write.tensor(_SIX, shape=(1,)), second=write.text("a") + write.tensor(_SIX, shape=(1,))),
        "comes twice",
    ),
    "size": (_one(write.tensor(_SIX, shape=(6,)), count=5), "announced size"),
    "view": (_one(write.tensor(write.reference(key="0", count=6, view=b")"), shape=(6,))), "contradicts itself"),
    "count as truth value": (_one(write.tensor(_SIX, shape=(6,)).replace(write.number(6), b"\x88", 1)), "contradicts"),
    "number as key": (_one(write.tensor(_SIX, shape=(6,)), second=b"K\x01N"), "no text"),
    "nothing": (write.File(state=write.pickled(b"}")).data(), "0 tensors"),
    "order": (_file(order=write.pickled(b"]")).data(), "not the ones it refers to"),
    "order repeats": (_file(order=write.pickled(b"](" + write.text("0") * 3 + b"e")).data(), "not the ones"),
    "order of numbers": (_file(order=write.pickled(b"](K\x00K\x01K\x02e")).data(), "no list of names"),
    "trailing": (_file().data() + b"\0", "1 bytes are left over"),
    "magic": (_file().data().replace(write.MAGIC, b"\x8a\x0a" + b"\0" * 10), "does not begin like one"),
    "big-endian": (
        _file().data().replace(write.text("little_endian") + b"\x88", write.text("little_endian") + b"\x89"),
        "little-endian",
    ),
    "not finite": (write.File({"a": np.array([np.nan], np.float32)}).data(), "not finite"),
    "infinite": (write.File({"a": np.array([np.inf], np.float32)}, zipped=True).data(), "not finite"),
    "empty": (b"", "ends at byte 0"),
    "another file": (b"\x89PNG\r\n\x1a\n" * 9, "no pickle of protocol 2"),
    "values left": (write.File(state=write.pickled(b"}}")).data(), "values are left over"),
    "memo": (write.File(state=write.pickled(b"h\x07")).data(), "memo"),
    "text": (write.File(state=write.pickled(b"X\xff\xff\xff\xff")).data(), "text of 4294967295 bytes"),
    "no text": (write.File(state=write.pickled(b"X\x01\x00\x00\x00\xff")).data(), "is not text"),
    "integer": (write.File(state=write.pickled(b"\x8a\xff" + b"\1" * 255)).data(), "integer of 255 bytes"),
    "line": (write.File(state=write.pickled(b"c" + b"a" * 5000)).data(), "line without end"),
    "group": (write.File(state=write.pickled(b"t")).data(), "without beginning"),
    "mark": (write.File(state=write.pickled(b"(\x85")).data(), "value is missing"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_file_that_contradicts_itself_is_refused(case: str) -> None:
    """Each contradiction has its own sentence."""
    data, sentence = DAMAGED[case]
    _refused(data, "unconvertible", sentence)


def _zip(**changes: bytes | None) -> dict[str, bytes]:
    entries = _file(zipped=True).entries() | {k: v for k, v in changes.items() if v is not None}
    return {name: content for name, content in entries.items() if changes.get(name, b"") is not None}


ZIPS: Final[dict[str, tuple[bytes, str]]] = {
    "compressed bomb": (
        write.zip_of(_zip(**{"archive/data/9": b"\0" * (1 << 20)}), compression=zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "path outside": (write.zip_of(_zip(**{"../../etc/passwd": b"x"})), "several roots"),
    "path outside below the root": (write.zip_of(_zip(**{"archive/../../x": b"x"})), "not the ones it refers to"),
    "absolute path": (write.zip_of(_zip(**{"/etc/passwd": b"x"})), "several roots"),
    "code beside the tensors": (write.zip_of(_zip(**{"archive/code/__torch__.py": b"x"})), "not the ones it refers to"),
    "no state dict": (write.zip_of(_zip(**{"archive/data.pkl": None})), "holds no state dict"),
    "storage missing": (write.zip_of(_zip(**{"archive/data/1": None})), "not the ones it refers to"),
    "storage too short": (write.zip_of(_zip(**{"archive/data/0": b"\0" * 95})), "announced size"),
    "storage too long": (write.zip_of(_zip(**{"archive/data/0": b"\0" * 100})), "announced size"),
    "big-endian": (write.zip_of(_zip(**{"archive/byteorder": b"big"})), "little-endian"),
    "behind the pickle": (
        write.zip_of(_zip(**{"archive/data.pkl": _file(zipped=True).description() + b"\0"})),
        "left over behind",
    ),
    "trailing": (_file(zipped=True).data() + b"\0", "does not end"),
    "comment": (_file(zipped=True).data()[:-2] + b"\1\0x", "does not end"),
    "one name twice": (write.zip_of(_zip(**{"archive/data/x": b"y"})).replace(b"data/x", b"data/0"), "one name twice"),
    "nothing": (b"PK\x03\x04" + b"PK\x05\x06" + b"\0" * 18, "several roots"),
    "size that lies": (_file(zipped=True).data().replace((96).to_bytes(4, "little"), b"\xff\xff\xff\x7f"), "promises"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_a_zip_with_tricks_is_refused(case: str) -> None:
    """Nothing is unpacked to disk, nothing expands, nothing is ignored."""
    data, sentence = ZIPS[case]
    _refused(data, "unconvertible", sentence)


def test_a_file_of_unreasonable_size_is_not_looked_at() -> None:
    """One byte above a quarter of a gibibyte."""
    _refused(bytes((1 << 28) + 1), "unconvertible", "more than")
