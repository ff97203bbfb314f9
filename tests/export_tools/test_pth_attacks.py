"""Attacks on the reader of PyTorch's files: nothing runs, whatever a pickle says, and only PackError comes out."""

from __future__ import annotations

import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import PackError
from export_tools.convert.inert_pickle import read_pickle
from export_tools.convert.pth_reader import read_state_dict
from tests.export_tools import pth_writer as write

DEEDS: Final = frozenset(
    {"compile", "exec", "import", "open", "os.exec", "os.fork", "os.posix_spawn", "os.system", "pickle.find_class",
     "subprocess.Popen"}
)  # fmt: skip
"""Audit events of Python that an attack would cause; Python's own unpickler already causes ``pickle.find_class``."""


class _Watch:
    """Python's audit hook, which cannot be removed again, and what it saw while it was looking."""

    def __init__(self) -> None:
        self.looking = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, _: tuple[Any, ...]) -> None:
        if self.looking and event in DEEDS:
            self.seen.append(event)


WATCH: Final = _Watch()


@contextmanager
def no_deed() -> Iterator[None]:
    """Fail when anything is imported, looked up, compiled, opened or started inside."""
    WATCH.seen.clear()
    WATCH.looking = True
    try:
        yield
    finally:
        WATCH.looking = False
    assert not WATCH.seen


@pytest.fixture(scope="module", autouse=True)
def _codec_of_zips() -> None:
    """Python loads the codec of names in zips when it reads the first one; no attack did that."""
    read_state_dict(write.File({"a": np.zeros(1, np.float32)}, zipped=True).data())


def _read(data: bytes) -> dict[str, Any] | PackError:
    """What the reader makes of it, watched; an error as a value, so that pytest's own imports are not seen."""
    with no_deed():
        try:
            return read_state_dict(data)
        except PackError as refusal:
            return refusal


def _refused(data: bytes, *, reason: str | None = None, sentence: str = "") -> None:
    answer = _read(data)
    assert isinstance(answer, PackError)
    assert reason in (None, answer.reason)
    assert sentence in answer.message


class _Reduced:
    """Pickles as a call."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return eval, ("1",)


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


def _file(*, zipped: bool = False) -> write.File:
    weights = np.arange(24, dtype=np.float32).reshape(4, 1, 2, 3) / 7
    return write.File({"a.weight": weights, "a.counter": np.array(12, np.int64)}, zipped=zipped)


@pytest.mark.parametrize("attack", HOSTILE)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_that_asks_for_more_than_tensors_is_refused(attack: str, zipped: bool) -> None:
    """In both containers, with a reason of its own."""
    _refused(write.File(state=HOSTILE[attack], zipped=zipped).data(), reason="pickle_code")


@pytest.mark.parametrize("position", range(5))
def test_each_of_the_five_pickles_is_held_to_the_same(position: int) -> None:
    """The last one, which only names storages, is as dangerous as the first."""
    parts = [write.pickled(write.MAGIC), write.pickled(write.PROTOCOL), write.SYSTEM, _file().description()]
    parts.append(write.pickled(b"]"))
    parts[position] = write.pickled(_SYSTEM)
    _refused(b"".join(parts), reason="pickle_code")


@pytest.mark.parametrize("protocol", range(6))
def test_what_pythons_own_pickler_writes_runs_nothing(protocol: int) -> None:
    """Every protocol, as a whole file and as each container's state dict."""
    hostile = pickle.dumps({"weight": _Reduced()}, protocol=protocol)
    for data in (hostile, write.File(state=hostile).data(), write.File(state=hostile, zipped=True).data()):
        _refused(data)


def test_the_watch_sees_what_pythons_own_unpickler_does() -> None:
    """It is not blind: the same pickle, loaded by Python, is caught."""
    hostile = pickle.dumps({"weight": _Reduced()}, protocol=2)
    with pytest.raises(AssertionError), no_deed():
        pickle.loads(hostile)  # noqa: S301 - ours, harmless, and the point
    assert {"pickle.find_class", "compile", "exec"} <= set(WATCH.seen)


def test_names_are_refused_where_only_data_is_expected() -> None:
    """Without a list of names not even OrderedDict may be named."""
    with pytest.raises(PackError, match="OrderedDict") as refusal:
        read_pickle(write.pickled(write.EMPTY_ORDERED_DICT))
    assert refusal.value.reason == "pickle_code"


# ---- Pickles that grow


@pytest.mark.parametrize(("level", "count"), [(b"\x85", 250_000), (b"Q", 250_000), (b"q\x00]h\x00a", 60_000)])
def test_a_deeply_nested_pickle_is_refused_without_recursion(level: bytes, count: int) -> None:
    """As deep as the limit on steps allows; built, refused and dropped again."""
    _refused(write.File(state=write.pickled(b"]" + level * count)).data())


