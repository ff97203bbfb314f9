"""The table of docs/liveness.md, asked from the very rules that decide at the door.

Brought up to date by `python -m export_tools.liveness_table --write`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from device.access.doubts import BLINDING, DULLING, FRAMING
from device.access.liveness import Level, LivenessRules, Move, Ruling, Standpoint, rule
from device.config import Config, LivenessConfig
from device.errors import UsageError
from device.types import PassiveVerdict
from device.wiring.liveness import configured_rules

PAGE: Final = Path(__file__).parents[1] / "docs" / "liveness.md"
BEGIN: Final = "<!-- table: python -m export_tools.liveness_table --write -->"
END: Final = "<!-- end of table -->"
#: Every kind of case once, in the order in which a visit meets them.
CASES: Final = (
    ("no passive networks in the pack", Standpoint(PassiveVerdict.ABSENT)),
    ("fewer than K answers so far", Standpoint(PassiveVerdict.GATHERING)),
    ("fewer than K answers, time is up", Standpoint(PassiveVerdict.GATHERING, late=True)),
    (
        "fewer than K answers, but three and all of them for life, time is up",
        Standpoint(PassiveVerdict.GATHERING, late=True, hopeful=True),
    ),
    ("spoof", Standpoint(PassiveVerdict.SPOOF)),
    ("live", Standpoint(PassiveVerdict.LIVE)),
    ("live, but blurred or noisy", Standpoint(PassiveVerdict.LIVE, doubts=DULLING)),
    (
        "anything but spoof, in pictures that blind the networks",
        Standpoint(PassiveVerdict.LIVE, doubts=BLINDING - DULLING),
    ),
    (
        "anything but spoof, in pictures that blind the networks, time is up",
        Standpoint(PassiveVerdict.LIVE, doubts=BLINDING - DULLING, late=True),
    ),
    ("live, with a bezel or several faces", Standpoint(PassiveVerdict.LIVE, doubts=FRAMING)),
    ("live, but left undecided or failed a moment ago", Standpoint(PassiveVerdict.LIVE, owes=True)),
    ("undecided", Standpoint(PassiveVerdict.UNDECIDED)),
    ("undecided, time is up", Standpoint(PassiveVerdict.UNDECIDED, late=True)),
    ("undecided, blurred or noisy", Standpoint(PassiveVerdict.UNDECIDED, doubts=DULLING)),
    ("undecided, blurred or noisy, time is up", Standpoint(PassiveVerdict.UNDECIDED, doubts=DULLING, late=True)),
    ("undecided, with a bezel or several faces", Standpoint(PassiveVerdict.UNDECIDED, doubts=FRAMING)),
    ("undecided, and left undecided or failed a moment ago", Standpoint(PassiveVerdict.UNDECIDED, owes=True)),
)


def shipped_rules(level: Level) -> LivenessRules:
    """The rules of the default configuration at this level."""
    return configured_rules(Config(liveness=LivenessConfig(level=level.value)))


def table() -> str:
    """Markdown, one row per case, one column per level."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "| the passive networks say | " + " | ".join(f"`{level}`" for level in Level) + " |"
    yield "|---" * (len(Level) + 1) + "|"
    for name, case in CASES:
        yield f"| {name} | " + " | ".join(_told(rule(case, shipped_rules(level))) for level in Level) + " |"


def _told(ruling: Ruling) -> str:
    if ruling.move is Move.CHALLENGE:
        return f"{ruling.steps} head turns"
    return f"refuse: `{ruling.reason}`" if ruling.move is Move.REFUSE else str(ruling.move)


def page_with(text: str) -> str:
    """The page with today's table in its place. Raises UsageError where it has no place for one."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UsageError(f"{PAGE} has no place for the table", hint=f"it stands between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}{END}{after}"


def main() -> None:
    """Print the table, or write it into its page."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(table())


if __name__ == "__main__":
    main()
