"""What every verb gets to know from the options before it."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from device.commands.session import Session, open_verbs
from device.config import Config, load_config
from device.errors import UsageError

#: Of a checkout; an appliance is called with --state or $DOORWARD_STATE.
DEFAULT_STATE = Path(".doorward")

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result for machines.")]


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that stand before the verb.

    Attributes:
        state: State directory.
        config_file: Configuration file; None takes the defaults.
    """

    state: Path
    config_file: Path | None

    def config(self) -> Config:
        """The configuration. Raises ConfigError with all problems."""
        return load_config(self.config_file)

    def verbs(self, *, create: bool = False) -> AbstractContextManager[Session]:
        """Whoever answers: the daemon, or the state itself, made where ``create``. Raises DoorwardError."""
        return open_verbs(self.state, self.config(), create=create)


def need_verb(context: typer.Context) -> None:
    """Of a group of verbs: called without any, it explains itself on standard error, as a wrong call."""
    if context.invoked_subcommand is None:
        sys.stderr.write(context.get_help() + "\n")
        raise typer.Exit(UsageError.exit_code)


def invocation(context: typer.Context) -> Invocation:
    """The options of this call."""
    if not isinstance(context.obj, Invocation):
        raise UsageError("a verb was called without `doorward`", hint="doorward --help")
    return context.obj
