"""`doorward-export evaluate pad` on the whole policy: what it refuses, what it plays, what it leaves behind."""

from __future__ import annotations

import argparse
import json
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest

from device.errors import NotFoundError, StateError, UsageError
from device.sim.attacks.catalogue import Half, Species
from export_tools.commands import evaluate, evaluate_pad
from export_tools.commands.delivering import reproducing_command
from export_tools.evaluate.presentations import Presentation
from export_tools.pad.ablation import ablated
from export_tools.pad.attempt import LIVE
from export_tools.pad.cache import TraceCache
from export_tools.pad.measure import measure
from export_tools.pad.plan import identity_of, recorded_items, simulated_items, species_of
from export_tools.pad.result import PolicyResult
from export_tools.pad.session import MOST_ATTEMPTS
from export_tools.pad.studio import Simulated
from export_tools.pad.summary import MEANINGS, Measured
from export_tools.sources.download import Silent
from tests.pad.made import ENROLLED, made, settings

HEADER = "file,subject,clip,label,species\n"


def parsed(*arguments: str) -> argparse.Namespace:
    """The options of a call, not settled yet."""
    parser = argparse.ArgumentParser()
    evaluate.add(parser.add_subparsers(required=True))
    return parser.parse_args(["evaluate", "pad", *arguments])


def run(*arguments: str) -> None:
    """`doorward-export evaluate pad` with these arguments."""
    options = parsed(*arguments)
    options.action(options)


