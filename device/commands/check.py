"""`doorward check`: what an installer runs before leaving. Every part is tested, one line each."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device.app.requests import AuditVerifyRequest, CheckRequest, StatusRequest
from device.commands import checks, owner_checks
from device.commands.checks import CheckResult, Outcome, guarded
from device.commands.invocation import Invocation, JsonOption, invocation
from device.commands.output import print_json, print_table, say
from device.commands.session import LocalSession, Session
from device.config import Config
from device.errors import DoorwardError, UsageError

if TYPE_CHECKING:
    from device.vision.pack import Pack

_STYLES = {Outcome.PASS: "", Outcome.AMBER: "yellow", Outcome.FAIL: "bold red"}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("check")(check)


def check(
    context: typer.Context,
    *,
    pulse: Annotated[bool, typer.Option("--pulse", help="Pulse the relay too: opens the door. Asks first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the pulse.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Test every part: pass, amber (works, but know this), fail. Exit code 0 without a fail."""
    call = invocation(context)
    if pulse and not yes and not typer.confirm("pulse the relay, which opens the door?", err=True):
        raise UsageError("nothing was tested", hint="answer y, or leave --pulse out")
    results = list(run_checks(call, pulse=pulse))
    failed = any(result.outcome is Outcome.FAIL for result in results)
    if as_json:
        print_json({"ok": not failed, "checks": [{**asdict(each), "outcome": str(each.outcome)} for each in results]})
    else:
        print_table(
            ("part", "result", "found", "what to do"),
            ((each.name, str(each.outcome), each.detail, each.advice) for each in results),
            styles=(_STYLES[each.outcome] for each in results),
        )
        say("not ready: see what failed" if failed else "ready")
    if failed:
        raise typer.Exit(1)


def run_checks(call: Invocation, *, pulse: bool) -> Iterator[CheckResult]:
    """All tests, in an order in which the first that fails is the one to mend first."""
    yield guarded("python", checks.check_python)
    try:
        config = call.config()
    except DoorwardError as exc:
        yield CheckResult("configuration", Outcome.FAIL, exc.message, exc.hint or "the rest is tested once it is valid")
        return
    origin = "defaults" if call.config_file is None else str(call.config_file)
    yield CheckResult("configuration", Outcome.PASS, origin)
    yield guarded("platform", lambda: checks.check_platform(config, model=checks.board_model()))
    yield guarded("state", lambda: checks.check_state_directory(call.state))
    yield guarded("disk", lambda: checks.check_disk(call.state, quota_mb=config.audit.quota_mb))
    with ExitStack() as stack:
        session: Session | None = None
        try:
            session = stack.enter_context(call.verbs())
        except DoorwardError as exc:
            yield CheckResult("control socket", Outcome.FAIL, exc.message, exc.hint)
        yield from _owned(session)
        yield from _local(call, config, session=session, pulse=pulse)


def _owned(session: Session | None) -> Iterator[CheckResult]:
    """What only the owner of the state can tell."""
    if session is None:
        return
    owner = session
    if not owner.daemon:
        yield CheckResult("control socket", Outcome.PASS, "no daemon runs: commands work on the state themselves")

    told: dict[str, Any] = {}

    def database() -> CheckResult:
        told["status"] = owner.call(StatusRequest())
        told["check"] = owner.call(CheckRequest())
        return owner_checks.check_database(told["check"], told["status"])

    yield guarded("database", database)
    yield guarded("audit", lambda: owner_checks.check_audit(owner.call(AuditVerifyRequest())))
    if "check" in told:
        yield guarded("gallery", lambda: owner_checks.check_gallery(told["check"], told["status"]))
    if owner.daemon and told.get("status", {}).get("daemon"):
        yield from owner_checks.check_daemon(told["status"]["daemon"])


def _local(call: Invocation, config: Config, *, session: Session | None, pulse: bool) -> Iterator[CheckResult]:
    """What can be tested from here; camera and relay only where no daemon has them."""
    # Here, because it brings models and drivers along: `doorward --help` need not wait for them.
    from device.clock import SystemClock  # noqa: PLC0415
    from device.wiring.models import load_vision, match_threshold, open_pack, same_face_threshold  # noqa: PLC0415
    from device.wiring.state import key_source, state_keys  # noqa: PLC0415
    from device.wiring.surroundings import open_source  # noqa: PLC0415

    clock = SystemClock()
    yield guarded("clock", lambda: checks.check_clock(clock))
    yield guarded("ann", checks.check_ann)
    yield guarded("key", lambda: checks.check_key(key_source(call.state)))
    packs: list[Pack] = []

    def pack() -> CheckResult:
        packs.append(open_pack(call.state, config, state_keys(call.state)))
        return checks.check_pack(packs[0])

    yield guarded("pack", pack)
    owned = session is not None and session.daemon

    def threshold() -> CheckResult:
        match, same_face = match_threshold(packs[0], config), same_face_threshold(packs[0], config)
        return checks.check_threshold(config, packs[0], match=match, same_face=same_face)

    if packs:
        yield guarded("threshold", threshold)
        yield guarded("liveness", lambda: checks.check_liveness(config, packs[0]))
        if not owned:
            yield guarded("models", lambda: checks.check_models(lambda: load_vision(packs[0], config)))
    if owned:
        if pulse:
            yield CheckResult("pulse", Outcome.FAIL, "the daemon owns the relay", "stop the daemon, then check --pulse")
        return
    yield guarded("camera", lambda: checks.check_camera(open_source(config, clock, wait=time.sleep), clock))
    if packs:
        yield guarded("relay", lambda: _relay(config, packs[0], session=session, pulse=pulse))


def _relay(config: Config, pack: Pack, *, session: Session | None, pulse: bool) -> CheckResult:
    from device.clock import SystemClock  # noqa: PLC0415
    from device.wiring.surroundings import open_relay  # noqa: PLC0415

    if pulse:
        if not isinstance(session, LocalSession):
            return CheckResult("relay", Outcome.FAIL, "the state cannot be opened: no pulse without an audit entry")
        # No audit, no door: raises where the entry cannot be written, and the relay is not touched.
        session.verbs.note_test_pulse(by_uid=os.getuid())
    relay = open_relay(config, SystemClock(), pack=pack)
    return checks.check_relay(relay, pulse_s=config.door.pulse_s if pulse else None, wait=time.sleep)
