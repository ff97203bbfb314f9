"""Who is on a picture: the batch mode. Tells, never opens; the same models, gates and rules as at the door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from device.access.votes import Vote, cast, tally
from device.types import Box, Candidate, Embedding, Face, Frame, Image, Points, QualityReason, Reason
from device.vision.pipeline import VisionPipeline

Search = Callable[[Embedding], tuple[Candidate, ...]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One face on a picture, or one track of a video.

    Attributes:
        number: Of the face (largest first) or track.
        box: Where, pixels; in a video where it was last seen.
        person: Handle, None when nobody is named.
        reason: Why nobody is named, None when somebody is.
        candidates: Nearest people, best first.
        quality: Why the face would not be compared at the door; it was compared here all the same.
        presence: The mesh model's own probability that this is a face, 0..1.
        first_s: Video: when the track was first seen; 0 for a picture.
        last_s: Video: when it was last seen.
        votes: Video: how many frames were compared; 1 for a picture.
    """

    number: int
    box: Box
    person: str | None
    reason: Reason | None
    candidates: tuple[Candidate, ...]
    quality: tuple[QualityReason, ...]
    presence: float
    first_s: float = 0.0
    last_s: float = 0.0
    votes: int = 1

    @property
    def similarity(self) -> float | None:
        """Cosine to the nearest person."""
        return self.candidates[0].similarity if self.candidates else None

    @property
    def margin(self) -> float | None:
        """By how much the nearest person is ahead of the next."""
        if len(self.candidates) < 2:
            return None
        return self.candidates[0].similarity - self.candidates[1].similarity


@dataclass(frozen=True, slots=True)
class Criteria:
    """When a face is somebody (see ``GalleryConfig`` and ``AccessConfig``)."""

    threshold: float
    margin: float
    votes: int
    vote_window: int
    compare_every_s: float


def identify_picture(
    image: Image,
    *,
    find_faces: Callable[[Image], tuple[Face, ...]],
    embed: Callable[[Image, Points], Embedding],
    search: Search,
    criteria: Criteria,
) -> tuple[Finding, ...]:
    """All faces of a picture, largest first. Raises ModelError."""
    found = []
    for face in find_faces(image):
        candidates = search(embed(image, face.landmarks))
        vote = _cast(candidates, face, criteria)
        found.append(
            Finding(
                number=face.track + 1,
                box=face.box,
                person=vote.person,
                reason=vote.reason,
                candidates=candidates,
                quality=face.quality.reasons,
                presence=face.presence,
            )
        )
    return tuple(found)


class VideoIdentifier:
    """Follows the faces of a video and names them by votes, as the door does. Nobody's life is proven here.

    Args:
        pipeline: Fresh.
        search: Who is near.
        criteria: When a face is somebody.
    """

    def __init__(self, pipeline: VisionPipeline, *, search: Search, criteria: Criteria) -> None:
        self._pipeline = pipeline
        self._search = search
        self._criteria = criteria
        self._tracks: dict[int, _Track] = {}

    def see(self, frame: Frame) -> Iterator[tuple[Face, str | None]]:
        """The frame's faces, each with the handle that its track's votes agree on so far. Raises ModelError."""
        for face in self._pipeline.observe(frame).faces:
            track = self._tracks.setdefault(face.track, _Track(first_s=face.captured_s, face=face))
            track.face = face
            due = track.compared_s is None or face.captured_s - track.compared_s >= self._criteria.compare_every_s
            if due and face.quality.usable:
                track.compared_s = face.captured_s
                track.candidates = self._search(self._pipeline.embed(frame, face))
                track.votes.append(_cast(track.candidates, face, self._criteria))
            yield face, self._named(track)

    def findings(self) -> tuple[Finding, ...]:
        """One per track, in the order of their coming."""
        return tuple(self._finding(number, track) for number, track in self._tracks.items())

    def _named(self, track: _Track) -> str | None:
        return tally(track.votes, k=self._criteria.votes, n=self._criteria.vote_window)

    def _finding(self, number: int, track: _Track) -> Finding:
        # A track may name somebody at any time, but never two people.
        named = {vote.person for vote in track.votes if vote.person is not None}
        person = next(iter(named)) if len(named) == 1 and track.agreed(self._criteria) else None
        reason = None if person is not None else Reason.UNSETTLED if named else Reason.NO_MATCH
        return Finding(
            number=number,
            box=track.face.box,
            person=person,
            reason=reason if track.votes else Reason.POOR_QUALITY,
            candidates=track.candidates,
            quality=track.face.quality.reasons,
            presence=track.face.presence,
            first_s=track.first_s,
            last_s=track.face.captured_s,
            votes=len(track.votes),
        )


class _Track:
    """What is known about one face of a video."""

    def __init__(self, *, first_s: float, face: Face) -> None:
        self.first_s = first_s
        self.face = face
        self.compared_s: float | None = None
        self.candidates: tuple[Candidate, ...] = ()
        self.votes: list[Vote] = []

    def agreed(self, criteria: Criteria) -> bool:
        """Whether any window of the votes agreed on somebody."""
        window = criteria.vote_window
        return any(
            tally(self.votes[max(0, end - window) : end], k=criteria.votes, n=window) is not None
            for end in range(1, len(self.votes) + 1)
        )


def _cast(candidates: tuple[Candidate, ...], face: Face, criteria: Criteria) -> Vote:
    return cast(
        candidates[:2],
        threshold=criteria.threshold,
        margin=criteria.margin,
        captured_s=face.captured_s,
        frame_number=face.frame_number,
    )