# ---- Options


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--simulated", "--networks-only"), "a render is an animated photograph"),
        (("--simulated", "--threshold", "0.5"), "--threshold belongs to --networks-only"),
        (("--manifest", "m.csv", "--rule", "min"), "--rule belongs to --networks-only"),
        (("--simulated", "--images", "d"), "--images belongs to --manifest"),
        (("--manifest", "m.csv", "--half", "tuning"), "--half belongs to --simulated"),
        (("--manifest", "m.csv", "--count", "3"), "--count belongs to --simulated"),
        (("--manifest", "m.csv", "--ablation"), "--ablation belongs to --simulated"),
        (("--manifest", "m.csv", "--steps", "2"), "--steps belongs to --simulated"),
        (("--manifest", "m.csv", "--without-passive"), "--without-passive belongs to --simulated"),
        (("--manifest", "m.csv", "--networks-only", "--level", "high"), "--level has no part in --networks-only"),
        (("--manifest", "m.csv", "--networks-only", "--traces", "t"), "--traces has no part in --networks-only"),
        (("--simulated", "--without-passive", "--level", "high"), "level high needs the passive networks"),
        (("--simulated", "--count", "0"), "--count 0: 1 to"),
        (("--simulated", "--workers", "0"), "--workers 0: 1 to"),
        (("--simulated", "--species", "hologram"), "there is no simulated 'hologram'"),
        (("--simulated", "--key-file", "k"), "--key-file has no part here"),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_done(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """With the option and what to do, and nothing is written."""
    with pytest.raises(UsageError) as caught:
        run(*arguments, "--state", str(tmp_path / "none"), "--html", str(tmp_path / "page.html"))
    assert said in caught.value.message
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_page_for_a_folder_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    """Not after an hour of rendering."""
    with pytest.raises(NotFoundError, match="no folder"):
        run("--simulated", "--state", str(tmp_path), "--html", str(tmp_path / "none" / "page.html"))


@pytest.mark.parametrize(
    "given",
    [
        ("--simulated", "--without-passive", "--steps", "2", "--species", "live,print_tilt", "--ablation"),
        ("--manifest", "a b.csv", "--level", "convenience", "--traces", "t"),
        ("--manifest", "m.csv", "--networks-only"),
    ],
)
def test_the_command_of_a_page_measures_the_same_again(given: tuple[str, ...]) -> None:
    """Settled once more it gives the same options, but for where the result goes."""
    options = parsed(*given)
    evaluate_pad.settle(options)
    again = parsed(*shlex.split(reproducing_command(options))[3:])
    evaluate_pad.settle(again)
    assert vars(again) == {**vars(options), "html": Path("pad.html")}


def test_what_was_not_given_is_filled_in() -> None:
    """Held-out presentations, unless said otherwise; the networks alone by their median at a half."""
    simulated, networks = parsed("--simulated"), parsed("--manifest", "m.csv", "--networks-only")
    evaluate_pad.settle(simulated)
    evaluate_pad.settle(networks)
    assert (simulated.half, simulated.count, simulated.threshold) == ("held-out", 20, None)
    assert (networks.half, networks.threshold, networks.rule, networks.workers) == (None, 0.5, "median", None)
    assert simulated.workers >= 1


# ---- What is presented


def test_the_halves_share_no_presentation() -> None:
    """Even numbers are for tuning, odd ones are held out; both begin at their first."""
    tuning, held_out = (
        {item.name for item in simulated_items([Species.PRINT_TILT], half=half, count=50)} for half in Half
    )
    assert len(tuning) == len(held_out) == 50
    assert not tuning & held_out
    assert [item.number for item in simulated_items([Species.LIVE], half=Half.HELD_OUT, count=3)] == [1, 3, 5]
    assert [str(half) for half in Half] == list(evaluate_pad.HALVES)


def test_species_keep_the_order_of_the_catalogue() -> None:
    """All of them unless some are named."""
    assert species_of(None) == tuple(Species)
    assert species_of("print_tilt,live") == (Species.LIVE, Species.PRINT_TILT)


def test_photographs_of_one_person_share_an_identity() -> None:
    """By name without number."""
    assert [identity_of(name) for name in ("obama.jpg", "obama3.jpg", "biden.jpg")] == ["obama", "obama", "biden"]


def clip(file: str, *, species: str | None = None) -> Presentation:
    """One row of a manifest."""
    return Presentation(subject="ann", clip=file, species=species, files=(Path(file),))


def test_clips_are_numbered_within_their_attack_type() -> None:
    """What is bona fide is live."""
    items = recorded_items([clip("a.mkv"), clip("b.gif", species="print"), clip("c.mp4")])
    assert [(each.species, each.number, each.file.name) for each in items] == [
        (LIVE, 0, "a.mkv"),
        ("print", 0, "b.gif"),
        (LIVE, 1, "c.mp4"),
    ]


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (clip("a.png"), "made of pictures"),
        (clip("a.mkv", species="live"), "cannot be called 'live'"),
        (clip("a.mkv", species="../up"), "cannot be called '../up'"),
    ],
)
def test_clips_that_the_policy_cannot_judge_are_refused(shown: Presentation, said: str) -> None:
    """Pictures have no time; a name that is a path names no trace."""
    with pytest.raises(UsageError, match=said) as caught:
        recorded_items([shown])
    assert caught.value.hint


# ---- Playing


def kept(folder: Path, *numbers: int, **changes: Any) -> tuple[tuple[Simulated, ...], TraceCache]:
    """Tilted prints and one living visitor in a cache."""
    cache = TraceCache(folder, key="0" * 64)
    for number in numbers:
        cache.put(made(species="print_tilt", number=number, **changes))
    cache.put(made(species="live", number=1))
    items = [Simulated(Species.PRINT_TILT, number) for number in numbers]
    return (*items, Simulated(Species.LIVE, 1)), cache


def played(items: tuple[Simulated, ...], cache: TraceCache, *, passive: bool, variants: bool = False) -> Measured:
    """Everything played to the default policy."""
    policy = settings(passive=passive)
    return measure(
        items,
        cache=cache,
        policies=ablated(policy) if variants else (policy,),
        enrolled=lambda _: ENROLLED,
        identities_known=True,
        answers=True,
        reporter=Silent(),
        started_s=0.0,
    )


