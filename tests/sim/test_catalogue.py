"""The catalogue: one number, one presentation, for ever; tuning and held-out halves apart; a file that is checked."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.errors import ConfigError, UsageError
from device.sim.attacks.accomplice import Accomplice
from device.sim.attacks.catalogue import (
    Catalogue,
    Half,
    Presentation,
    Sitter,
    Species,
    cast_of,
    make_visitor,
    open_scene,
)
from device.sim.attacks.ranges import ranges_of
from device.sim.camera import door_lens
from device.sim.clock import ManualClock
from device.sim.portrait import Portrait
from device.sim.signals import PromptBoard
from device.types import Image, Signal

NUMBERS = st.integers(0, 10**6)
EVERY = st.sampled_from(Species)
RAW = resources.files("device.sim.attacks").joinpath("parameters.yaml").read_bytes()
AGAIN = Catalogue(RAW, origin="again")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The committed one."""
    return Catalogue.load()


@pytest.fixture(scope="module")
def sitters(portrait: Portrait) -> dict[str, Sitter]:
    """One painted figure in three roles: two photographs of one person, one of another."""
    return {"a1": Sitter(portrait, "a"), "a2": Sitter(portrait, "a"), "b": Sitter(portrait, "b")}


def leaves(drawn: Any, ranges: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Every drawn value with its name and its range."""
    found = []
    for field in fields(drawn):
        value, allowed, name = getattr(drawn, field.name), getattr(ranges, field.name), f"{path}.{field.name}"
        found += leaves(value, allowed, name) if is_dataclass(value) else [(name, value, allowed)]
    return found


def within(value: Any, allowed: list[Any]) -> bool:
    """Whether a value is what its range allows."""
    if isinstance(value, bool | Enum):
        return value in allowed
    return isinstance(value, int | float) and bool(allowed[0] <= value <= allowed[1])


def test_the_species_are_complete() -> None:
    """Everything that must be stopped, and those who must not."""
    assert [str(species) for species in Species] == [
        *("live", "print_jitter", "print_tilt", "print_bent", "print_flex", "print_rolled", "print_cutout"),
        *("replay_phone", "replay_tablet", "replay_monitor", "accomplice"),
    ]


@given(species=EVERY, number=NUMBERS)
@settings(max_examples=200, deadline=None)
def test_every_drawn_value_lies_in_its_range(catalogue: Catalogue, species: Species, number: int) -> None:
    """Of the kind's own parameters; frames per second between 15 and 30."""
    presentation = catalogue.presentation(species, number)
    drawn = leaves(presentation.parameters, catalogue.ranges(species))
    assert drawn
    assert all(within(value, allowed) for _, value, allowed in drawn), drawn
    assert 15 <= presentation.fps <= 30
    assert all(within(value, allowed) for _, value, allowed in leaves(presentation.optics, catalogue.optics))


@given(species=EVERY, number=NUMBERS)
@settings(max_examples=50, deadline=None)
def test_a_number_is_one_presentation_for_ever(catalogue: Catalogue, species: Species, number: int) -> None:
    """Read again it is the same; the next one and the other species are others."""
    one = catalogue.presentation(species, number)
    assert one == AGAIN.presentation(species, number)
    assert one.parameters != catalogue.presentation(species, number + 1).parameters
    other = Species.LIVE if species is not Species.LIVE else Species.PRINT_TILT
    assert one.seed != catalogue.presentation(other, number).seed


def test_draws_do_not_depend_on_machine_or_version(catalogue: Catalogue) -> None:
    """Digits written down once: who changes how values are drawn voids every figure."""
    presentation = catalogue.presentation(Species.LIVE, 7)
    assert (presentation.seed, presentation.fps) == (1412284436, 15)
    assert presentation.parameters.walk.near_m == pytest.approx(0.7083001929043662, abs=1e-12)


def test_the_halves_do_not_overlap(catalogue: Catalogue) -> None:
    """Even for tuning, odd held out, and no scene stands in both."""
    assert [list(half.numbers(3)) for half in (Half.TUNING, Half.HELD_OUT)] == [[0, 2, 4], [1, 3, 5]]
    tuning, held_out = (
        {catalogue.presentation(Species.REPLAY_PHONE, number).seed for number in half.numbers(100)} for half in Half
    )
    assert len(tuning) == len(held_out) == 100
    assert not tuning & held_out


@pytest.mark.parametrize("species", Species)
def test_draws_reach_over_their_ranges(catalogue: Catalogue, species: Species) -> None:
    """A hundred presentations cover nine tenths of each range and every choice."""
    drawn = [
        leaves(catalogue.presentation(species, number).parameters, catalogue.ranges(species)) for number in range(100)
    ]
    for column in zip(*drawn, strict=True):
        name, _, allowed = column[0]
        values = {value for _, value, _ in column}
        if isinstance(column[0][1], bool | Enum):
            assert values == set(allowed), name
        elif allowed[0] < allowed[1] and isinstance(column[0][1], float):
            assert max(values) - min(values) > 0.9 * (allowed[1] - allowed[0]), name


def test_a_presentation_has_no_negative_number(catalogue: Catalogue) -> None:
    """It is refused."""
    with pytest.raises(UsageError):
        catalogue.presentation(Species.LIVE, -1)


@given(number=NUMBERS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_cast_is_of_two_people_where_two_play(
    catalogue: Catalogue, sitters: dict[str, Sitter], number: int
) -> None:
    """And of one elsewhere."""
    for species in Species:
        cast = cast_of(catalogue.presentation(species, number), sitters)
        if species in (Species.ACCOMPLICE, Species.PRINT_CUTOUT):
            assert cast.other is not None
            assert sitters[cast.other].identity != sitters[cast.subject].identity
        else:
            assert cast.other is None


def test_a_cast_needs_portraits(catalogue: Catalogue, sitters: dict[str, Sitter]) -> None:
    """Of two identities where two people play."""
    with pytest.raises(UsageError):
        cast_of(catalogue.presentation(Species.LIVE, 0), {})
    alone = {"a1": sitters["a1"], "a2": sitters["a2"]}
    with pytest.raises(UsageError, match="two people"):
        cast_of(catalogue.presentation(Species.ACCOMPLICE, 0), alone)


def watch(presentation: Presentation, sitters: dict[str, Sitter], *, frames: int) -> list[Image]:
    """The first frames of a scene, with a prompt in their midst."""
    clock = ManualClock()
    board = PromptBoard(clock=clock)
    camera = open_scene(presentation, sitters, clock=clock, prompts=board)
    seen = []
    for number in range(frames):
        frame = camera.read()
        assert frame is not None
        seen.append(frame.image)
        if number == frames // 2:
            board.show(Signal.TURN_LEFT)
    camera.close()
    return seen


@pytest.mark.parametrize("species", Species)
def test_a_scene_repeats_itself_to_the_last_bit(
    catalogue: Catalogue, sitters: dict[str, Sitter], species: Species
) -> None:
    """Noise and encoder included; the next number's is another."""
    presentation = catalogue.presentation(species, 4)
    frames = 2 * presentation.fps
    one, two = (watch(presentation, sitters, frames=frames) for _ in range(2))
    assert all(np.array_equal(first, second) for first, second in zip(one, two, strict=True))
    other = watch(catalogue.presentation(species, 5), sitters, frames=frames)
    assert not np.array_equal(one[-1], other[-1])
    assert one[-1].shape == (480, 640, 3)


def test_a_caller_can_watch_who_plays(catalogue: Catalogue, sitters: dict[str, Sitter]) -> None:
    """For example when an accomplice makes the exchange."""
    presentation = catalogue.presentation(Species.ACCOMPLICE, 0)
    visitor = make_visitor(presentation, sitters, lens=door_lens())
    assert isinstance(visitor, Accomplice)
    clock = ManualClock()
    camera = open_scene(presentation, sitters, clock=clock, prompts=PromptBoard(clock=clock), visitor=visitor)
    while clock.monotonic() < 1.0:
        camera.read()
    assert visitor.raised_s is None


def test_what_is_kept_can_be_kept_under_the_digest(catalogue: Catalogue) -> None:
    """Of the very bytes: a comment changes it too."""
    assert catalogue.sha256 == hashlib.sha256(RAW).hexdigest()
    assert Catalogue(RAW + b"# more\n", origin="more").sha256 != catalogue.sha256


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("gain: [0.7, 1.35]", "gain: [1.35, 0.7]", "optics.gain"),
        ("gain: [0.7, 1.35]", "gain: [0.7]", "optics.gain"),
        ("gain: [0.7, 1.35]", "gain: [0.7, .inf]", "optics.gain.1"),
        ("gain: [0.7, 1.35]", "gain: [0.7, yes]", "optics.gain.1"),
        ("gain: [0.7, 1.35]", "gian: [0.7, 1.35]", "optics.gian"),
        ("obeys: [true]", "obeys: []", "species.live.manner.obeys"),
        ("obeys: [true]", "obeys: [maybe]", "species.live.manner.obeys.0"),
        ("moment: [seconds,", "moment: [never,", "species.accomplice.swap.moment.0"),
        ("jpeg_quality: [50, 95]", "jpeg_quality: [50.5, 95]", "optics.jpeg_quality.0"),
        ("fps: [15, 30]", "fps: [0, 30]", "fps.0"),
    ],
)
def test_a_broken_file_is_refused_with_line_and_key(old: str, new: str, key: str) -> None:
    """Each fault by itself; the file without it is read."""
    text = RAW.decode()
    assert old in text
    broken = text.replace(old, new, 1)
    line = next(number for number, row in enumerate(broken.splitlines(), 1) if new in row)
    with pytest.raises(ConfigError) as caught:
        Catalogue(broken.encode(), origin="broken.yaml")
    assert any(problem.startswith(f"broken.yaml:{line}: {key}: ") for problem in caught.value.problems), (
        caught.value.problems
    )


