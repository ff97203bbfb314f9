"""The work of `doorward identify`: pictures and videos in, rows out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from device.app.identification import Criteria, Finding, VideoIdentifier, identify_picture
from device.app.requests import SearchRequest
from device.camera.photo import read_photo
from device.camera.writer import VideoWriter, write_picture
from device.commands.invocation import Invocation
from device.commands.pictures import pictures_in
from device.commands.session import Session
from device.errors import PhotoError, UsageError
from device.types import Candidate, Embedding
from device.vision.annotate import Label, annotate
from device.wiring.models import load_vision, match_threshold, open_pack
from device.wiring.state import state_keys
from device.wiring.surroundings import open_recording


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result: a face, or a file in which there is none or that cannot be used."""

    file: str
    finding: Finding | None
    problem: str = ""


class Identification:
    """One call: models loaded once, people asked once."""

    def __init__(self, asked: Invocation, session: Session, *, names: dict[str, str], top: int) -> None:

        self._config = asked.config()
        pack = open_pack(asked.state, self._config, state_keys(asked.state))
        self._vision = load_vision(pack, self._config)
        self._session = session
        self._names = names
        self._top = top
        access = self._config.access
        self.criteria = Criteria(
            threshold=match_threshold(pack, self._config),
            margin=self._config.gallery.margin,
            votes=access.votes,
            vote_window=access.vote_window,
            compare_every_s=access.compare_every_s,
        )

    def folder(self, path: Path, annotate_to: Path | None) -> list[Row]:
        """All pictures of a folder, by name; one that cannot be used is a row of its own."""
        pictures = pictures_in(path)
        if annotate_to is not None:
            try:
                annotate_to.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as exc:
                raise UsageError(f"cannot make {annotate_to}: {exc.strerror}", hint="name another place") from exc
        rows: list[Row] = []
        for picture in _progress(pictures, words="pictures"):
            try:
                copy = annotate_to / f"{picture.name}.jpg" if annotate_to is not None else None
                rows += self.picture(picture, picture.name, copy)
            except PhotoError as exc:
                rows.append(Row(picture.name, None, exc.reason))
        return rows

    def picture(self, path: Path, name: str, annotate_to: Path | None) -> list[Row]:
        """One picture. Raises PhotoError."""
        image = read_photo(path)
        found = identify_picture(
            image,
            find_faces=self._vision.find_faces,
            embed=self._vision.embedder.embed,
            search=self._search,
            criteria=self.criteria,
        )
        if annotate_to is not None:
            write_picture(annotate_to, annotate(image, (self._label(each) for each in found)))
        return [Row(name, finding) for finding in found] or [Row(name, None, "no_face")]

    def video(self, path: Path, annotate_to: Path | None) -> list[Row]:
        """One video, followed as the door would. Raises CameraError."""
        identifier = VideoIdentifier(self._vision.pipeline(), search=self._search, criteria=self.criteria)
        with ExitStack() as stack:
            source = open_recording(path)
            stack.callback(source.close)
            source.open()
            writer = None if annotate_to is None else stack.enter_context(closing(VideoWriter(annotate_to)))
            for _ in _progress(None, words="frames"):
                frame = source.read()
                if frame is None:
                    break
                named = [(face, person) for face, person in identifier.see(frame)]
                if writer is not None:
                    writer.write(annotate(frame.image, self._labels(named)), at_s=frame.captured_s)
        found = identifier.findings()
        return [Row(path.name, finding) for finding in found] or [Row(path.name, None, "no_face")]

    def _search(self, embedding: Embedding) -> tuple[Candidate, ...]:
        told = self._session.call(SearchRequest.of(embedding.vector, model=embedding.model, k=max(self._top, 2)))
        return tuple(Candidate(each["handle"], each["similarity"]) for each in told["candidates"])

    def _label(self, finding: Finding) -> Label:
        known = finding.person is not None
        name = self._names.get(finding.person, "?") if finding.person is not None else "unknown"
        similarity = f" {finding.similarity:.3f}" if finding.similarity is not None else ""
        return Label(finding.box, name + similarity, known)

    def _labels(self, named: Sequence[tuple[Any, str | None]]) -> Iterator[Label]:
        for face, person in named:
            text = self._names.get(person, "?") if person is not None else f"track {face.track}"
            yield Label(face.box, text, person is not None)


def _progress(items: Sequence[Path] | None, *, words: str) -> Iterator[Any]:
    """The items one by one, with a bar on standard error; without items, numbers until the caller stops."""
    columns = (TextColumn(words), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words, total=None if items is None else len(items))
        source: Iterator[Any] = iter(items) if items is not None else iter(lambda: 0, 1)
        for item in source:
            yield item
            progress.advance(task)
