"""YAML as the project reads it: text, plain numbers, truth values and nothing, in lists and in tables of words.

YAML 1.1 also makes dates, numbers to the base of sixty (``1:30``) and objects by tags out of what looks like text. Each
of them has a way to fail, or to take for ever, that is not YAML's own error; none of them is ever wanted here.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_TYPES = {
    "null": r"(?:~|null|Null|NULL|)\Z",
    "bool": r"(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)\Z",
    # What has more digits is no number that anybody means.
    "int": r"[-+]?(?:0|[1-9][0-9]{0,17})\Z",
    "float": (
        r"(?:[-+]?(?:[0-9]{1,18}\.[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][-+][0-9]{1,3})?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
}


class PlainLoader(yaml.SafeLoader):
    """SafeLoader that makes plain values only, and refuses tags, keys that are no words, and keys given twice.

    What is no plain number stays text: the schema behind it says whether text may stand there.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 as its base declares it
        None: [(f"tag:yaml.org,2002:{name}", re.compile(pattern)) for name, pattern in _TYPES.items()]
    }

    def fetch_tag(self) -> None:
        """Refuse it. Raises ScannerError."""
        raise yaml.scanner.ScannerError(None, None, "tags are not allowed", self.get_mark())

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """A table. Raises ConstructorError."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice or is not a word", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class StrictLoader(PlainLoader):
    """The same without aliases (a small file could expand without end)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A value. Raises ConstructorError."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", None)
        return super().compose_node(parent, index)
