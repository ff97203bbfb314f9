"""A walk through presentations at a door: what is tried, in which order, and what each try came to.

The terms are those of ISO/IEC 30107-3: a *presentation* is one try, bona fide (a living person) or an attack; what an
attack presents is an instrument, and instruments of one kind are a *species*. Pure: who holds the print, who is asked
and what the camera sees come from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from device.errors import UsageError
from device.types import Decision, Word

#: A try at which somebody living stands before the door.
BONA_FIDE: Final = "bona_fide"
#: What to do for each kind of try; the attacks are those that ``doorward-export evaluate pad`` knows, in its order.
_TASKS: Final[Mapping[str, str]] = {
    BONA_FIDE: "somebody living stands before the camera, looks at it and does what the door says",
    "print": "hold a photograph of somebody enrolled before the camera, at arm's length",
    "print_bent": "bend a photograph of somebody enrolled like a face and turn it as the door says",
    "print_cut": "wear a photograph of somebody enrolled with the eyes cut out, and do what the door says",
    "replay_phone": "play a video of somebody enrolled on a phone, held before the camera so that the face fills it",
    "replay_tablet": "play a video of somebody enrolled on a tablet, held before the camera",
    "replay_monitor": "play a video of somebody enrolled on a monitor that stands before the camera",
    "mask_paper": "wear a paper mask of somebody enrolled, and do what the door says",
    "mask_rigid": "wear a rigid mask of somebody enrolled, and do what the door says",
    "mask_flexible": "wear a silicone or latex mask of somebody enrolled, and do what the door says",
}
#: Species of attack that can be asked for.
SPECIES: Final = tuple(name for name in _TASKS if name != BONA_FIDE)
#: More tries of one kind are a mistake in typing.
MAX_TRIES: Final = 200


@dataclass(frozen=True, slots=True)
class PlannedTry:
    """One presentation that is to be made.

    Attributes:
        species: What is presented: one of ``SPECIES``, or ``BONA_FIDE``.
        number: Counts from 1 within the species.
        of: How many of them are planned.
    """

    species: str
    number: int
    of: int

    @property
    def task(self) -> str:
        """What to do, in plain words."""
        return _TASKS[self.species]

    @property
    def title(self) -> str:
        """Which one it is."""
        return f"try {self.number} of {self.of}, {'living' if self.species == BONA_FIDE else spoken(self.species)}"


def spoken(species: str) -> str:
    """A species as people say it."""
    return species.replace("_", " ")


class Outcome(Word):
    """What a try came to, in one word."""

    ALIVE = "alive"
    REFUSED = "refused"
    NO_RESPONSE = "no_response"


@dataclass(frozen=True, slots=True)
class TryResult:
    """What one presentation came to.

    Attributes:
        planned: Which one it was.
        decision: The door's, from the door's own rules; nothing opens.
        responded: Whether a frame of it was compared; without, it says nothing about the proof of life.
        proven: Whether the proof of life passed at some frame, whatever the door decided in the end.
        as_named: Whether the named person was recognised and would have been let in; None where nobody was named.
        seconds: From the first frame of the try to its end.
    """

    planned: PlannedTry
    decision: Decision
    responded: bool
    proven: bool
    as_named: bool | None
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """In one word; a proof that passed counts even where the door stayed shut for another reason."""
        if not self.responded:
            return Outcome.NO_RESPONSE
        return Outcome.ALIVE if self.proven else Outcome.REFUSED


def parse_species(text: str) -> tuple[tuple[str, int], ...]:
    """Species and numbers of tries out of ``print:5,replay_phone:3``; empty for no attacks.

    Raises:
        UsageError: An unknown species (all are listed), one that is given twice, or no sensible number.
    """
    known = f"known are {', '.join(SPECIES)}"
    found: dict[str, int] = {}
    for part in text.split(",") if text.strip() else ():
        name, colon, count = (piece.strip() for piece in part.partition(":"))
        if name not in SPECIES:
            raise UsageError(f"--species: {name!r} is no kind of attack", hint=known)
        if name in found:
            raise UsageError(f"--species: {name} is given twice", hint="give each once, with its number of tries")
        if not (colon and count.isascii() and count.isdecimal() and 1 <= int(count[:9]) <= MAX_TRIES):
            raise UsageError(
                f"--species: {part.strip()!r} does not say how many tries, 1 to {MAX_TRIES}", hint=f"such as {name}:5"
            )
        found[name] = int(count)
    return tuple(found.items())


def plan_of(*, bona_fide: int, species: Sequence[tuple[str, int]]) -> tuple[PlannedTry, ...]:
    """Every try in order: the living first, then the attacks. Raises UsageError where nothing is to be tried."""
    kinds = ((BONA_FIDE, bona_fide), *species)
    plan = tuple(PlannedTry(name, number, of) for name, of in kinds for number in range(1, of + 1))
    if not plan:
        raise UsageError("nothing is to be tried", hint="give --bona-fide, --species or both")
    return plan


class Answer(Word):
    """What the installer says before a try."""

    READY = "ready"
    SKIP = "skip"
    STOP = "stop"


@dataclass(slots=True)
class Walk:
    """How far a walk has come; readable at any time, also when it was broken off.

    Attributes:
        plan: What is to be tried.
        results: Of the tries that were made, in order.
        skipped: Tries that the installer left out.
        begun: Tries that were begun; more than there are results where one was broken off.
        complete: Whether every try was either made or left out on purpose.
    """

    plan: tuple[PlannedTry, ...]
    results: list[TryResult] = field(default_factory=list)
    skipped: list[PlannedTry] = field(default_factory=list)
    begun: int = 0
    complete: bool = False

    def run(
        self,
        *,
        ask: Callable[[PlannedTry], Answer],
        attempt: Callable[[PlannedTry], TryResult],
        tell: Callable[[TryResult], None],
    ) -> None:
        """Make the tries one by one. Whatever ``attempt`` raises ends the walk.

        A try in progress then counts as begun and has no result.

        Args:
            ask: Says what to do and waits until it is done.
            attempt: Makes a try.
            tell: Is told the result of each.
        """
        for planned in self.plan:
            answer = ask(planned)
            if answer is Answer.STOP:
                return
            if answer is Answer.SKIP:
                self.skipped.append(planned)
                continue
            self.begun += 1
            self.results.append(attempt(planned))
            tell(self.results[-1])
        self.complete = True
