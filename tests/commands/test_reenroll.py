"""`doorward people reenroll`: a folder per person, each settled by itself, with and without a running daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.app.frames import AttachedFile, ToldError
from device.app.requests import PeopleListRequest, Request
from device.clock import SystemClock
from device.commands.session import LocalSession
from device.config import Config
from device.store.people import insert_person, list_people, new_handle
from device.types import Embedding, Person
from device.wiring.state import open_state
from tests.commands.test_with_daemon import daemon as daemon  # noqa: PLC0414  # a fixture
from tests.commands.test_with_daemon import pictures as pictures  # noqa: PLC0414  # a fixture that it needs

OLD = "old-embedder-1"


@pytest.fixture
def before(state_with_pack: Path) -> dict[str, str]:
    """People enrolled with an embedder that is gone, handles by name; two share a name."""
    with open_state(state_with_pack, Config(), clock=SystemClock(), create=True) as state:
        for number, name in enumerate(("Barack", "Joe", "Twin", "Twin")):
            vector = np.zeros(128, np.float32)
            vector[number] = 1
            person = Person(
                handle=new_handle(),
                name=name,
                enabled=True,
                valid_from=None,
                valid_until=None,
                enrolled_at=datetime.now(timezone.utc),
                photos=1,
                models=(OLD,),
            )
            template = Embedding(vector=vector, model=OLD)
            with state.database.unit() as unit:
                insert_person(unit, person, singles=(template,), mean=template)
        return {person.name: person.handle for person in list_people(state.database)}


@pytest.fixture
def put(tmp_path: Path, demo_photos: dict[str, bytes]) -> Callable[..., Path]:
    """Put photographs into a person's folder; the folder of them all."""

    def write(folder: str, *names: str) -> Path:
        place = tmp_path / "people" / folder
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            (place / name).write_bytes(demo_photos[name])
        return tmp_path / "people"

    return write


def _results(told: Any) -> dict[str, str]:
    return {each["handle"]: each["result"] for each in told.json["people"]}


def test_each_person_is_settled_by_the_folder_of_that_name_or_handle(
    doorward: Any, before: dict[str, str], put: Callable[..., Path]
) -> None:
    """Enrolled, or still waiting; what else lies there is pointed out, and a second call does only what is left."""
    put("Barack", "obama.jpg", "obama2.jpg")
    put("Somebody")
    put(".hidden")
    put("Twin", "biden.jpg")
    folder = put(before["Joe"][:8], "biden.jpg")
    (folder / "list.txt").touch()
    done = doorward("people", "reenroll", folder, "--json")
    assert done.code == 0, done.err
    results = _results(done)
    assert results.pop(before["Barack"]) == results.pop(before["Joe"]) == "enrolled"
    assert set(results.values()) == {"waits"}
    assert sorted(done.json["waiting"]) == sorted(results)
    assert done.json["unknown_folders"] == ["Somebody", "Twin"]
    assert {each["name"]: each["photos"] for each in done.json["people"]}["Barack"] == 2
    again = doorward("people", "reenroll", folder)
    assert again.code == 0
    assert "2 people still wait" in again.out
    entries = doorward("audit", "list", "--json").json["entries"]
    assert [entry["data"]["event"] for entry in entries] == ["replaced"] * 2
    assert [entry["data"]["by_uid"] for entry in entries] == [os.getuid()] * 2


def test_one_bad_folder_keeps_nobody_else_from_being_enrolled(
    doorward: Any, before: dict[str, str], put: Callable[..., Path]
) -> None:
    """Code 65 at the end; the reason stands beside the person, who is as before."""
    put("Barack", "obama.jpg", "obama_partial_face.jpg")
    folder = put("Joe", "biden.jpg")
    done = doorward("people", "reenroll", folder, "--json")
    assert done.code == 65
    assert "1 of 4" in done.err
    people = {each["name"]: each for each in done.json["people"]}
    assert people["Joe"]["result"] == "enrolled"
    assert people["Barack"]["result"] == "refused"
    assert "obama_partial_face.jpg" in people["Barack"]["detail"]
    assert people["Barack"]["hint"]
    assert doorward("people", "show", "Barack", "--json").json["models"] == [OLD]


