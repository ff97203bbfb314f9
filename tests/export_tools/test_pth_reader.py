"""The reader of PyTorch's files: what it reads, and that no pickle makes it do anything else."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import PackError
from export_tools.convert.inert_pickle import read_pickle
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


# ---- Attacks: nothing runs, and the reason says so


class _Tripwire:
    """Fires when a pickle has its way; every attack below calls it or something worse."""

    fired = False


def trip(*_: Any) -> str:
    """What a successful attack calls; public, so that pickles can name it."""
    _Tripwire.fired = True
    return "tripped"


class _Reduced:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


_SYSTEM: Final = b"cposix\nsystem\n" + b"X\x04\x00\x00\x00true\x85R"
_LOADS: Final = b"c_pickle\nloads\n(" + b"X\x01\x00\x00\x00.tR"
HOSTILE: Final[dict[str, bytes]] = {
    "a command": write.pickled(_SYSTEM),
    "a command among the tensors": write.pickled(b"}(" + write.text("weight") + _SYSTEM + b"u"),
    "a command that is thrown away": write.pickled(_SYSTEM + b"0}"),
    "os.system": write.pickled(b"cos\nsystem\n)R"),
    "eval": write.pickled(b"c__builtin__\neval\n" + write.text("1") + b"\x85R"),
    "eval through the stack": write.pickled(write.text("builtins") + write.text("eval") + b"\x93"),
    "getattr": write.pickled(b"cbuiltins\ngetattr\n)R"),
    "import": write.pickled(b"cbuiltins\n__import__\n)R"),
    "a pickle in the pickle": write.pickled(_LOADS),
    "torch.load in the pickle": write.pickled(b"ctorch.serialization\nload\n)R"),
    "a name with dots": write.pickled(b"ccollections\nOrderedDict.fromkeys\n)R"),
    "a name with a dotted module": write.pickled(b"ctorch._utils._rebuild\ntensor_v2\n)R"),
    "an instance": write.pickled(b"(icollections\nOrderedDict\n"),
    "an object": write.pickled(b"(ccollections\nOrderedDict\no"),
    "a new object": write.pickled(write.ORDERED_DICT + b")\x81"),
    "a new object with keywords": write.pickled(write.ORDERED_DICT + b")}\x92"),
    "the extension registry": write.pickled(b"\x82\x01"),
    "an out-of-band buffer": write.pickled(b"\x97"),
    "a text persistent id": write.pickled(b"Pstorage\n"),
    "a state for OrderedDict": write.pickled(write.EMPTY_ORDERED_DICT + b"}" + write.text("__class__") + b"Nsb"),
    "a state of another kind": write.pickled(write.EMPTY_ORDERED_DICT + b"N}\x86b"),
    "a state for a name": write.pickled(write.ORDERED_DICT + b"}b"),
    "a state for a mapping": write.pickled(b"}}b"),
    "items for OrderedDict": write.pickled(write.ORDERED_DICT + write.group(b"]") + b"R"),
    "items in a name": write.pickled(write.ORDERED_DICT + write.text("a") + b"Ns"),
    "appending to OrderedDict": write.pickled(write.EMPTY_ORDERED_DICT + b"Na"),
    "calling a call": write.pickled(write.EMPTY_ORDERED_DICT + b")R"),
    "calling a storage": write.pickled(write.reference(key="0", count=1) + b")R"),
    "calling with a list": write.pickled(write.ORDERED_DICT + b"]R"),
    "a storage type called": write.pickled(
        write.STORAGE_TYPES[np.dtype(np.float32)] + write.group(write.number(9)) + b"R"
    ),
    "no state dict": write.pickled(b"]"),
    "a tensor alone": write.pickled(write.tensor(write.reference(key="0", count=1), shape=(1,))),
    "hooks": write.pickled(
        b"}("
        + write.text("a")
        + write.tensor(write.reference(key="0", count=1), shape=(1,), hooks=b"}" + write.text("h") + b"Ns")
        + b"u"
    ),
    "a tensor that is text": write.pickled(b"}" + write.text("a") + write.text("b") + b"s"),
    "a tensor without storage": write.pickled(b"}" + write.text("a") + write.tensor(b"N", shape=(1,)) + b"s"),
    "an unknown storage": write.pickled(
        b"}" + write.text("a") + write.tensor(write.reference(key="0", count=1, kind=b"N"), shape=(1,)) + b"s"
    ),
    "another identity": write.pickled(b"}" + write.text("a") + write.tensor(b"NQ", shape=(1,)) + b"s"),
}


@contextmanager
def _watched() -> Iterator[None]:
    """Fail when anything is imported, looked up or called by Python's own unpickler, or a command starts."""
    _Tripwire.fired = False
    before = os.times().children_system, os.times().children_user
    yield
    assert not _Tripwire.fired
    assert (os.times().children_system, os.times().children_user) == before


