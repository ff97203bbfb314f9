"""From photographs to a person who can be recognised: every photograph is judged before anything is written.

A photograph must show exactly one face that is good enough; several must show the same person; and that person must not
be enrolled already. What fails is named with the photograph, what was measured and what is needed. One bad photograph
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from device.app.frames import AttachedFile
from device.app.roster import Roster
from device.errors import EnrolmentError, UsageError
from device.gallery.template import mean_template
from device.types import Candidate, Embedding, Face, Image, Person, Points, QualityReason
from device.vision.quality import Gates

#: So many people who look alike are named.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class EnrolmentRules:
    """What photographs must be.

    Attributes:
        gates: Limits of quality, those that ``find_faces`` judges by; told in ``device/config.py``.
        similar: Cosine from which somebody looks like somebody enrolled, and photographs of one person must agree:
            the loosest operating point of the pack (for ``door`` .9312, false match rate 1e-3).
        match: Cosine from which two faces are the same: the door's own threshold.
    """

    gates: Gates
    similar: float
    match: float


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A photograph that may be enrolled: its file name, its only face, that face's embedding."""

    photo: str
    face: Face
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class Lookalike:
    """Somebody enrolled whom the new person resembles; ``same`` from the door's threshold on."""

    person: Person
    similarity: float
    same: bool


