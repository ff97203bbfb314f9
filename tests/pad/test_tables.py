"""A policy's figures on the terminal, and the sentences that say what a rate allows to say."""

from __future__ import annotations

import pytest

from export_tools.evaluate.intervals import counted
from export_tools.pad.attempt import LIVE
from export_tools.pad.tables import ablation_rows, attack_rows, outcome_rows, print_policy
from export_tools.pad.words import bound, counts, headline, seconds, statement
from tests.pad.pad_samples import attempt, result


@pytest.mark.parametrize(
    ("count", "trials", "said"),
    [
        (0, 200, "0 of 200: at most 1.5 % with 95 % confidence"),
        (0, 9, "0 of 9: at most 33.3 % with 95 % confidence"),
        (3, 200, "3 of 200: 1.5 %, from 0.3 % to 4.3 % with 95 % confidence"),
        (20, 20, "20 of 20: at least 85.0 % with 95 % confidence"),
        (0, 0, "not measured"),
    ],
)
def test_a_rate_says_what_it_allows_to_say(count: int, trials: int, said: str) -> None:
    """Without any event a bound, never nought per cent; the interval is that of Clopper and Pearson."""
    assert statement(counted(count, trials)) == said


def test_what_was_not_measured_is_a_dash() -> None:
    """In a cell, and words in a sentence."""
    assert (counts(None), bound(None), statement(None), seconds(None)) == ("-", "-", "not measured", "not measured")


def test_two_of_two_say_nothing() -> None:
    """By the rule of three nothing is excluded."""
    assert (bound(counted(2, 2)), bound(counted(0, 3))) == ("too few to say", "too few to say")


def test_the_worst_attack_type_stands_first() -> None:
    """With its interval, its sessions, and why the others were denied."""
    columns, rows = attack_rows(result())
    assert [row[0] for row in rows] == ["replay phone", "print tilt"]
    phone = dict(zip(columns, rows[0], strict=True))
    assert phone["APCER"] == "33.33 %, 1 of 3"
    assert phone["per session"] == "1 of 2"
    assert phone["IAPAR"] == "1 of 4"
    assert phone["APNRR"] == "1 of 4"
    assert phone["turns passed"] == "2 of 2"
    assert dict(zip(columns, rows[1], strict=True))["turns passed"] == "0 of 3"
    assert phone["denied because"] == "wrong response 2, poor quality 1"


def test_an_attack_that_never_reached_the_gate_says_nothing_about_it() -> None:
    """None of nine passed, and the gate judged no turn of them."""
    columns, (row,) = attack_rows(result(attempts=[attempt("print_bent", number) for number in range(9)]))
    told = dict(zip(columns, row, strict=True))
    assert (told["APCER"], told["turns passed"]) == ("0.00 %, 0 of 9", "none judged")


def test_outcomes_of_every_kind_add_up() -> None:
    """Living visitors first."""
    _, rows = outcome_rows(result(recorded=True))
    assert rows[0] == ("living", "1", "3", "0", "0", "1")
    assert [sum(int(cell) for cell in row[1:]) for row in rows] == [5, 4, 4]


def test_variants_are_columns() -> None:
    """Empty where nothing was taken away."""
    columns, rows = ablation_rows(result())
    assert columns == ("passes without", "nothing", "planarity")
    assert rows[1] == ("print tilt", "0 of 4", "4 of 4")
    assert ablation_rows(result(recorded=True)) == ((), [])


def test_the_terminal_is_told_that_it_is_a_simulation(capsys: pytest.CaptureFixture[str]) -> None:
    """In the first line; a name out of a file drives no terminal."""
    print_policy(result(name="phone\x1b[31m[bold]"))
    told = capsys.readouterr().out
    assert told.startswith("SIMULATED: rendered from 4 photographs")
    assert "\x1b" not in told
    assert "[bold]" in told
    assert "worst     phone" in told


def test_a_recorded_run_says_that_being_asked_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Since a clip cannot answer."""
    print_policy(result(recorded=True))
    assert "they cannot answer a prompt" in capsys.readouterr().out


def test_no_attack_means_no_headline_about_one() -> None:
    """Living visitors alone are no evidence of anything."""
    assert headline(result(attempts=[attempt(LIVE, 1, proven=True)])) == "no attack got a response"
