"""The console script, and `python -m export_tools`: nothing is imported before an interruption can be dealt with."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit; 130 when interrupted while it was being loaded."""
    try:
        from export_tools.cli import main as command_line  # noqa: PLC0415  # takes a second and more on a small board

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
