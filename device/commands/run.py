"""`doorward run`: the daemon."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from device.camera.sources import classify_source, public_name
from device.commands.invocation import invocation
from device.commands.memory import keep_memory_private
from device.commands.output import print_json
from device.commands.wording import decision_json, decision_line
from device.config import Config
from device.door.signals import ConsoleSignals
from device.errors import CameraError, ConfigError, StateError
from device.log import set_up_logging
from device.types import Decision

if TYPE_CHECKING:
    from device.runtime import Daemon


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("run")(run)


def run(
    context: typer.Context,
    *,
    source: Annotated[
        str | None,
        typer.Option(help="Instead of camera.source: /dev/videoN, rtsp://..., a video file, a folder of pictures."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Recordings: each frame as soon as the last one was dealt with.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document per event on standard output.")] = False,
) -> None:
    """Run the door until SIGTERM or SIGINT, or until a recording ends. People appear by handle only."""
    from device.wiring.daemon import open_daemon  # noqa: PLC0415  # models and drivers; --help need not wait for them

    began_s = time.monotonic()
    asked = invocation(context)
    config = with_source(asked.config(), source=source, fast=fast)
    if not asked.state.is_dir():
        raise StateError(
            f"there is no state directory {asked.state}",
            hint=f"check --state; doorward-export build --state {asked.state} makes one with the models",
        )
    set_up_logging(config.log.level)
    keep_memory_private()

    console = Console(stderr=True, highlight=False)

    def report(decision: Decision) -> None:
        if as_json:
            print_json({"event": "decision", **decision_json(decision)})
            sys.stdout.flush()
        else:
            console.print(decision_line(decision, name=None, threshold=daemon.threshold), soft_wrap=True)

    def ready() -> None:
        if as_json:
            print_json({"event": "ready", "after_s": round(time.monotonic() - began_s, 3)})
            sys.stdout.flush()

    signals = ConsoleSignals(console)
    with (
        open_daemon(asked.state, config, signals=signals, on_decision=report, on_ready=ready) as daemon,
        stopping(daemon),
    ):
        daemon.run()


def with_source(config: Config, *, source: str | None, fast: bool) -> Config:
    """The configuration with another camera source or pace.

    Raises:
        CameraError: The source is none.
        ConfigError: A camera at another pace than the world's, or not on platform sim.
    """
    if source is None and not fast:
        return config
    if config.platform != "sim":
        raise ConfigError("--source and --fast are for recordings on platform sim", hint="set camera.source instead")
    if source == "":
        raise CameraError("--source names nothing", hint="name a recording, a folder of pictures or a camera")
    chosen = config.camera.source if source is None else source
    if fast and classify_source(chosen).camera:
        raise ConfigError(f"--fast is for recordings, not for {public_name(chosen)}", hint="leave out --fast")
    changes = {"source": chosen, "pace": "fast" if fast else config.camera.pace}
    return config.model_copy(update={"camera": config.camera.model_copy(update=changes)})


@dataclass(slots=True)
class Interruption:
    """Whether a signal has come."""

    came: bool = False


@contextmanager
def stopping(daemon: Daemon) -> Iterator[Interruption]:
    """SIGTERM and SIGINT stop the daemon in order until the end of the block; whether one came is told."""
    interruption = Interruption()

    def stop(*_: object) -> None:
        interruption.came = True
        daemon.stop(cause="signal")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
