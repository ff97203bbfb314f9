"""A trace is sound or refused, in memory and as a file."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from export_tools.pad.columns import COLUMNS, NO_FACE, Frames
from export_tools.pad.replay import run_attempt
from export_tools.pad.trace import Ending, Trace, TraceError
from export_tools.pad.trace_file import load_trace, save_trace
from tests.pad.made import ENROLLED, made, settings

KEY, OTHER_KEY = "ab" * 32, "cd" * 32
TRACE = made()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A trace in a file."""
    path = tmp_path / "live-00000.npz"
    save_trace(TRACE, path, key=KEY)
    return path


def same(one: Trace, other: Trace) -> bool:
    """Whether two traces say the same."""
    scalars = all(
        getattr(one, each.name) == getattr(other, each.name) for each in fields(Trace) if each.name != "frames"
    )
    columns = (
        np.array_equal(
            getattr(one.frames, each),
            getattr(other.frames, each),
            equal_nan=getattr(one.frames, each).dtype.kind == "f",
        )
        for each in COLUMNS
    )
    return scalars and all(columns)


def test_a_file_gives_the_trace_back(file: Path) -> None:
    found = load_trace(file, key=KEY)
    assert same(found, TRACE)
    assert run_attempt(found, settings(), ENROLLED) == run_attempt(TRACE, settings(), ENROLLED)


def test_a_file_is_its_owners_alone(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_file_of_another_key_is_refused(file: Path) -> None:
    with pytest.raises(TraceError, match="other models, parameters or code"):
        load_trace(file, key=OTHER_KEY)


def test_a_link_is_not_followed(file: Path) -> None:
    link = file.parent / "link.npz"
    link.symlink_to(file)
    with pytest.raises(TraceError):
        load_trace(link, key=KEY)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_that_was_cut_or_changed_is_refused_or_the_same(file: Path, data: st.DataObject) -> None:
    """Zip archives have bytes that mean nothing; whatever is read is the trace."""
    raw = file.read_bytes()
    damaged = file.parent / "damaged.npz"
    if data.draw(st.booleans()):
        changed = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        at = data.draw(st.integers(0, len(raw) - 1))
        changed = raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]
    damaged.write_bytes(changed)
    try:
        found = load_trace(damaged, key=KEY)
    except TraceError:
        return
    assert same(found, TRACE)


def repacked(file: Path, change: dict[str, bytes | None]) -> Path:
    """The file with other members; None leaves one out."""
    out = file.parent / "repacked.npz"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        members = {each: old.read(each) for each in old.namelist()} | change
        for name, content in members.items():
            if content is not None:
                new.writestr(name, content)
    return out


def as_npy(column: object) -> bytes:
    """An array as a member of an archive."""
    content = io.BytesIO()
    np.save(content, np.asarray(column), allow_pickle=True)
    return content.getvalue()


class Trap:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was loaded",))


def test_a_pickle_is_never_loaded(file: Path) -> None:
    trapped = as_npy(np.array([Trap()], dtype=object))
    with pytest.raises(TraceError):
        load_trace(repacked(file, {"captured_s.npy": trapped}), key=KEY)
    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(TraceError):
        load_trace(file, key=KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"cues.npy": None},
        {"extra.npy": as_npy([1.0])},
        {"header.npy": as_npy(np.frombuffer(b"{}", np.uint8))},
        {"header.npy": as_npy([1.0, 2.0])},
        {"captured_s.npy": as_npy(np.zeros(len(TRACE)))},
        {"captured_s.npy": as_npy(np.full(len(TRACE), np.nan))},
        {"track.npy": as_npy(np.full(len(TRACE), -1))},
        {"track.npy": as_npy(np.full(len(TRACE), -7))},
        {"faults.npy": as_npy(np.full(len(TRACE), 1 << 40))},
        {"cued.npy": as_npy(np.full(len(TRACE), 9))},
        {"compared.npy": as_npy(np.zeros(len(TRACE), np.bool_))},
        {"embeddings.npy": as_npy(TRACE.frames.embeddings * np.float32(2))},
        {"embeddings.npy": as_npy(TRACE.frames.embeddings.astype(np.float64))},
        {"geometry.npy": as_npy(TRACE.frames.geometry[:, :7])},
        {"findings.npy": as_npy(np.full_like(TRACE.frames.findings, np.nan))},
    ],
)
def test_parts_that_do_not_fit_are_refused(file: Path, change: dict[str, bytes | None]) -> None:
    with pytest.raises(TraceError):
        load_trace(repacked(file, change), key=KEY)
    assert same(load_trace(repacked(file, {}), key=KEY), TRACE), "control: repacking alone changes nothing"


def test_a_packed_file_is_refused(file: Path) -> None:
    """A few kilobytes could unpack to gigabytes."""
    packed = file.parent / "packed.npz"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            new.writestr(each, old.read(each))
    with pytest.raises(TraceError, match="packed"):
        load_trace(packed, key=KEY)


@pytest.mark.parametrize("shape", [(2**40,), (2**31, 2**31), (2**62, 8), (0,), (len(TRACE) + 1,)])
def test_an_array_that_claims_another_size_is_refused_before_room_is_made_for_it(
    file: Path, shape: tuple[int, ...]
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    claims = header.getvalue() + TRACE.frames.captured_s.tobytes()
    with pytest.raises(TraceError, match="as long as they say"):
        load_trace(repacked(file, {"captured_s.npy": claims}), key=KEY)


def test_a_missing_file_is_told_apart_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_trace(tmp_path / "none.npz", key=KEY)


def test_a_trace_whose_parts_contradict_one_another_cannot_be_made() -> None:
    with pytest.raises(TraceError, match="course"):
        replace(TRACE, prompts=())
    with pytest.raises(TraceError, match="on no frame"):
        replace(TRACE, turn_at=len(TRACE))
    with pytest.raises(TraceError, match="before any was asked"):
        replace(TRACE, turn_at=None, ending=Ending.LEFT)
    track = TRACE.frames.track.copy()
    track[0] = NO_FACE
    with pytest.raises(TraceError, match="no face"):
        replace(TRACE, frames=replace(TRACE.frames, track=track))


def test_a_trace_holds_no_picture() -> None:
    """Its widest rows are embeddings."""
    widths = {each.name: getattr(TRACE.frames, each.name)[:1].size for each in fields(Frames)}
    assert max(widths, key=lambda name: widths[name]) == "embeddings"
    assert sum(getattr(TRACE.frames, each).nbytes for each in COLUMNS) < 400 * len(TRACE)
