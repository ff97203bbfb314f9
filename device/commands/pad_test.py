"""`doorward pad-test`: an installer tries attacks and living people at this very door, and gets a signed report."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from device.app.pad_test import MAX_TRIES, Answer, Outcome, PlannedTry, TryResult, Walk, parse_species, plan_of
from device.commands.demo import default_photos
from device.commands.invocation import JsonOption, invocation
from device.commands.memory import keep_memory_private
from device.commands.output import print_json, say, visible
from device.commands.pad_table import show_report, walk_words
from device.commands.wording import explain
from device.door.signals import ConsoleSignals
from device.errors import UsageError
from device.log import set_up_logging
from device.private_file import make_private_file

_ANSWERS = {"": Answer.READY, "s": Answer.SKIP, "q": Answer.STOP}
_STYLES = {Outcome.ALIVE: "bold green", Outcome.REFUSED: "bold red", Outcome.NO_RESPONSE: "bold yellow"}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("pad-test")(pad_test)


def pad_test(
    context: typer.Context,
    *,
    report: Annotated[Path, typer.Option(help="Write the signed report into this new file (mode 0600).")],
    bona_fide: Annotated[
        int, typer.Option("--bona-fide", min=0, max=MAX_TRIES, help="So many tries of somebody living.")
    ] = 5,
    species: Annotated[
        str, typer.Option(help="Attacks and how many tries of each, with commas.")
    ] = "print:5,replay_phone:5,replay_tablet:5",
    name: Annotated[
        str | None, typer.Option(help="Who makes the living tries, as enrolled: counts false rejections (FRR) too.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the report if there is one.")] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Show the walk with rendered presentations, on platform sim.")
    ] = False,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="--simulate: folder with the demo's photographs (default: in the cache).", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try attacks and living people at this door, count, sign a report. The door is not opened, whatever happens."""
    from device.wiring.pad_scenes import require_rendered  # noqa: PLC0415  # models and drivers
    from device.wiring.pad_test import open_pad_test  # noqa: PLC0415  # models and drivers

    asked = invocation(context)
    config = asked.config()
    walk = Walk(plan_of(bona_fide=bona_fide, species=parse_species(species)))
    if simulate:
        require_rendered(walk.plan)
    elif photos is not None:
        raise UsageError("--photos is for --simulate", hint="leave it out")
    set_up_logging(config.log.level)
    keep_memory_private()
    console = Console(stderr=as_json, highlight=False)
    with (
        _reserved(report, force=force) as finish,
        open_pad_test(
            asked.state,
            config,
            signals=ConsoleSignals(console),
            name=name,
            photos=(photos or default_photos()) if simulate else None,
        ) as kit,
    ):
        underway = kit.begin(walk, by_uid=os.getuid())
        console.print(Text(f"{walk_words(underway.standing)}; that it began is in the audit log"), soft_wrap=True)
        if simulate:
            console.print(Text("SIMULATED: presentations are rendered; this says nothing about a real door.", "bold"))
        try:
            walk.run(
                ask=lambda planned: _announce(console, planned, wait=not simulate),
                attempt=underway.attempt,
                tell=lambda result: _tell(console, result, threshold=kit.threshold),
            )
        finally:
            # Also when it was interrupted, or the camera was lost: what was done stays done.
            if not walk.results:
                underway.end(None)
            else:
                made = underway.report()
                raw = underway.sign(made)
                underway.end(raw)
                finish(raw)
                if as_json:
                    print_json({"file": str(report), **made.model_dump(mode="json")})
                else:
                    show_report(made)
                    say(f"report       {report}; doorward pad-report {report} --key {made.about.public_key}")
    if not walk.results and as_json:
        print_json({"file": None})
    elif not walk.results:
        say("nothing was tried: no report was written")


def _announce(console: Console, planned: PlannedTry, *, wait: bool) -> Answer:
    """Say what to do and wait until it is done; the end of the input stops."""
    console.print()
    if not wait:
        console.print(Text(f"{planned.title}: rendered"), soft_wrap=True)
        return Answer.READY
    if sys.stdin.isatty():
        # Whatever was typed during the last try is no answer to this one.
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    while True:
        words = f"{planned.title}: {planned.task}; Enter when ready, s to skip, q to stop "
        console.print(Text(words), soft_wrap=True, end="")
        console.file.flush()
        line = sys.stdin.readline()
        answer = Answer.STOP if not line else _ANSWERS.get(line.strip().lower())
        if answer is not None:
            return answer


def _tell(console: Console, result: TryResult, *, threshold: float) -> None:
    """One line: outcome, reason, evidence; nobody's name."""
    made = result.decision
    if result.outcome is Outcome.NO_RESPONSE:
        told = "nobody was seen well enough to be judged"
    elif result.outcome is Outcome.ALIVE and not made.granted:
        told = f"found alive, not let in: {explain(made, name=None, threshold=threshold)}"
    elif made.granted:
        told = f"would have been let in: {explain(made, name=None, threshold=threshold)}"
    else:
        told = f"{made.reason}: {explain(made, name=None, threshold=threshold)}"
    outcome = str(result.outcome).replace("_", " ").upper()
    line = Text.assemble("  ", (outcome, _STYLES[result.outcome]), f"  {visible(told)}; {result.seconds:.1f} s")
    console.print(line, soft_wrap=True)


@contextmanager
def _reserved(path: Path, *, force: bool) -> Iterator[Callable[[bytes], None]]:
    """Room for a report, made before the first try; yields what puts the report there, whole or not at all.

    Raises:
        UsageError: There is something already, or nothing can be written there.
    """
    if path.is_dir() or (not force and os.path.lexists(path)):
        hint = "name a file" if path.is_dir() else "name another file, or replace it with --force"
        raise UsageError(f"{path} exists already", hint=hint)
    # Written aside and moved into place: a power cut leaves no half report.
    aside = path.with_name(f".{path.name}.{os.getpid()}")

    def finish(raw: bytes) -> None:
        try:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
            if force:
                aside.replace(path)
            else:
                os.link(aside, path)
        except OSError as exc:
            raise UsageError(f"cannot write {path}: {exc.strerror}", hint="name a file on another disk") from exc

    try:
        descriptor = make_private_file(aside)
    except UsageError as exc:
        reason = exc.__cause__.strerror if isinstance(exc.__cause__, OSError) else "it cannot be made"
        raise UsageError(f"cannot write {path}: {reason}", hint="name a file in a folder of yours") from exc
    with os.fdopen(descriptor, "wb") as stream:
        try:
            yield finish
        finally:
            aside.unlink(missing_ok=True)