@pytest.mark.parametrize("attack", HOSTILE)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_that_asks_for_more_than_tensors_is_refused(attack: str, zipped: bool) -> None:
    """In both containers, with a reason of its own."""
    with _watched():
        _refused(write.File(state=HOSTILE[attack], zipped=zipped).data(), "pickle_code")


@pytest.mark.parametrize("position", range(5))
def test_each_of_the_five_pickles_is_held_to_the_same(position: int) -> None:
    """The last one, which only names storages, is as dangerous as the first."""
    parts = [write.pickled(write.MAGIC), write.pickled(write.PROTOCOL), write.SYSTEM, _file().description()]
    parts.append(write.pickled(b"]"))
    parts[position] = write.pickled(_SYSTEM)
    with _watched():
        _refused(b"".join(parts), "pickle_code")


@pytest.mark.parametrize("protocol", range(6))
def test_what_pythons_own_pickler_writes_runs_nothing(protocol: int) -> None:
    """Every protocol, as a whole file and as each container's state dict."""
    hostile = pickle.dumps({"weight": _Reduced(trip, "x")}, protocol=protocol)
    for data in (hostile, write.File(state=hostile).data(), write.File(state=hostile, zipped=True).data()):
        with _watched(), pytest.raises(PackError):
            read_state_dict(data)


def test_names_are_refused_where_only_data_is_expected() -> None:
    """Without a list of names not even OrderedDict may be named."""
    with pytest.raises(PackError, match="OrderedDict") as refusal:
        read_pickle(write.pickled(write.EMPTY_ORDERED_DICT))
    assert refusal.value.reason == "pickle_code"


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


def test_a_deeply_nested_pickle_neither_recurses_nor_lingers() -> None:
    """A quarter of a million levels of everything that nests are built and dropped again."""
    for level in (b"\x85", b"Q", b"]q\x01(h\x00h\x01eq\x00"):
        state = write.pickled(b"]q\x00" + level * 40_000)
        with pytest.raises(PackError):
            read_state_dict(write.File(state=state).data())


def test_a_memo_bomb_stays_as_small_as_its_text() -> None:
    """Doubling through the memo makes references, not copies; refused without walking through them."""
    doubled = b"(h\x00h\x00tq\x00" * 60
    state = write.pickled(b"}" + write.text("a") + write.group(b")q\x00", doubled) + b"s")
    _refused(write.File(state=state).data(), "pickle_code", "no plain tensor")


def test_a_pickle_without_end_is_given_up() -> None:
    """Steps are counted."""
    _refused(write.pickled(b"K\0" * (1 << 18)), "unconvertible", "more than 262144 steps")


def test_a_mapping_that_contains_itself_is_refused() -> None:
    """No walk ends in a circle."""
    state = write.pickled(b"}q\x00" + write.text("a") + b"h\x00s")
    _refused(write.File(state=state).data(), "pickle_code", "no plain tensor")


def test_a_file_of_unreasonable_size_is_not_looked_at() -> None:
    """One byte above a quarter of a gibibyte."""
    _refused(bytes((1 << 28) + 1), "unconvertible", "more than")


# ---- Any damage at all


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.data())
def test_a_truncated_file_is_always_refused(zipped: bool, draw: st.DataObject) -> None:
    """Cut anywhere."""
    data = _file(zipped=zipped).data()
    with pytest.raises(PackError):
        read_state_dict(data[: draw.draw(st.integers(0, len(data) - 1))])


@settings(max_examples=600, deadline=None)
@given(st.booleans(), st.data())
def test_a_flipped_bit_is_read_as_another_value_or_refused(zipped: bool, draw: st.DataObject) -> None:
    """Only PackError leaves the reader, and nothing that is read back is not finite or of another total size."""
    data = bytearray(_file(zipped=zipped).data())
    for position in draw.draw(st.lists(st.integers(0, 8 * len(data) - 1), min_size=1, max_size=3)):
        data[position // 8] ^= 1 << position % 8
    with _watched():
        try:
            state = read_state_dict(bytes(data))
        except PackError:
            return
    assert sum(values.nbytes for values in state.values()) <= len(data)
    assert all(np.isfinite(values).all() for values in state.values())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_opcodes_are_read_or_refused_but_never_crash(body: bytes) -> None:
    """As a bare pickle and as a state dict."""
    with _watched():
        for data in (write.pickled(body), write.File(state=write.pickled(body)).data()):
            with pytest.raises(PackError):
                read_state_dict(data)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([bytes([code]) for code in b"Q}])(RbsuaetN."] + [
    b"\x85", b"\x86", b"\x87", b"q\x00", b"h\x00", b"K\x01", write.text("a"), write.ORDERED_DICT, write.REBUILD,
    *write.STORAGE_TYPES.values(),
]), max_size=60))  # fmt: skip
def test_any_program_of_known_opcodes_ends_in_data_or_refusal(steps: list[bytes]) -> None:
    """What the allowed opcodes can say in any order."""
    with pytest.raises(PackError):
        read_state_dict(write.File(state=b"\x80\x02" + b"".join(steps) + b".").data())
