"""The benchmark runs and tells what it promises; how fast is no test."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from device.commands.bench.measure import Stage, Stopwatch


@pytest.mark.slow
def test_the_benchmark_tells_what_it_promises(
    state_with_pack: Path, doorward: Any, shared: Path, tmp_path: Path
) -> None:
    """Stages, ratios, start-up, memory, search; on a door's own configuration, with no door behind it."""
    real = tmp_path / "real.yaml"
    real.write_text("platform: pi\ndoor: {relay: gpiozero}\ncamera: {source: /dev/video63}\n")
    before = {path: path.stat().st_mtime_ns for path in state_with_pack.rglob("*")}
    clip = shared / "clips" / "intel_asl_no.mkv"
    done = doorward("bench", "--source", clip, "--passes", "1", "--no-rival", "--json", before=("--config", str(real)))
    assert done.code == 0, done.err
    told = done.json
    assert set(told["pipeline"]["stages"]) >= {"detect", "landmarks", "embed", "search", "liveness", "whole frame"}
    for spread in told["pipeline"]["stages"].values():
        assert spread["calls"] > 0
        assert 0 < spread["p50_ms"] <= spread["p95_ms"] <= spread["p99_ms"]
    figures = (
        told["pipeline"]["ratio"],
        told["pipeline"]["frames_per_second"],
        told["idle"]["ratio"],
        told["process"]["ready_s"],
        told["process"]["peak_rss_mb"],
        told["search_10000x128"]["p99_ms"],
    )
    assert all(math.isfinite(figure) and figure > 0 for figure in figures)
    assert told["pipeline"]["model_runs"] > 0
    assert told["face_recognition"] is None
    assert {path: path.stat().st_mtime_ns for path in state_with_pack.rglob("*")} == before


@pytest.mark.parametrize("name", ["nothing.mp4", "a.png", "empty.mp4"])
def test_a_source_without_frames_is_an_error_with_a_hint(
    state_with_pack: Path, doorward: Any, tmp_path: Path, name: str
) -> None:
    """69, before anything is measured."""
    (tmp_path / "a.png").touch()
    (tmp_path / "empty.mp4").touch()
    done = doorward("bench", "--source", tmp_path / name)
    assert done.code == 69
    assert "hint: " in done.err


def test_a_stage_is_the_part_itself_but_for_its_times() -> None:
    """Named methods are timed, everything else passes through."""

    class Part:
        number = 7

        def work(self, more: int) -> int:
            return self.number + more

    watch = Stopwatch()
    stage = Stage(Part(), watch, work="working")
    assert stage.work(1) == 8
    assert stage.number == 7
    assert watch.spreads()["working"].calls == 1
    assert watch.total_s("nothing") == 0
