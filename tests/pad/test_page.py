"""The page of a policy: complete, honest about what it is, and nothing in the data becomes markup."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest

from device.types import Reason
from export_tools.pad.attempt import LIVE
from export_tools.pad.page import policy_page
from export_tools.pad.result import PolicyResult
from export_tools.report.conditions import told_conditions
from tests.export_tools import report_samples
from tests.pad.pad_samples import attempt, result, unseen

ATTACK = "<script>alert(1)</script>\"'&lt;<!--]]>"


def shown(found: PolicyResult) -> str:
    """The page under the conditions of all samples."""
    return policy_page(found, conditions=told_conditions(report_samples.conditions()))


def tree(text: str) -> ET.Element:
    """The page as XML, after its doctype."""
    doctype, _, rest = text.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    return ET.fromstring(rest)  # noqa: S314  # what this process wrote a moment ago


def words(text: str) -> str:
    """Everything that is read."""
    return " ".join(" ".join(tree(text).itertext()).split())


@pytest.mark.parametrize("recorded", [False, True])
def test_a_page_is_whole_and_fetches_nothing(recorded: bool) -> None:
    """Well-formed, one heading, plots inside it, ids of its own, no address and no script."""
    text = shown(result(recorded=recorded))
    root = tree(text)
    assert len(root.findall(".//h1")) == 1
    assert len(root.findall(".//svg")) >= 3
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    assert not re.search(r"https?:|//[a-z]|@import|javascript:|data:", text, re.IGNORECASE)
    assert not {node.tag for node in root.iter()} & {"script", "link", "img", "iframe", "form"}


def test_the_same_result_gives_the_same_bytes() -> None:
    """Whatever a user's matplotlib is set to."""
    first = shown(result())
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path"}):
        assert shown(result()) == first


def test_a_name_with_a_script_in_it_stays_a_name() -> None:
    """Attack types come out of a manifest that anybody may have written."""
    text = shown(result(name=ATTACK))
    assert "<script" not in text
    assert ATTACK.replace("_", " ") in "".join(tree(text).itertext())


def test_a_simulated_page_says_what_it_is_and_what_it_cannot_say() -> None:
    """Renderer, parameters and half; that a render is an animated photograph, and who is judged by what."""
    read = words(shown(result()))
    for expected in (
        "is simulated",
        "device.sim",
        "2" * 64,
        "held-out",
        "A render is an animated photograph",
        "reported and not claimed",
        "dlib-resnet29-v1-int8-u8",
        "standard",
        "2026-01-02",
        "doorward-export",
    ):
        assert expected in read


def test_a_recorded_page_claims_nothing_simulated() -> None:
    """But says what a clip cannot do."""
    read = words(shown(result(recorded=True)))
    assert "Recordings cannot answer a prompt" in read
    assert "1" * 64 in read
    assert "imulated" not in read


def test_the_worst_attack_type_leads_and_no_mean_is_told() -> None:
    """One of three phones; the prints follow with their bound."""
    read = words(shown(result()))
    assert "Worst attack type, per attempt (APCER) replay phone: 1 of 3: 33.3 %" in read
    assert read.index("replay phone 33.33 %, 1 of 3") < read.index("print tilt 0.00 %, 0 of 4 at most 75.0 %")
    assert "ACER " not in read


def test_few_judged_turns_are_seen_for_what_they_are() -> None:
    """Two of the prints' attempts came as far as the gate, which stopped all three turns of theirs."""
    read = words(shown(result()))
    assert (
        "print tilt 0.00 %, 0 of 4 at most 75.0 % 0.00 %, 0 of 1 too few to say 0 of 4 0 3 0 of 3, in 2 attempts 1"
        in read
    )
    assert "Turns that passed the gate 4 of 4" in read
    assert "to be reached less the standard error" in read


def test_where_nothing_passed_the_bound_is_told() -> None:
    """By the rule of three."""
    attempts = [attempt("print_tilt", number) for number in range(200)]
    read = words(shown(result(attempts=attempts)))
    assert "no attack of any type passed; least sure of print tilt, 0 of 200: at most 1.5 % with 95 %" in read


def test_variants_that_let_more_attacks_pass_stand_out() -> None:
    """And only those; that more living visitors pass is no harm."""
    root = tree(shown(result()))
    assert [node.text for node in root.iter("strong")] == ["4/4", "3/3"]


def test_errors_are_listed_one_by_one() -> None:
    """The phone that passed and the visitor that did not; of recordings every clip."""
    simulated, recorded = words(shown(result())), words(shown(result(recorded=True)))
    assert "replay phone 3 ann challenged passed 7.00 s 0.0500 0.50" in simulated
    assert "living 3 bob challenged no response 5.00 s" in simulated
    assert "2 attempts" in simulated
    assert "13 clips" in recorded


@pytest.mark.parametrize(
    "attempts",
    [
        [],
        [unseen("print_tilt", 1)],
        [unseen(LIVE, 1)],
        [attempt("print_tilt", 1, reason=Reason.VETOED)],
        [attempt(LIVE, 1, proven=True, residuals=(0.0,))],
    ],
    ids=["nothing", "an attack unseen", "a visitor unseen", "one attack", "one visitor without a residual"],
)
def test_a_page_of_next_to_nothing_is_a_page(attempts: list[object]) -> None:
    """What was not measured is missing or said; nothing breaks."""
    found = result(attempts=attempts)  # type: ignore[arg-type]
    root = tree(shown(found.model_copy(update={"ablation": ()})))
    assert len(root.findall(".//h1")) == 1
