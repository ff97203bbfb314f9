"""The log holds no person: what is no plain word or number is withheld, and a record is one line."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from device.log import OneLine, WithholdPersonal, set_up_logging
from device.types import Candidate, Signal


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger with the project's filter and format, and what it has written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine())
    handler.addFilter(WithholdPersonal())
    logger = logging.getLogger("elsewhere.test")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


def test_plain_words_and_numbers_are_written(log: tuple[logging.Logger, io.StringIO]) -> None:
    """Also numpy's numbers and the project's words."""
    logger, stream = log
    logger.warning("%s after %d frames, %.1f s, %.1f", Signal.DENIED, 3, 0.5, np.float32(0.25))
    assert stream.getvalue().endswith(" elsewhere.test: denied after 3 frames, 0.5 s, 0.2\n")


@pytest.mark.parametrize("value", [Candidate("ab" * 16, 0.97), b"secret", np.zeros(3), ["Ada"], {"name": "Ada"}])
def test_values_that_could_hold_a_person_are_withheld(log: tuple[logging.Logger, io.StringIO], value: object) -> None:
    """Their type is all that is told, as an argument or as the message itself."""
    logger, stream = log
    logger.warning("seen: %s %s", value, 1)
    logger.warning(value)
    assert stream.getvalue().count("<withheld") == 2
    for word in ("Ada", "secret", "abab", "0.97"):
        assert word not in stream.getvalue()


def test_handles_and_keys_are_withheld_wherever_they_stand(log: tuple[logging.Logger, io.StringIO]) -> None:
    """In the message, an argument, or an exception's words."""
    logger, stream = log
    handle = "0123456789abcdef" * 2
    try:
        raise ValueError(handle * 2)  # noqa: TRY301  # to have a traceback
    except ValueError:
        logger.exception("person %s, key=%s", handle, handle.upper() * 2)
    assert handle not in stream.getvalue().lower()
    assert stream.getvalue().count("<withheld>") == 3


def test_a_record_is_one_line_whatever_is_in_it(log: tuple[logging.Logger, io.StringIO]) -> None:
    """Nobody forges a line or drives the terminal through a file's name."""
    logger, stream = log
    try:
        raise ValueError("first\nsecond")  # noqa: TRY301  # to have a traceback
    except ValueError:
        logger.exception("file %s", "a\nb\x1b[31mc\u2028d\x85e")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.isprintable() or text[:-1].isprintable()
    assert len(text.splitlines()) == 1


def test_debug_of_other_packages_stays_out() -> None:
    """At debug Pillow writes the tags of photographs."""
    stream = io.StringIO()
    root = logging.getLogger()
    names = ("", "device", "export_tools")
    before = [logging.getLogger(name).level for name in names], root.handlers[:]
    try:
        set_up_logging("debug", stream=stream)
        logging.getLogger("device.camera").debug("ours")
        logging.getLogger("PIL.PngImagePlugin").debug("tags")
        logging.getLogger("PIL").warning("trouble")
    finally:
        for name, level in zip(names, before[0], strict=True):
            logging.getLogger(name).setLevel(level)
        root.handlers[:] = before[1]
    assert [line.rpartition(": ")[2] for line in stream.getvalue().splitlines()] == ["ours", "trouble"]
