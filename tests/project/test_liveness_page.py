"""The policy's table in the documentation is the policy's."""

from __future__ import annotations

import pytest

from device.access.liveness import Level
from device.errors import UsageError
from device.types import PassiveVerdict
from export_tools.liveness_table import BEGIN, CASES, PAGE, page_with


def test_the_page_shows_todays_rules() -> None:
    """`python -m export_tools.liveness_table --write` brings it up to date."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with(page)


def test_every_verdict_of_the_networks_has_a_row_and_every_level_a_column() -> None:
    assert {case.passive for _, case in CASES} == set(PassiveVerdict)
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"`{level}`" in page.split(BEGIN)[1].splitlines()[1] for level in Level)


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(UsageError):
        page_with("# Liveness\n")
