"""The console script, and `python -m device`: nothing is imported before an interruption can be dealt with."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit; 130 when interrupted while it was being loaded."""
    try:
        from device.cli import main as command_line  # noqa: PLC0415  # takes half a second on a small board

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
