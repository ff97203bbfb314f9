"""Kept traces are private, and belong to what made them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from device.errors import StateError
from export_tools.pad import cache as cache_module
from export_tools.pad.cache import TraceCache, code_digest, trace_key
from export_tools.pad.script import Script
from export_tools.pad.trace import TraceError
from tests.pad.made import CONFIG, PLUS, SCRIPT, made

KEY, OTHER_KEY = "ab" * 32, "cd" * 32
TRACE = made(fps=10)


def test_a_trace_that_was_put_is_got(tmp_path: Path) -> None:
    cache = TraceCache(tmp_path / "traces", key=KEY)
    assert cache.get("live-00000") is None
    cache.put(TRACE)
    found = cache.get("live-00000")
    assert found is not None
    assert found.about == TRACE.about


def test_folders_and_files_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        cache = TraceCache(tmp_path / "traces", key=KEY)
        cache.put(TRACE)
    finally:
        os.umask(before)
    assert {each.stat().st_mode & 0o077 for each in (tmp_path / "traces").rglob("*")} == {0}
    assert (tmp_path / "traces").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o770, 0o701])
def test_a_folder_that_others_can_look_into_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces").chmod(mode)
    with pytest.raises(StateError, match="not private"):
        TraceCache(tmp_path / "traces", key=KEY)


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "traces").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="no folder"):
        TraceCache(tmp_path / "traces", key=KEY)


def test_another_key_is_another_cache_and_the_old_one_is_told(tmp_path: Path) -> None:
    old = TraceCache(tmp_path / "traces", key=KEY)
    old.put(TRACE)
    new = TraceCache(tmp_path / "traces", key=OTHER_KEY)
    assert new.get("live-00000") is None
    assert new.others() == (old.folder,)


def test_a_file_of_another_key_or_name_is_refused(tmp_path: Path) -> None:
    old, new = (TraceCache(tmp_path / "traces", key=key) for key in (KEY, OTHER_KEY))
    old.put(TRACE)
    stolen = (old.folder / "live-00000.npz").read_bytes()
    (new.folder / "live-00000.npz").write_bytes(stolen)
    with pytest.raises(TraceError, match="other models"):
        new.get("live-00000")
    (old.folder / "live-00001.npz").write_bytes(stolen)
    with pytest.raises(TraceError, match="it is of live-00000"):
        old.get("live-00001")


@pytest.mark.parametrize("name", ["../live-00000", "live", "live-00000/../x", "", "live-00000.npz"])
def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(TraceError, match="names no trace"):
        TraceCache(tmp_path / "traces", key=KEY).get(name)


class Manifest:
    """As much of a manifest as a key looks at."""

    def __init__(self, sha256: str) -> None:
        self.sha256 = sha256

    def model_dump(self, **_: object) -> dict[str, str]:
        """As JSON would have it."""
        return {"sha256": self.sha256}


class FakePack:
    """A pack with a manifest."""

    def __init__(self, sha256: str = "1") -> None:
        self.manifest = Manifest(sha256)


def test_whatever_shapes_a_trace_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(pack: object = FakePack(), script: object = SCRIPT, **presented: str) -> str:  # stateless
        return trace_key(pack, script, presented={"parameters": "a", **presented})  # type: ignore[arg-type]

    liveness, vision = SCRIPT.liveness, SCRIPT.vision
    keys = {
        key(),
        key(FakePack("2")),
        key(script=replace(SCRIPT, liveness=liveness.model_copy(update={"hold_s": 0.2}))),
        key(script=replace(SCRIPT, vision=vision.model_copy(update={"min_face_px": 41.0}))),
        key(script=replace(SCRIPT, visit=replace(SCRIPT.visit, compare_every_s=0.2))),
        key(parameters="b"),
        key(photo="c"),
    }
    monkeypatch.setattr(cache_module, "code_digest", lambda: "other code")
    keys.add(key())
    assert len(keys) == 8


def test_what_only_a_policy_looks_at_does_not_change_the_key() -> None:
    def key(**changes: object) -> str:
        script = replace(SCRIPT, liveness=SCRIPT.liveness.model_copy(update=changes))
        return trace_key(FakePack(), script, presented={})  # type: ignore[arg-type]

    assert key() == key(
        passive_accept=0.9, passive_veto=0.1, passive_samples=7, min_residual=0.03, min_parallax=0.2, level="high"
    )


@pytest.mark.parametrize("limit", ["min_residual", "min_parallax"])
def test_a_recording_that_the_gate_may_end_belongs_to_its_limits(limit: str) -> None:
    """Under looser ones the attempt would go on where the trace ends, and be told as a denial."""

    def key(*, brisk: bool, **changes: object) -> str:
        script = Script.of(CONFIG, PLUS, brisk=brisk)
        script = replace(script, liveness=script.liveness.model_copy(update=changes))
        return trace_key(FakePack(), script, presented={})  # type: ignore[arg-type]

    assert key(brisk=True) != key(brisk=True, **{limit: 0.01})
    assert key(brisk=False) == key(brisk=False, **{limit: 0.01}), "a whole recording notes what the gate found"


def test_only_code_that_runs_counts(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text('"""One."""\n\n\ndef area(side):\n    """Square."""\n    return side * side\n')
    before = code_digest((file,))
    file.write_text('"""Two."""\n# more\ndef area(side):\n    # why\n    return side * side\n')
    assert code_digest((file,)) == before
    file.write_text("def area(side):\n    return side * 2\n")
    assert code_digest((file,)) != before


def test_the_code_that_counts_is_there() -> None:
    assert len(code_digest()) == 64
