"""The console script, and `python -m device`: nothing is imported before an interruption can be dealt with."""

from __future__ import annotations

import sys
from importlib import import_module


def start(module: str) -> None:
    """Load a module, run its ``main`` and exit; 130 when interrupted, while it was being loaded too."""
    try:
        import_module(module).main()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)


def main() -> None:
    """Run `doorward`."""
    start("device.cli")


if __name__ == "__main__":
    main()
