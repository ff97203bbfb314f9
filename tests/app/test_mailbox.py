"""Jobs that other threads hand to the gate."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import pytest

from device.app.mailbox import Mailbox
from device.errors import BusyError, DoorwardError, NotFoundError


def _call_in_thread(mailbox: Mailbox, job: object) -> tuple[threading.Thread, list[object]]:
    answers: list[object] = []

    def body() -> None:
        try:
            answers.append(mailbox.call(job))  # type: ignore[arg-type]
        except DoorwardError as exc:
            answers.append(exc)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, answers


def _run_until_answered(mailbox: Mailbox, thread: threading.Thread) -> None:
    while thread.is_alive():
        mailbox.run_pending()
        thread.join(0.001)


def test_a_job_runs_on_the_thread_that_looks_into_the_mailbox() -> None:
    """The gate does the work, whoever asked."""
    mailbox = Mailbox()
    thread, answers = _call_in_thread(mailbox, threading.get_ident)
    _run_until_answered(mailbox, thread)
    assert answers == [threading.get_ident()]


def test_an_exception_reaches_who_asked_and_leaves_the_gate_alone() -> None:
    """A failing job is the caller's problem."""
    mailbox = Mailbox()

    def fail() -> None:
        raise NotFoundError("nobody")

    thread, answers = _call_in_thread(mailbox, fail)
    _run_until_answered(mailbox, thread)
    assert isinstance(answers[0], NotFoundError)


def test_a_job_that_was_given_up_never_runs_later() -> None:
    """Who was told "busy" must not find the thing done afterwards."""
    mailbox = Mailbox(timeout_s=0.0)
    ran: list[int] = []
    with pytest.raises(BusyError):
        mailbox.call(lambda: ran.append(1))
    mailbox.run_pending()
    assert ran == []


def test_clients_who_ask_without_end_do_not_keep_the_gate_from_its_next_frame() -> None:
    """One job between two frames, in the order of asking, those given up not counted; the others wait."""
    mailbox = Mailbox(timeout_s=0.0)
    with pytest.raises(BusyError):
        mailbox.call(lambda: None)
    ran: list[int] = []
    futures = [_enqueue(mailbox, partial(ran.append, number)) for number in range(3)]
    mailbox.run_pending()
    assert ran == [0]
    assert [future.done() for future in futures] == [True, False, False]
    mailbox.run_pending()
    mailbox.run_pending()
    mailbox.run_pending()
    assert ran == [0, 1, 2]


def _enqueue(mailbox: Mailbox, job: Callable[[], object]) -> Future[object]:
    """As call() does, without waiting for the answer."""
    future: Future[object] = Future()
    mailbox._jobs.put_nowait((job, future))
    return future


def test_a_full_mailbox_refuses() -> None:
    """Flooding the socket does not grow memory."""
    mailbox = Mailbox(limit=1, timeout_s=0.0)
    with pytest.raises(BusyError):
        mailbox.call(lambda: None)
    with pytest.raises(BusyError, match="too much"):
        mailbox.call(lambda: None)


def test_a_closed_mailbox_refuses_and_answers_those_that_wait() -> None:
    """A stop leaves nobody hanging."""
    mailbox = Mailbox()
    thread, answers = _call_in_thread(mailbox, lambda: 1)
    while thread.is_alive():
        mailbox.close()
        thread.join(0.001)
    assert isinstance(answers[0], BusyError)
    with pytest.raises(BusyError):
        mailbox.call(lambda: 1)