def test_every_presentation_is_played_to_the_policy_and_to_its_variants(tmp_path: Path) -> None:
    """Each variant sees the same attempts, and each has a meaning that a reader is told."""
    items, cache = kept(tmp_path / "t", 1, 3, obeys=False)
    found = played(items, cache, passive=False, variants=True)
    assert sorted((each.species, each.number) for each in found.attempts) == [
        (LIVE, 1),
        ("print_tilt", 1),
        ("print_tilt", 3),
    ]
    assert [each.proven for each in found.attempts if each.species == LIVE] == [True]
    assert not any(each.proven for each in found.attempts if each.species != LIVE)
    assert "without_planarity" in found.variants
    assert all(len(attempts) == 3 for attempts in found.variants.values())
    assert set(found.variants) <= set(MEANINGS)


def test_a_session_that_ran_out_of_presentations_is_left_out(tmp_path: Path) -> None:
    """Three failed challenges lock a face: of four attempts the last is the beginning of a session that never ended."""
    items, cache = kept(tmp_path / "t", 1, 3, 5, 7, obeys=False)
    found = played(items, cache, passive=False)
    assert [len(session) for session in found.sessions] == [3]
    assert len(found.sessions[0]) < MOST_ATTEMPTS
    assert len(found.attempts) == 5


def test_living_visitors_make_no_sessions_of_attacks(tmp_path: Path) -> None:
    """A session is an attacker's."""
    items, cache = kept(tmp_path / "t")
    assert played(items, cache, passive=False).sessions == []


def test_a_trace_that_has_gone_is_an_error(tmp_path: Path) -> None:
    """Never an attempt less."""
    items, cache = kept(tmp_path / "t", 1)
    next(cache.folder.glob("print_tilt*")).unlink()
    with pytest.raises(StateError, match="has gone"):
        played(items, cache, passive=False)


# ---- As a user calls it


@pytest.mark.slow
def test_simulated_presentations_give_json_tables_and_a_page(
    door_state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A visitor who answers passes, a shaken print does not; told again from kept traces, nothing changes."""
    arguments = (
        *("--simulated", "--count", "1", "--species", "live,print_jitter", "--workers", "1", "--ablation"),
        *("--state", str(door_state), "--traces", str(tmp_path / "traces")),
    )
    run(*arguments, "--html", str(tmp_path / "page.html"), "--csv", str(tmp_path / "csv"), "--json", "-")
    first = PolicyResult.model_validate_json(capsys.readouterr().out)
    assert [(each.species, each.proven) for each in first.attempts] == [(LIVE, True), ("print_jitter", False)]
    assert first.origin.source == "simulated"
    assert stat.S_IMODE((tmp_path / "traces").stat().st_mode) == 0o700
    page = (tmp_path / "page.html").read_text()
    assert "A render is an animated photograph" in page
    assert "evaluate pad --pack door" in page
    assert (tmp_path / "csv" / "pad_attempts.csv").read_text().count("\n") == 3
    run(*arguments)
    told = capsys.readouterr().out
    assert told.startswith("SIMULATED")
    assert "0 of 1: at most 100.0 % with 95 % confidence" in told
    run(*arguments, "--json", str(tmp_path / "again.json"))
    again = json.loads((tmp_path / "again.json").read_text())
    assert again | {"elapsed_s": 0} == json.loads(first.model_dump_json()) | {"elapsed_s": 0}


def test_recorded_clips_are_accepted_or_challenged_and_never_vetoed(
    shared: Path, door_plus_state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two people of the office clips, on the pack with the networks; nothing is kept of them."""
    (tmp_path / "clips.csv").write_text(
        HEADER + "intel_asl_yes.mkv,A,yes,bona_fide,\nintel_asl_bird.mkv,B,bird,bona_fide,\n"
    )
    run(
        *("--manifest", str(tmp_path / "clips.csv"), "--images", str(shared / "clips"), "--pack", "door-plus"),
        *("--state", str(door_plus_state), "--workers", "1", "--json", "-"),
    )
    found = PolicyResult.model_validate_json(capsys.readouterr().out)
    assert {each.outcome for each in found.attempts} <= {"accepted", "challenged"}
    assert found.bona_fide is not None
    assert (found.bona_fide.bpcer.count, found.bona_fide.bpcer.trials) == (0, 2)
    assert found.bona_fide.granted is None
    assert {path.name for path in tmp_path.iterdir()} == {"clips.csv"}
