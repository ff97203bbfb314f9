"""Many presentations are recorded once, by several processes, and what is done stays done."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device.errors import ModelError, PackError, UsageError
from export_tools.pad.cache import TraceCache
from export_tools.pad.farm import record_all
from tests.pad.farmhand import Hand, Numbered

KEY = "ab" * 32
ITEMS = [Numbered(number) for number in range(6)]


@dataclass
class Told:
    """A reporter that remembers."""

    total: int = -1
    done: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ended: bool = False

    def begin(self, name: str, *, total: int, done: int) -> None:
        """Remember."""
        assert name == "presentations"
        self.total, self.done = total, [done]

    def at(self, done: int) -> None:
        """Remember."""
        self.done.append(done)

    def end(self) -> None:
        """Remember."""
        self.ended = True

    def note(self, text: str) -> None:
        """Remember."""
        self.notes.append(text)


@pytest.fixture
def cache(tmp_path: Path) -> TraceCache:
    """An empty cache."""
    return TraceCache(tmp_path / "traces", key=KEY)


def run(cache: TraceCache, hand: Hand, *, workers: int) -> Told:
    """Record everything."""
    told = Told()
    record_all(ITEMS, open_recorder=hand, cache=cache, workers=workers, reporter=told)
    return told


def kept(cache: TraceCache) -> list[int]:
    """Numbers of the traces in the cache."""
    return [item.number for item in ITEMS if cache.get(item.name) is not None]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_presentation_is_recorded_and_told(cache: TraceCache, workers: int) -> None:
    told = run(cache, Hand(), workers=workers)
    assert kept(cache) == [0, 1, 2, 3, 4, 5]
    assert (told.total, told.done, told.ended) == (6, [0, 1, 2, 3, 4, 5, 6], True)


def test_what_is_kept_already_is_not_recorded_again(cache: TraceCache) -> None:
    """A hand that fails at everything would be noticed."""
    run(cache, Hand(), workers=1)
    told = run(cache, Hand(fails=frozenset(range(6))), workers=2)
    assert told.done == [6]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_fails_is_told_and_the_others_are_kept(cache: TraceCache, workers: int) -> None:
    with pytest.raises(ModelError, match="live-00002: broken"):
        run(cache, Hand(fails=frozenset({2})), workers=workers)
    assert kept(cache) == [0, 1, 3, 4, 5]


def test_a_damaged_trace_is_told_and_made_anew(cache: TraceCache) -> None:
    run(cache, Hand(), workers=1)
    (cache.folder / "live-00003.npz").write_bytes(b"PK")
    told = run(cache, Hand(), workers=1)
    assert kept(cache) == [0, 1, 2, 3, 4, 5]
    assert len(told.notes) == 1
    assert "live-00003" in told.notes[0]


def test_a_process_that_ends_by_itself_is_an_error_and_what_was_done_stays(cache: TraceCache) -> None:
    with pytest.raises(ModelError, match="ended by itself"):
        run(cache, Hand(ends=frozenset({5})), workers=2)
    assert len(kept(cache)) >= 4, "of the others one may have been in hand"
    run(cache, Hand(), workers=1)
    assert kept(cache) == [0, 1, 2, 3, 4, 5]


class Interrupting(Told):
    """Somebody presses Ctrl-C after two presentations."""

    def at(self, done: int) -> None:
        """Interrupt."""
        if done == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_keeps_what_is_done_and_leaves_no_process(cache: TraceCache, workers: int) -> None:
    told = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        record_all(ITEMS, open_recorder=Hand(), cache=cache, workers=workers, reporter=told)
    assert len(kept(cache)) >= 2
    assert told.ended
    assert multiprocessing.active_children() == []
    assert not [each for each in cache.folder.iterdir() if each.name.startswith(".")]
    run(cache, Hand(), workers=1)
    assert kept(cache) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("workers", [1, 2])
def test_models_that_cannot_be_loaded_are_told_as_what_they_are(cache: TraceCache, workers: int) -> None:
    with pytest.raises(PackError, match="no pack"):
        run(cache, Hand(opens=False), workers=workers)


def test_nobody_works_without_a_worker(cache: TraceCache) -> None:
    with pytest.raises(UsageError):
        run(cache, Hand(), workers=0)
