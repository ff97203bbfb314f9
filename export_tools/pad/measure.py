"""Everything played to a policy and to its variants, one species at a time: traces of all would not fit into memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from device.errors import StateError
from export_tools.pad.attempt import LIVE, Attempt
from export_tools.pad.cache import TraceCache
from export_tools.pad.enrolment import Enrolled
from export_tools.pad.replay import run_attempt
from export_tools.pad.session import MOST_ATTEMPTS, End, Session, sessions_by_subject
from export_tools.pad.settings import PolicySettings
from export_tools.pad.studio import Item
from export_tools.pad.summary import Measured
from export_tools.pad.trace import Trace
from export_tools.sources.download import Reporter

_PLAYED: Final = "attempts"


def measure(
    items: Sequence[Item],
    *,
    cache: TraceCache,
    policies: Sequence[PolicySettings],
    enrolled: Callable[[Trace], Enrolled | None],
    identities_known: bool,
    answers: bool,
    reporter: Reporter,
    started_s: float,
) -> Measured:
    """Play recorded presentations.

    Args:
        items: What was recorded.
        cache: Has a trace of each.
        policies: The policy as it is, then its variants.
        enrolled: Whom the door knows when it sees a presentation.
        identities_known: Whether it knows anybody.
        answers: Whether the presentations could answer prompts; those that could not make no sessions, since a clip
            that is shown again is no further attempt.
        reporter: Who is told how far it is.
        started_s: Monotonic time at which all began.

    Raises:
        StateError: A trace is not there, or not sound.
    """
    policy, *variants = policies
    attempts: list[Attempt] = []
    sessions: list[Session] = []
    varied: dict[str, list[Attempt]] = {each.name: [] for each in variants}
    reporter.begin(_PLAYED, total=len(items), done=0)
    try:
        for traces in _by_species(items, cache):
            for trace in traces:
                known = enrolled(trace)
                attempts.append(run_attempt(trace, policy, known))
                for each in variants:
                    varied[each.name].append(run_attempt(trace, each, known))
                reporter.at(len(attempts))
            if answers and traces[0].about.species != LIVE:
                sessions += sessions_by_subject(traces, policy, enrolled)
    finally:
        reporter.end()
    return Measured(
        attempts=attempts,
        sessions=[session.attempts for session in sessions if is_whole(session)],
        variants=varied,
        identities_known=identities_known,
        answers=answers,
        elapsed_s=time.monotonic() - started_s,
    )


def is_whole(session: Session) -> bool:
    """Whether a session came to its own end; one that ran out of presentations would make the door look better."""
    return session.end is not End.GAVE_UP or len(session.attempts) >= MOST_ATTEMPTS


def _by_species(items: Sequence[Item], cache: TraceCache) -> Iterator[list[Trace]]:
    def kind(item: Item) -> str:
        return str(item.species)

    for _, group in groupby(sorted(items, key=kind), key=kind):
        yield [_trace(cache, item.name) for item in group]


def _trace(cache: TraceCache, name: str) -> Trace:
    trace = cache.get(name)
    if trace is None:
        raise StateError(f"the trace {name} has gone from {cache.folder}", hint="measure again")
    return trace
