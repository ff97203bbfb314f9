"""The verb: collect the figures, print them."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from device.commands.invocation import JsonOption, invocation
from device.commands.output import print_json, print_table, say
from device.config import Config
from device.errors import CameraError
from device.types import Frame

#: 640 x 480 frames kept in memory: some 140 MB.
_MAX_FRAMES = 150
#: Seconds of an empty scene for the idle ratio.
_IDLE_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("bench")(bench)


def bench(
    context: typer.Context,
    *,
    source: Annotated[Path, typer.Option(help="A recording with a face in it.")],
    passes: Annotated[int, typer.Option(min=1, max=100, help="How often the recording is shown.")] = 5,
    rival: Annotated[bool, typer.Option("--rival/--no-rival", help="Compare with face_recognition.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Measure the appliance on a recording: stages, overhead, idle, memory, start-up, search."""
    # Before any library makes its threads: figures are those of one thread each.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    asked = invocation(context)
    config = _apart(asked.config())
    with _progress(quiet=as_json) as tell:
        told = _measure(asked.state, config, source, passes=passes, rival=rival, tell=tell)
    if as_json:
        print_json(told)
    else:
        _show(told)


def _apart(config: Config) -> Config:
    """The same appliance without its camera, relay and platform: whatever is measured, no door is behind it."""
    return Config(
        models=config.models,
        vision=config.vision,
        liveness=config.liveness,
        gallery=config.gallery,
        access=config.access,
        audit=config.audit,
        log=config.log,
    )


def _measure(
    state: Path, config: Config, source: Path, *, passes: int, rival: bool, tell: Callable[[str], None]
) -> dict[str, Any]:
    from device.commands.bench import gallery, pipeline, startup  # noqa: PLC0415
    from device.commands.bench import rival as other  # noqa: PLC0415
    from device.wiring.models import adopt_pack  # noqa: PLC0415  # models and drivers

    frames = _frames(source)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder, ExitStack() as stack:
        places = [Path(folder) / name for name in ("listening", "whole", "staged", "process")]
        for place in places:
            adopt_pack(state, place, config)
        tell("daemon in a process of its own")
        process = startup.measure_process(places[3], source, config)
        rigs = pipeline.Rigs(places[:3], config, stack=stack)
        tell(f"{len(frames)} frames, {passes} passes")
        busy = pipeline.measure(rigs, frames, passes=passes)
        tell("an empty scene")
        idle = pipeline.measure(rigs, _empty_scene(frames[0]), passes=passes, only_with_runs=True)
        tell("search")
        search = gallery.measure_search()
        comparison = None
        if rival:
            tell("face_recognition")
            comparison = other.compare(rigs.vision, frames)
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "source": str(source),
        "threads": config.models.threads,
        "pipeline": asdict(busy),
        "idle": {key: value for key, value in asdict(idle).items() if key != "stages"},
        "process": asdict(process),
        "search_10000x128": asdict(search),
        "face_recognition": None if comparison is None else asdict(comparison),
    }


def _frames(source: Path) -> list[Frame]:
    from device.wiring.surroundings import open_recording  # noqa: PLC0415

    recording = open_recording(source)
    recording.open()
    frames: list[Frame] = []
    try:
        while len(frames) < _MAX_FRAMES and (frame := recording.read()) is not None:
            frames.append(frame)
    finally:
        recording.close()
    if not frames:
        raise CameraError(f"{source} holds no frames", hint="name a recording with a face in it")
    return frames


def _empty_scene(like: Frame, *, fps: int = 30) -> list[Frame]:
    """Frames of the same size in which nobody is; two in turn, since a picture that repeats itself is not looked at."""
    from device.sim.backdrop import hallway  # noqa: PLC0415

    height, width = like.image.shape[:2]
    images = [hallway(width, height, seed=seed) for seed in (1, 2)]
    return [Frame(images[number % 2], number / fps, number) for number in range(round(_IDLE_S * fps))]


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    console = Console(stderr=True, quiet=quiet)
    with console.status("") as status:
        yield lambda words: status.update(f"measuring: {words}")


def _show(told: dict[str, Any]) -> None:
    pipe, idle, process, search = told["pipeline"], told["idle"], told["process"], told["search_10000x128"]
    print_table(
        ("stage", "calls", "p50 ms", "p95 ms"),
        (
            (name, str(spread["calls"]), f"{spread['p50_ms']:.2f}", f"{spread['p95_ms']:.2f}")
            for name, spread in pipe["stages"].items()
        ),
    )
    say(f"frames per second          {pipe['frames_per_second']:.0f}")
    if pipe["liveness_ms"] is not None:
        say(f"proof of life              {pipe['liveness_ms']:.2f} ms per frame with a face, mean")
    say(f"pipeline / bare models     {pipe['ratio']:.3f}  (passes: {_list(pipe['pass_ratios'])})")
    say(f"idle / bare detector       {idle['ratio']:.3f}  (passes: {_list(idle['pass_ratios'])})")
    say(f"ready after                {process['ready_s']:.2f} s")
    say(f"peak memory                {process['peak_rss_mb']:.0f} MiB")
    say(f"search 10,000 x 128        p50 {search['p50_ms']:.2f} ms, p99 {search['p99_ms']:.2f} ms")
    rival = told["face_recognition"]
    if rival is None:
        say("face_recognition           not installed (./install.sh setup --bench)")
    else:
        say(
            f"decided frame              {rival['ours']['p50_ms']:.1f} ms, face_recognition "
            f"{rival['theirs']['p50_ms']:.1f} ms: {rival['speedup']:.1f} times as fast"
        )
    say(f"{told['date']}, {told['machine']}, {told['threads']} thread(s), {told['source']}")


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
