"""`doorward demo`: the real daemon on a simulated door camera, or on a real one.

Photographs of public figures become an enrolment and a scene: somebody enrolled, seen in a photograph that was not
enrolled; a stranger; and a print of the enrolled person in somebody's hand. Everything but camera, clock and relay is
the appliance itself; the state directory is the demo's own and made anew each time.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from device.app.frames import AttachedFile
from device.app.requests import AuditVerifyRequest, EnrollRequest
from device.camera.sources import public_name
from device.commands.invocation import JsonOption, invocation
from device.commands.output import print_json
from device.commands.run import stopping, with_source
from device.commands.wording import decision_json, decision_line
from device.config import Config
from device.door.signals import ConsoleSignals
from device.errors import DoorwardError, NotFoundError, UsageError
from device.types import Decision, Reason

if TYPE_CHECKING:
    from device.wiring.stage import Actor

PERSON = "Barack Obama"
ENROLLED = ("obama2.jpg", "obama3.jpg")
VISITOR = "obama.jpg"
STRANGER = "biden.jpg"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("demo")(demo)


def default_photos() -> Path:
    """Where `doorward-export photos` puts the demo's photographs: below the one cache folder."""
    cache = os.environ.get("DOORWARD_CACHE")
    if cache:
        return Path(cache) / "demo-photos"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "doorward" / "demo-photos"


#: How a print fails besides being seen to be flat, depending on what it happens to be asked: its tilt reads as another
#: direction, as too little, or loses the face.
_PRINT_FAILS = (Reason.WRONG_RESPONSE, Reason.NO_RESPONSE, Reason.FACE_CHANGED, Reason.LEFT)


@dataclass
class Scene:
    """One visitor of the demo and what the door made of the visit."""

    who: str
    expected: Reason
    or_else: tuple[Reason, ...] = ()
    decisions: list[Decision] = field(default_factory=list)

    @property
    def as_expected(self) -> bool:
        """Whether the first decision was the expected one, and nothing was granted that should not be."""
        reasons = [decision.reason for decision in self.decisions]
        first = bool(reasons) and reasons[0] in (self.expected, *self.or_else)
        return first and reasons.count(Reason.GRANTED) == (self.expected is Reason.GRANTED)


@dataclass(frozen=True, slots=True)
class Show:
    """What was seen of a demo.

    Attributes:
        scenes: One for each visitor that came.
        good: Whether everybody came and each scene was as expected.
        interrupted: Whether a signal ended it before its end.
    """

    scenes: list[Scene]
    good: bool
    interrupted: bool


