"""Under which conditions an evaluation was made: day, pack, inputs, machine, and the command that makes it again."""

from __future__ import annotations

from dataclasses import dataclass

from export_tools.report.markup import Markup, element
from export_tools.report.page import listing, paragraph, section, together
from export_tools.report.result import Machine
from export_tools.report.words import many


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a page says beside its figures.

    Attributes:
        measured_on: The day, YYYY-MM-DD.
        pack: Which pack.
        inputs: Options that name files and folders, and what they were given, as it was given.
        machine: What it ran on.
        command: The command line that measures the same again.
    """

    measured_on: str
    pack: str
    inputs: tuple[tuple[str, str], ...]
    machine: Machine
    command: str


def told_conditions(conditions: Conditions) -> Markup:
    """As a section of a page."""
    machine = conditions.machine
    return section(
        "Where and when it was measured",
        listing(
            [
                ("Day", conditions.measured_on),
                ("Pack", conditions.pack),
                *((name, given) for name, given in conditions.inputs),
                ("Processor", f"{machine.processor}, {many(machine.cores, 'core')}, {machine.architecture}"),
                ("Features", ", ".join(machine.flags) or "none that matter here"),
                ("System", machine.system),
                ("Libraries", ", ".join(f"{each.name} {each.version}" for each in machine.libraries)),
            ]
        ),
        together(
            paragraph("Measure it again:"),
            element("pre", element("code", conditions.command)),
        ),
    )
