"""Every error the project raises on purpose, one root, each with an exit code and a hint.

    DoorwardError
    |- UsageError            64   the command was called wrongly
    |  `- ConfigError        78   the configuration is not valid (all problems at once)
    |- PhotoError            65   a photograph cannot be used (unreadable, animated, too large ...)
    |  `- EnrolmentError     65   the photograph is readable, the face in it is not good enough
    |- NotFoundError         66   no such person, file, entry
    |- StateError            74   the state directory
    |  |- WrongKeyError      77   the key does not belong to this database
    |  |- CorruptError       74   the database is damaged
    |  |- FullError          74   quota or disk exhausted
    |  `- BusyError          75   another process owns the state
    |- AuditError            76   the audit chain does not verify
    |- PackError             70   a model or manifest is missing, altered or foreign
    |- ModelError            70   a model ran and gave nonsense, or could not run
    |- CameraError           69   the camera cannot be opened or delivers nonsense
    |- DoorError             69   the relay cannot be driven
    |- ControlError          71   the control socket was spoken to in a way it does not accept
    `- DownloadError         68   an archive cannot be fetched or is not the pinned one

A denied visitor is a value (:class:`device.types.Decision`), never an exception; an exception means broken, and broken
leaves the door locked. Foreign exceptions are wrapped where they enter (``raise ... from exc``).
"""

from __future__ import annotations


class DoorwardError(Exception):
    """Root of the tree.

    Args:
        message: What happened, in one sentence, for the person who reads the terminal.
        hint: What to do about it, in one sentence; empty where nothing sensible can be said.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DoorwardError):
    """The command was called wrongly."""

    exit_code = 64


class ConfigError(UsageError):
    """The configuration is not valid; ``problems`` lists all of them as ``file: key: what is allowed``."""

    exit_code = 78

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__("\n".join((message, *(f"  {problem}" for problem in problems))), hint=hint)
        self.problems = problems


class PhotoError(DoorwardError):
    """A photograph cannot be used; ``reason`` is a stable word such as ``truncated`` or ``animated``."""

    exit_code = 65

    def __init__(self, message: str, *, reason: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class EnrolmentError(PhotoError):
    """The photograph is readable, but what it shows cannot be enrolled (no face, two faces, blurred ...)."""


class NotFoundError(DoorwardError):
    """What was asked for does not exist."""

    exit_code = 66


class StateError(DoorwardError):
    """The state directory or its database cannot be used."""

    exit_code = 74


class WrongKeyError(StateError):
    """The key does not belong to this database."""

    exit_code = 77


class CorruptError(StateError):
    """The database is damaged (the key is right)."""


class FullError(StateError):
    """The quota of the database or the disk is exhausted."""


class BusyError(StateError):
    """Another process owns the state."""

    exit_code = 75


class AuditError(DoorwardError):
    """The audit chain does not verify."""

    exit_code = 76


class PackError(DoorwardError):
    """A model file or manifest is missing, altered or foreign; ``reason`` is a stable word."""

    exit_code = 70

    def __init__(self, message: str, *, reason: str = "altered", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class ModelError(DoorwardError):
    """A model could not run, or its output is not finite or of the wrong shape."""

    exit_code = 70


class CameraError(DoorwardError):
    """The camera cannot be opened or delivers what is not a picture."""

    exit_code = 69


class DoorError(DoorwardError):
    """The relay cannot be driven."""

    exit_code = 69


class ControlError(DoorwardError):
    """A request on the control socket is refused: malformed, too large, unknown or not allowed."""

    exit_code = 71


class DownloadError(DoorwardError):
    """An archive cannot be fetched, or is not the one that is pinned."""

    exit_code = 68