@pytest.mark.parametrize("raw", [b"", b"[", b"a: 1\na: 2", b"seed: &x 1\nfps: *x", b"\xff", b"1", b"#" * 300_000])
def test_what_is_no_such_file_is_refused(raw: bytes) -> None:
    """Empty, torn, doubled, aliased, too large."""
    with pytest.raises(ConfigError):
        Catalogue(raw, origin="broken.yaml")


def test_a_species_that_is_missing_is_named() -> None:
    """Nothing is filled in."""
    text = RAW.decode()
    with pytest.raises(ConfigError, match=r"species\.accomplice: Field required"):
        Catalogue(text[: text.index("  accomplice:")].encode(), origin="short.yaml")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """With its name; one that can is read."""
    with pytest.raises(ConfigError, match="nowhere"):
        Catalogue.load(tmp_path / "nowhere.yaml")
    (tmp_path / "here.yaml").write_bytes(RAW)
    assert Catalogue.load(tmp_path / "here.yaml").sha256 == hashlib.sha256(RAW).hexdigest()


def test_the_file_says_what_its_halves_are_for() -> None:
    """On its first lines."""
    head = RAW.decode().partition("\nseed:")[0]
    assert "fixed before any threshold was chosen" in head
    assert "Odd numbers of every species are held out" in head.replace("\n# ", " ")


def test_a_kind_without_a_range_cannot_be_catalogued() -> None:
    """Strings and lists have none."""
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Odd:
        name: str

    Odd.__annotations__["name"] = str
    with pytest.raises(TypeError, match="has no range"):
        ranges_of(Odd)
