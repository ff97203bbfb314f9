"""What every key source promises. To put another source under the promises, add a case to ``CASES``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from device.errors import StateError
from device.interfaces import KeySource
from device.keys import KEY_BYTES, KeyFile

CASES: dict[str, Callable[[Path], KeySource]] = {
    "key file": lambda folder: KeyFile(folder / "state.key", create=True),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> KeySource:
    """Each key source in turn."""
    made: KeySource = request.param(tmp_path)
    return made


def test_the_key_has_32_bytes_and_stays_the_same(source: KeySource) -> None:
    """The database opens with the same key tomorrow."""
    key = source.load()
    assert len(key) == KEY_BYTES
    assert source.load() == key


def test_the_key_shows_in_no_description(source: KeySource) -> None:
    """Descriptions are printed and logged."""
    key = source.load()
    told = f"{source.description} {source.weakness} {source!r}"
    assert key.hex() not in told
    assert repr(key) not in told


def _file(folder: Path, data: bytes, *, mode: int = 0o600) -> Path:
    path = folder / "state.key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("data", [b"", b"k" * 31, b"k" * 33])
def test_a_key_file_of_another_size_is_refused(tmp_path: Path, data: bytes) -> None:
    """It is neither padded nor cut."""
    with pytest.raises(StateError) as refused:
        KeyFile(_file(tmp_path, data)).load()
    assert refused.value.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """It must count as known to them."""
    with pytest.raises(StateError, match="readable by others"):
        KeyFile(_file(tmp_path, os.urandom(KEY_BYTES), mode=mode)).load()


def test_a_key_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever put it there knows it. Seen with another user's eyes, because giving files away takes root."""
    path = _file(tmp_path, os.urandom(KEY_BYTES))
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(StateError, match="belongs to user id"):
        KeyFile(path).load()


def test_a_missing_or_linked_key_file_is_refused(tmp_path: Path) -> None:
    """A key is made only where that was asked for, and no link is followed."""
    with pytest.raises(StateError):
        KeyFile(tmp_path / "missing.key").load()
    link = tmp_path / "link.key"
    link.symlink_to(_file(tmp_path, os.urandom(KEY_BYTES)))
    with pytest.raises(StateError):
        KeyFile(link).load()


def test_a_key_file_admits_its_weakness(tmp_path: Path) -> None:
    """It lies beside the data."""
    assert KeyFile(tmp_path / "state.key").weakness