@dataclass(frozen=True, slots=True)
class EnrolmentResult:
    """What an enrolment led to.

    Attributes:
        person: Who is enrolled now.
        agreement: Least cosine of a photograph to the mean of the others, None with a single one.
        lookalikes: Whom the person resembles, most alike first; told, not hidden.
        namesakes: Others of the same name.
        not_compared: Enrolled people without a template of this model, who could not be compared.
    """

    person: Person
    agreement: float | None
    lookalikes: tuple[Lookalike, ...]
    namesakes: tuple[Person, ...]
    not_compared: int


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Photographs that agree: their embeddings, the mean, how well they agree, whom it resembles."""

    singles: tuple[Embedding, ...]
    mean: Embedding
    agreement: float | None
    lookalikes: tuple[Lookalike, ...]


def require_different(files: Sequence[AttachedFile]) -> None:
    """Refuse one photograph given twice: it would count as two that agree.

    Raises:
        EnrolmentError: ``same_photo``, naming both files.
    """
    seen: dict[bytes, str] = {}
    for file in files:
        if file.content in seen:
            raise EnrolmentError(
                f"{file.name} and {seen[file.content]} are the same photograph",
                reason="same_photo",
                hint="give each photograph once; several different ones make the face easier to recognise",
            )
        seen[file.content] = file.name


class Enroller:
    """Judges photographs and enrols people. Used by the thread that owns vision and gallery.

    Args:
        find_faces: All faces of a BGR picture, largest first, judged by ``rules.gates``.
        embed: The embedding of the face with these landmarks.
        roster: Where people are written.
        rules: What a photograph must be.
    """

    def __init__(
        self,
        *,
        find_faces: Callable[[Image], tuple[Face, ...]],
        embed: Callable[[Image, Points], Embedding],
        roster: Roster,
        rules: EnrolmentRules,
    ) -> None:
        self._find_faces = find_faces
        self._embed = embed
        self._roster = roster
        self._rules = rules

    def portrait(self, image: Image, *, photo: str) -> Portrait:
        """Judge one upright picture, uint8 BGR (height, width, 3).

        Raises:
            EnrolmentError: ``no_face``, ``two_faces``, or the first quality reason; the message tells all of them.
            ModelError: A model failed.
        """
        faces = self._find_faces(image)
        if not faces:
            raise EnrolmentError(
                f"{photo}: no face found",
                reason="no_face",
                hint="take a picture of the face alone, from the front, in even light, with some room around the head",
            )
        if len(faces) > 1:
            widths = ", ".join(f"{face.box.width:.0f} px" for face in faces)
            raise EnrolmentError(
                f"{photo}: {len(faces)} faces found ({widths} wide)",
                reason="two_faces",
                hint="crop the picture so that only the person to enrol is in it",
            )
        face = faces[0]
        if not face.quality.usable:
            worst = face.quality.reasons[0]
            raise EnrolmentError(
                f"{photo}: {'; '.join(_faults(face, self._rules.gates))}", reason=str(worst), hint=_ADVICE[worst]
            )
        return Portrait(photo=photo, face=face, embedding=self._embed(image, face.landmarks))

    def enrol(
        self,
        name: str,
        portraits: Sequence[Portrait],
        *,
        valid_from: datetime | None,
        valid_until: datetime | None,
        allow_duplicate: bool,
        by_uid: int | None = None,
    ) -> EnrolmentResult:
        """Write a new person, in one transaction with its audit entry.

        Raises:
            UsageError: No photograph, or a validity that ends before it begins.
            EnrolmentError: ``not_same_person`` or ``already_enrolled``; nothing has changed.
            StateError: It could not be written; nothing has changed.
        """
        look = self._look(portraits, allow_duplicate=allow_duplicate)
        namesakes = tuple(person for person in self._roster.list() if person.name == name)
        person = self._roster.enrol(
            name,
            singles=look.singles,
            mean=look.mean,
            valid_from=valid_from,
            valid_until=valid_until,
            by_uid=by_uid,
        )
        return self._result(person, look, namesakes=namesakes)

    def reenrol(
        self, handle: str, portraits: Sequence[Portrait], *, allow_duplicate: bool, by_uid: int | None = None
    ) -> EnrolmentResult:
        """Write new templates of the model in use for somebody who is enrolled; those of other models stay.

        That the photographs show this very person cannot be told from templates of another model: whoever re-enrols
        vouches for it, as for any enrolment. That they show nobody else who has a template is looked at.

        Raises:
            NotFoundError: Nobody has this handle.
            UsageError: No photograph.
            EnrolmentError: ``not_same_person``, or ``already_enrolled`` as somebody else; nothing has changed.
            StateError: It could not be written; nothing has changed.
        """
        look = self._look(portraits, allow_duplicate=allow_duplicate, own=handle)
        person = self._roster.reenrol(handle, singles=look.singles, mean=look.mean, by_uid=by_uid)
        return self._result(person, look, namesakes=())

    def _look(self, portraits: Sequence[Portrait], *, allow_duplicate: bool, own: str | None = None) -> _Look:
        """What the photographs say together; ``own`` is the handle of somebody who is enrolled anew."""
        if not portraits:
            raise UsageError("no photograph given", hint="give one to five, three is a good number")
        agreement = _agreement(portraits, least=self._rules.similar)
        singles = tuple(portrait.embedding for portrait in portraits)
        mean = mean_template(singles)
        lookalikes = self._lookalikes(mean, own=own)
        same = next((each for each in lookalikes if each.same), None)
        if same is not None and not allow_duplicate:
            raise EnrolmentError(
                f"this face is already enrolled as {same.person.name} ({same.person.handle[:8]}),"
                f" cosine {same.similarity:.3f}",
                reason="already_enrolled",
                hint="remove that person first, or say --allow-duplicate if these are two people (twins)",
            )
        return _Look(singles, mean, agreement, lookalikes)

    def _result(self, person: Person, look: _Look, *, namesakes: tuple[Person, ...]) -> EnrolmentResult:
        return EnrolmentResult(
            person=person,
            agreement=look.agreement,
            lookalikes=look.lookalikes,
            namesakes=namesakes,
            not_compared=len(self._roster.needs_template()),
        )

    def _lookalikes(self, mean: Embedding, *, own: str | None) -> tuple[Lookalike, ...]:
        def told(candidate: Candidate) -> Lookalike | None:
            person = self._roster.person(candidate.person)
            # Not the door's deny-by-default: here a similarity that is no number must stop the enrolment.
            if person is None or candidate.similarity < self._rules.similar:
                return None
            return Lookalike(
                person=person,
                similarity=candidate.similarity,
                same=not candidate.similarity < self._rules.match,
            )

        candidates = [each for each in self._roster.search(mean, k=_NAMED + 1) if each.person != own][:_NAMED]
        return tuple(each for each in map(told, candidates) if each is not None)


_ADVICE: dict[QualityReason, str] = {
    QualityReason.TOO_SMALL: "take the picture from nearer, or send it in its original size",
    QualityReason.BLURRED: "hold still, wipe the lens, use more light, and send the original instead of a copy",
    QualityReason.TOO_DARK: "take the picture in more light, from the front",
    QualityReason.TOO_BRIGHT: "take the picture without flash or sun in the face",
    QualityReason.LOW_CONTRAST: "avoid haze and light from behind",
    QualityReason.TURNED: "look straight into the camera",
    QualityReason.TILTED: "hold the camera at the height of the eyes",
    QualityReason.ROLLED: "hold head and camera upright",
    QualityReason.CUT_OFF: "leave some room around the head",
}


def _faults(face: Face, gates: Gates) -> tuple[str, ...]:
    """For each reason why a face is not good enough: what was measured, and what is needed."""
    quality, pose = face.quality, face.pose
    texts: dict[QualityReason, str] = {
        QualityReason.TOO_SMALL: f"face {quality.face_px:.0f} px wide, needs {gates.min_face_px:.0f}",
        QualityReason.BLURRED: f"blurred, sharpness {quality.sharpness:.0f}, needs {gates.min_sharpness:.0f}",
        QualityReason.TOO_DARK: f"too dark, brightness {quality.brightness:.0f}, needs {gates.min_brightness:.0f}",
        QualityReason.TOO_BRIGHT: (
            f"too bright, brightness {quality.brightness:.0f}, at most {gates.max_brightness:.0f};"
            f" {100 * quality.clipped:.0f} % burnt out, at most {100 * gates.max_clipped:.0f} %"
        ),
        QualityReason.LOW_CONTRAST: f"flat, contrast {quality.contrast:.0f}, needs {gates.min_contrast:.0f}",
        QualityReason.TURNED: f"turned {abs(pose.yaw_deg):.0f}° sideways, at most {gates.max_yaw_deg:.0f}°",
        QualityReason.TILTED: f"tilted {abs(pose.pitch_deg):.0f}° up or down, at most {gates.max_pitch_deg:.0f}°",
        QualityReason.ROLLED: f"leaning {abs(pose.roll_deg):.0f}°, at most {gates.max_roll_deg:.0f}°",
        QualityReason.CUT_OFF: "the face reaches beyond the picture",
    }
    return tuple(texts[reason] for reason in quality.reasons)


def _agreement(portraits: Sequence[Portrait], *, least: float) -> float | None:
    """Least cosine of a photograph to the mean of the others."""
    if len(portraits) == 1:
        return None
    scores = []
    for index, portrait in enumerate(portraits):
        others = [other.embedding for place, other in enumerate(portraits) if place != index]
        scores.append(float(portrait.embedding.vector @ mean_template(others).vector))
    odd = min(range(len(scores)), key=scores.__getitem__)
    if not scores[odd] >= least:
        # Of two photographs neither is the odd one.
        named = portraits[odd].photo if len(portraits) > 2 else f"{portraits[0].photo} or {portraits[1].photo}"
        raise EnrolmentError(
            f"{named} does not show the same person as the others: cosine {scores[odd]:.3f}, needs {least:.3f}",
            reason="not_same_person",
            hint="leave it out, or take it again: from the front, in even light, without sunglasses",
        )
    return scores[odd]