def test_a_memo_bomb_stays_as_small_as_its_text() -> None:
    """Doubling through the memo makes references, not copies; refused without walking through them."""
    doubled = b"(h\x00h\x00tq\x00" * 60
    state = write.pickled(b"}" + write.text("a") + write.group(b")q\x00", doubled) + b"s")
    _refused(write.File(state=state).data(), reason="pickle_code", sentence="no plain tensor")


def test_a_pickle_without_end_is_given_up() -> None:
    """Steps are counted."""
    _refused(write.pickled(b"K\0" * (1 << 18)), reason="unconvertible", sentence="more than 262144 steps")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("zero", range(4))
def test_an_empty_tensor_of_impossible_size_is_refused(zero: int, zipped: bool) -> None:
    """Nothing times anything is nothing, but no array has such sides."""
    shape = tuple(0 if axis == zero else 1 << 28 for axis in range(4))
    storage = write.reference(key="0", count=1, view=b"" if zipped else b"N")
    items = write.text("a") + write.tensor(storage, shape=shape, strides=(0, 0, 0, 1))
    state = write.pickled(write.EMPTY_ORDERED_DICT + b"(" + items + b"u")
    file = write.File({"a": np.zeros(1, np.float32)}, state=state, zipped=zipped)
    _refused(file.data(), reason="unconvertible", sentence="shape")


def test_states_of_a_mapping_are_few() -> None:
    """Each is looked at for each tensor that refers to it: a million looks for a few kilobytes."""
    hooks = write.EMPTY_ORDERED_DICT + (b"}" + write.text("_metadata") + write.EMPTY_ORDERED_DICT + b"sb") * 3
    storage = write.reference(key="0", count=1)
    items = write.text("a") + write.tensor(storage, shape=(1,), hooks=hooks)
    state = write.pickled(write.EMPTY_ORDERED_DICT + b"(" + items + b"u")
    _refused(write.File({"a": np.zeros(1, np.float32)}, state=state).data(), reason="pickle_code", sentence="hooks")


def test_a_zip_of_countless_entries_is_refused_before_its_directory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its end record says of their number: Python reads them all, 460 MiB of them for 47 MB."""
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, *(0,) * 7, 1, *(0,) * 6) + b"a"
    directory = entry * 5000
    begin = b"PK\x03\x04" + bytes(26)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(directory), len(begin), 0)
    monkeypatch.delattr(zipfile, "ZipFile")
    _refused(begin + directory + end, reason="unconvertible", sentence="entries")


def test_a_mapping_that_contains_itself_is_refused() -> None:
    """No walk ends in a circle."""
    state = write.pickled(b"}q\x00" + write.text("a") + b"h\x00s")
    _refused(write.File(state=state).data(), reason="pickle_code", sentence="no plain tensor")


# ---- Any damage at all


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.data())
def test_a_truncated_file_is_always_refused(zipped: bool, draw: st.DataObject) -> None:
    """Cut anywhere."""
    data = _file(zipped=zipped).data()
    _refused(data[: draw.draw(st.integers(0, len(data) - 1))])


@settings(max_examples=600, deadline=None)
@given(st.booleans(), st.data())
def test_flipped_bits_are_read_as_other_values_or_refused(zipped: bool, draw: st.DataObject) -> None:
    """What is read back is finite and no larger than the file."""
    data = bytearray(_file(zipped=zipped).data())
    for position in draw.draw(st.lists(st.integers(0, 8 * len(data) - 1), min_size=1, max_size=3)):
        data[position // 8] ^= 1 << position % 8
    answer = _read(bytes(data))
    if isinstance(answer, dict):
        assert sum(values.nbytes for values in answer.values()) <= len(data)
        assert all(np.isfinite(values).all() for values in answer.values())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_opcodes_are_refused_and_never_crash(body: bytes) -> None:
    """As a bare pickle and as a state dict."""
    _refused(write.pickled(body))
    _refused(write.File(state=write.pickled(body)).data())


KNOWN: Final = [bytes([code]) for code in b"Q}])(RbsuaetN."] + [
    b"\x85", b"\x86", b"\x87", b"q\x00", b"h\x00", b"K\x01", write.text("a"), write.ORDERED_DICT, write.REBUILD,
    *write.STORAGE_TYPES.values(),
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(KNOWN), max_size=60))
def test_any_program_of_known_opcodes_is_refused(steps: list[bytes]) -> None:
    """Whatever the allowed opcodes say in any order, none of these is a sound state dict by chance."""
    _refused(write.File(state=b"\x80\x02" + b"".join(steps) + b".").data())
