"""The console script, and `python -m export_tools`: nothing is imported before an interruption can be dealt with."""

from __future__ import annotations

from device.__main__ import start


def main() -> None:
    """Run `doorward-export`."""
    start("export_tools.cli")


if __name__ == "__main__":
    main()