def demo(
    context: typer.Context,
    *,
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder with the demo's photographs (default: in the cache).", show_default=False),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="A video file or /dev/videoN instead of the rendered scene.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol people from photographs, run the daemon on a camera scene, say what was decided and why."""
    from device.wiring.state import own_demo  # noqa: PLC0415  # models and drivers

    asked = invocation(context)
    config = asked.config()
    if config.platform != "sim":
        raise UsageError("the demo runs on platform sim", hint="leave out --config")
    folder = photos or default_photos()
    console = Console(stderr=as_json, highlight=False)
    state = asked.state / "demo"
    with own_demo(state):
        prepare(asked.state, state, config)
        _show(state, config, folder, console=console, source=source, as_json=as_json)


def _show(state: Path, config: Config, folder: Path, *, console: Console, source: str | None, as_json: bool) -> None:
    """Enrol, play or watch, verify, tell. Raises DoorwardError where it did not go as it should, Abort on a signal."""
    handle = _enrol(state, config, folder)
    rendered = "SIMULATED: visitors are rendered from photographs; camera, clock and relay are stand-ins."
    console.print(Text(rendered if source is None else "SIMULATED: the relay is a stand-in.", style="bold"))
    _line(console, f"photographs  {folder} (public figures)")
    _line(console, f"enrolled     {PERSON}, from {' and '.join(ENROLLED)}")
    if source is None:
        shown = _play(state, config, folder, console=console, names={handle: PERSON})
    else:
        shown = _watch(state, with_source(config, source=source, fast=False), console, names={handle: PERSON})
    audit = _verify(state, config)
    if as_json:
        print_json(_report(shown, audit, state=state, rendered=source is None))
    verdict = "verified" if audit["sound"] else f"NOT SOUND: {audit['fault']}"
    _line(console, f"\naudit log    {state / 'doorward.db'} (encrypted): {audit['entries']} entries, chain {verdict}")
    _line(console, f"             {shlex.join((typed_command(), '--state', str(state)))} audit list")
    if shown.interrupted:
        raise typer.Abort
    if not (shown.good and audit["sound"]):
        raise DoorwardError("the door did not decide as it should have", hint="see the lines above; please report it")


def typed_command() -> str:
    """This command as it can be typed here: by its path where it was called by one."""
    called = sys.argv[0]
    if os.sep not in called or Path(called).name != "doorward":
        return "doorward"
    return os.path.relpath(called) if Path(called).is_relative_to(Path.cwd()) else called


def _line(console: Console, words: str) -> None:
    """One line, whatever the width: what it names is there to be copied."""
    console.print(words, markup=False, soft_wrap=True)


def prepare(main: Path, state: Path, config: Config) -> None:
    """An empty state directory with the pack of the main one. Raises DoorwardError."""
    from device.wiring.models import adopt_pack  # noqa: PLC0415  # models and drivers
    from device.wiring.state import empty_state  # noqa: PLC0415  # models and drivers

    empty_state(state)
    adopt_pack(main, state, config)


def _enrol(state: Path, config: Config, folder: Path) -> str:
    from device.wiring.people import open_offline  # noqa: PLC0415

    files = tuple(AttachedFile(name, read_photo(folder, name)) for name in ENROLLED)
    with open_offline(state, config) as verbs:
        return str(verbs.answer(EnrollRequest(name=PERSON), files)["person"]["handle"])


def read_photo(folder: Path, name: str) -> bytes:
    """One of the demo's photographs. Raises NotFoundError."""
    try:
        return (folder / name).read_bytes()
    except OSError as exc:
        raise NotFoundError(
            f"the demo's photograph {folder / name} cannot be read: {exc.strerror}",
            hint=f"./install.sh demo fetches it; or: doorward-export photos --out {folder}",
        ) from exc


def _play(state: Path, config: Config, folder: Path, *, console: Console, names: dict[str, str]) -> Show:
    from device.wiring.daemon import open_daemon  # noqa: PLC0415
    from device.wiring.stage import Actor, open_stage  # noqa: PLC0415

    scenes: list[Scene] = []
    threshold = [1.0]

    def enter(scene: Scene) -> Callable[[], None]:
        def arrived() -> None:
            scenes.append(scene)
            console.print(Text(f"\nvisitor {len(scenes)}: {scene.who}", style="bold"), soft_wrap=True)

        return arrived

    def actor(photo: str, scene: Scene, *, printed: bool = False) -> Actor:
        return Actor(read_photo(folder, photo), name=photo, printed=printed, on_arrival=enter(scene))

    def decided(decision: Decision) -> None:
        scenes[-1].decisions.append(decision)
        _print_decision(console, decision, names=names, threshold=threshold[0])

    cast = (
        actor(VISITOR, Scene(f"{PERSON}, from {VISITOR}, a photograph that is not enrolled", Reason.GRANTED)),
        actor(STRANGER, Scene(f"a stranger, from {STRANGER}", Reason.NO_MATCH)),
        actor(VISITOR, Scene(f"{VISITOR} as a print in somebody's hand", Reason.NOT_LIVE, _PRINT_FAILS), printed=True),
    )
    stage = open_stage(state, config, cast, forward=ConsoleSignals(console))
    with open_daemon(state, config, stage=stage, on_decision=decided) as daemon, stopping(daemon) as signalled:
        threshold[0] = daemon.threshold
        daemon.run()
    good = not signalled.came and len(scenes) == len(cast) and all(scene.as_expected for scene in scenes)
    return Show(scenes, good=good, interrupted=signalled.came)


def _watch(state: Path, config: Config, console: Console, *, names: dict[str, str]) -> Show:
    from device.wiring.daemon import open_daemon  # noqa: PLC0415

    shown = public_name(config.camera.source)
    scene = Scene(f"whoever is seen by {shown}", Reason.GRANTED)
    signals = ConsoleSignals(console)
    threshold = [1.0]

    def decided(decision: Decision) -> None:
        scene.decisions.append(decision)
        _print_decision(console, decision, names=names, threshold=threshold[0])

    _line(console, f"\nwatching     {shown}; Ctrl-C ends")
    with open_daemon(state, config, signals=signals, on_decision=decided) as daemon, stopping(daemon):
        threshold[0] = daemon.threshold
        daemon.run()
    return Show([scene], good=True, interrupted=False)  # a signal is how watching ends


def _print_decision(console: Console, decision: Decision, *, names: dict[str, str], threshold: float) -> None:
    name = names.get(decision.claimed) if decision.claimed is not None else None
    console.print(decision_line(decision, name=name, threshold=threshold), soft_wrap=True)


def _verify(state: Path, config: Config) -> dict[str, Any]:
    from device.wiring.people import open_offline  # noqa: PLC0415

    with open_offline(state, config) as verbs:
        return dict(verbs.answer(AuditVerifyRequest()))


def _report(shown: Show, audit: dict[str, Any], *, state: Path, rendered: bool) -> dict[str, Any]:
    return {
        "simulated": True,
        "rendered_visitors": rendered,
        "state": str(state),
        "visits": [
            {
                "who": scene.who,
                "expected": str(scene.expected) if rendered else None,
                "decisions": [decision_json(decision) for decision in scene.decisions],
            }
            for scene in shown.scenes
        ],
        "audit": audit,
        "interrupted": shown.interrupted,
        "ok": shown.good and bool(audit["sound"]),
    }