@pytest.mark.parametrize("fault", ["empty", "two folders", "no pictures", "text", "twice"])
def test_a_folder_that_cannot_be_used_is_told(
    doorward: Any, before: dict[str, str], put: Callable[..., Path], fault: str
) -> None:
    """No photographs, two folders for one person, what is no photograph, one given twice."""
    folder = put("Barack")
    if fault == "two folders":
        put("Barack", "obama.jpg")
        put(before["Barack"], "obama.jpg")
    elif fault == "no pictures":
        (folder / "Barack" / "notes.txt").touch()
    elif fault == "text":
        (folder / "Barack" / "a.jpg").write_text("no picture")
    elif fault == "twice":
        put("Barack", "obama.jpg")
        (folder / "Barack" / "copy.jpg").write_bytes((folder / "Barack" / "obama.jpg").read_bytes())
    done = doorward("people", "reenroll", folder, "--json")
    assert done.code == 65
    assert _results(done)[before["Barack"]] == "refused"
    assert doorward("people", "show", "Barack", "--json").json["models"] == [OLD]


@pytest.mark.parametrize(("code", "ends"), [(65, False), (66, False), (64, False), (75, True), (70, True), (71, True)])
def test_what_is_wrong_with_the_appliance_ends_the_command(
    doorward: Any,
    before: dict[str, str],
    put: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    ends: bool,
) -> None:
    """A full gate or a broken pack is not one person's photographs: nobody else is tried, and the code is its own."""
    tried = []

    def refuses(_: LocalSession, request: Request, files: Sequence[AttachedFile] = ()) -> Any:
        if isinstance(request, PeopleListRequest):
            people = [{"handle": handle, "name": name, "ready": False} for name, handle in sorted(before.items())]
            return {"people": people}
        tried.append(len(files))
        raise ToldError("no", kind="BusyError", exit_code=code, hint="later")

    monkeypatch.setattr(LocalSession, "call", refuses)
    put("Barack", "obama.jpg")
    done = doorward("people", "reenroll", put("Joe", "biden.jpg"))
    assert done.code == (code if ends else 65)
    assert tried == ([1] if ends else [1, 1])


def test_a_place_without_folders_is_no_place(doorward: Any, before: dict[str, str], tmp_path: Path) -> None:
    """Nothing there, or nothing in it: code 66, before anybody is asked for."""
    (tmp_path / "nothing").mkdir()
    for place in ("nowhere", "nothing"):
        done = doorward("people", "reenroll", tmp_path / place)
        assert done.code == 66
        assert "hint: " in done.err


def test_everybody_is_enrolled_anew_only_when_asked_for(
    doorward: Any, before: dict[str, str], put: Callable[..., Path]
) -> None:
    """Who has a template is left alone; with --all it is replaced; who has no folder is never touched."""
    folder = put("Barack", "obama.jpg")
    assert doorward("people", "reenroll", folder).code == 0
    put("Barack", "obama2.jpg", "obama3.jpg")
    assert _results(doorward("people", "reenroll", folder, "--json"))[before["Barack"]] == "ready"
    done = doorward("people", "reenroll", folder, "--all", "--json")
    assert _results(done)[before["Barack"]] == "enrolled"
    shown = doorward("people", "show", "Barack", "--json").json
    assert len([each for each in shown["templates"] if each["model"] != OLD and each["kind"] == "single"]) == 3


def test_old_templates_go_when_asked_for(doorward: Any, before: dict[str, str], put: Callable[..., Path]) -> None:
    """Of those who are enrolled anew; the others keep theirs."""
    folder = put("Barack", "obama.jpg")
    done = doorward("people", "reenroll", folder, "--drop-old", "--json")
    assert done.json["dropped"] == [before["Barack"]]
    assert OLD not in doorward("people", "show", "Barack", "--json").json["models"]
    assert doorward("people", "show", "Joe", "--json").json["models"] == [OLD]
    assert "nobody" not in doorward("people", "reenroll", folder, "--drop-old").out


def test_the_running_door_takes_the_photographs_itself(
    before: dict[str, str], daemon: Any, doorward: Any, put: Callable[..., Path]
) -> None:
    """Through its socket: the same answers, and whoever was enrolled is known from then on."""
    put("Barack", "obama.jpg")
    folder = put("Joe", "obama2.jpg", "biden.jpg")
    done = doorward("people", "reenroll", folder, "--json")
    assert done.code == 65
    results = _results(done)
    assert results[before["Barack"]] == "enrolled"
    assert results[before["Joe"]] == "refused"
    assert doorward("status", "--json").json["daemon"]["pid"] == os.getpid()
    assert len(doorward("status", "--json").json["gallery"]["needs_template"]) == 3
    assert doorward("people", "reenroll", folder, "--drop-old", "--json").json["dropped"] == [before["Barack"]]
    assert doorward("audit", "verify").code == 0
