"""The daemon's own words: one line per record on standard error.

The rule: a log holds no person. No name, no handle, no picture, no embedding, no similarity of a named person, no key.
Who went where belongs in the audit log, which is encrypted and can be erased; a log line cannot. Code therefore passes
plain words and numbers to the logger. What slips in all the same is withheld here: arguments of any other type, and
every word of 32 or more hexadecimal digits (handles, keys, digests).
"""

from __future__ import annotations

import logging
import numbers
import re
import sys
import time
from enum import Enum
from pathlib import Path
from typing import Literal, TextIO

#: All loggers of the project are below these names.
_OURS = ("device", "export_tools")
_PLAIN = (numbers.Number, str, Enum, Path, BaseException, type(None))
_SECRET = re.compile(r"\b[0-9A-Fa-f]{32,}\b")
#: Control characters could forge lines or drive a terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class WithholdPersonal(logging.Filter):
    """Replaces arguments that are no plain words or numbers by the name of their type."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record: that something happened is worth knowing."""
        if isinstance(record.args, tuple):
            record.args = tuple(_plain(argument) for argument in record.args)
        elif record.args:
            record.args = {str(key): _plain(value) for key, value in record.args.items()}
        if not isinstance(record.msg, str):
            record.msg = str(_plain(record.msg))
        return True


class OneLine(logging.Formatter):
    """``2026-01-05T09:00:00Z WARNING capture device.camera.capture: words``, whatever the words are."""

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(threadName)s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """The line, traceback included."""
        return _CONTROL.sub(" | ", _SECRET.sub("<withheld>", super().format(record)))


def set_up_logging(level: Literal["debug", "info", "warning", "error"], *, stream: TextIO | None = None) -> None:
    """Send the project's records from ``level`` on to ``stream`` (standard error); other packages' from warning on.

    Other packages stay at warning even for ``debug``: at debug, Pillow for one writes the tags of every photograph.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(OneLine())
    handler.addFilter(WithholdPersonal())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())


def _plain(value: object) -> object:
    return value if isinstance(value, _PLAIN) else f"<withheld {type(value).__name__}>"
