"""The rows of a trace as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from device.types import Cues, Embedding
from export_tools.pad.columns import DONE, FAILED, NO_FACE, Found, cues_of, found_of
from export_tools.pad.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One frame.

    Attributes:
        index: Which row.
        captured_s: As recorded.
        number: As recorded.
        track: Of the candidate face; None without one.
        others: Whether the candidate before is still there although it is no longer the one.
        nearest: Whether nobody stands before the candidate.
        embedding: None where it was not compared.
        cues: None where they were not read, or could not be.
        found: What the gate found; None where it was not asked, or failed.
        gate_failed: Whether the gate failed.
    """

    index: int
    captured_s: float
    number: int
    track: int | None
    others: bool
    nearest: bool
    embedding: Embedding | None
    cues: Cues | None
    found: Found | None
    gate_failed: bool


def rows_of(trace: Trace) -> tuple[Row, ...]:
    """All rows in order."""
    return tuple(_rows(trace))


def _rows(trace: Trace) -> Iterator[Row]:
    frames = trace.frames
    embeddings = (Embedding(vector=vector, model=trace.model) for vector in frames.embeddings)
    cues = (cues_of(row, passive=trace.passive) for row in frames.cues.tolist())
    found = (found_of(row) for row in frames.findings.tolist())
    columns = (
        frames.captured_s.tolist(),
        frames.number.tolist(),
        frames.track.tolist(),
        frames.others.tolist(),
        frames.nearest.tolist(),
        frames.compared.tolist(),
        frames.cued.tolist(),
        frames.turned.tolist(),
    )
    for index, (captured_s, number, track, others, nearest, compared, cued, turned) in enumerate(
        zip(*columns, strict=True)
    ):
        yield Row(
            index=index,
            captured_s=captured_s,
            number=number,
            track=None if track == NO_FACE else track,
            others=others,
            nearest=nearest,
            embedding=next(embeddings) if compared else None,
            cues=next(cues) if cued == DONE else None,
            found=next(found) if turned == DONE else None,
            gate_failed=turned == FAILED,
        )
