"""`doorward`: the command line.

    doorward run | demo | check | status | enroll | people ... | identify | audit ... | bench | pad-test | pad-report

Everything that goes wrong ends here: one line on what happened, one on what to do, and the exit code of the error's
class (:mod:`device.errors`); 130 when interrupted, 70 for a mistake in the program itself.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from device.commands import audit, check, demo, enroll, identify, pad_report, pad_test, people, status
from device.commands import run as run_verb
from device.commands.bench import verb as bench
from device.commands.invocation import DEFAULT_STATE, Invocation, need_verb
from device.commands.output import complain, say
from device.errors import DoorwardError, UsageError

#: The one place where verbs are registered: each module adds its own.
VERBS = tuple(
    verb.register
    for verb in (run_verb, demo, check, status, enroll, people, identify, audit, bench, pad_test, pad_report)
)

_INTERNAL = 70
_INTERRUPTED = 130
#: 128 + SIGPIPE, as a shell would say it.
_BROKEN_PIPE = 141


def build() -> typer.Typer:
    """The command line with all verbs."""
    app = typer.Typer(
        add_completion=False,
        invoke_without_command=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help="Face-recognition door controller.",
    )
    app.callback()(_options)
    for register in VERBS:
        register(app)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # called by position
    if wanted:
        say(f"doorward {_version()}")
        raise typer.Exit


def _options(
    context: typer.Context,
    *,
    state: Annotated[
        Path, typer.Option("--state", envvar="DOORWARD_STATE", help="The state directory.", show_default=True)
    ] = DEFAULT_STATE,
    config: Annotated[
        Path | None, typer.Option("--config", envvar="DOORWARD_CONFIG", help="The configuration (YAML), else defaults.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error arose.")] = False,  # noqa: ARG001  # looked at in run()
    show_version: Annotated[  # noqa: ARG001  # its callback deals with it
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    need_verb(context)
    context.obj = Invocation(state=state, config_file=config)


def _version() -> str:
    try:
        return version("doorward")
    except PackageNotFoundError:
        return "(not installed)"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own, if None) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        outcome = build()(args=words, prog_name="doorward", standalone_mode=False)
        sys.stdout.flush()
    except DoorwardError as exc:
        _trace(debug=debug)
        complain(exc.message, hint=exc.hint)
        return exc.exit_code
    except TyperException as exc:
        context: typer.Context | None = getattr(exc, "ctx", None)
        complain(exc.format_message(), hint=f"{context.command_path if context is not None else 'doorward'} --help")
        return UsageError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted", hint="")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough; the interpreter must not stumble over the same pipe at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as exc:  # noqa: BLE001  # the last door: a mistake in the program
        _trace(debug=debug)
        complain(
            f"a mistake in the program: {type(exc).__name__}: {str(exc).partition(chr(10))[0]}",
            hint="report it, with what `doorward --debug ...` prints",
        )
        return _INTERNAL
    return outcome if isinstance(outcome, int) else 0


def _trace(*, debug: bool) -> None:
    if debug:
        traceback.print_exc()


def main() -> None:
    """The console script: run and exit."""
    sys.exit(run())
