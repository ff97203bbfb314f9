"""Resolve the lock files: `python -m export_tools.lock`.

One file per Python and machine, `config/lock/cp311-x86_64.txt` and so on, each line a package, its version and the
sha256 of the one wheel that was chosen. pip itself resolves, for all targets from one machine: it is told the target's
wheel tags, and its environment markers are answered with the target's values instead of the host's. Nothing is built;
a package without a wheel is a mistake unless it is named in `MAY_LACK_A_WHEEL`: then it is left out of that lock and
the record says so.

The locks hold no addresses, so that any index or mirror serves them.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tomli
import typer
from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

from device.errors import DoorwardError, DownloadError

ROOT = Path(__file__).resolve().parent.parent
LOCK_DIR = ROOT / "config" / "lock"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
EXTRAS = ("ann", "bench", "dev", "evaluate", "export")
"""What install.sh sets up beside the run-time packages: one set serves the demo, the tests and the checks."""

PI_EXTRA = "pi"
"""Resolved for aarch64 only."""

MAY_LACK_A_WHEEL = frozenset({"ai-edge-litert", "dlib-bin", "lgpio"})
"""References for tests and the driver that apt has as well: without them everything else still works."""

SOURCES = {
    "ann": (("hnswlib", "0.8.0"),),
    "bench": (("face-recognition", "1.3.0"), ("face-recognition-models", "0.3.0")),
}
"""Installed one by one from pinned source distributions, without their dependencies."""

GLIBC_MINORS = range(35, 16, -1)
"""glibc 2.17 to 2.35: the youngest that Ubuntu 22.04 and JetPack 6 accept."""

PIP_TIMEOUT_S = 30

# pip answers markers for the interpreter that runs it, whatever --python-version says; this answers for the target.
_PIP_FOR_TARGET = """
import json, sys
from pip._vendor.packaging import markers
target = json.loads(sys.argv.pop(1))
own = markers.default_environment()
markers.default_environment = lambda: {**own, **target}
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A Python on a machine, e.g. `cp311-aarch64`."""

    python: str
    machine: str

    @property
    def name(self) -> str:
        """The lock's file name without its ending."""
        return f"cp{self.python.replace('.', '')}-{self.machine}"

    @property
    def markers(self) -> dict[str, str]:
        """What PEP 508 markers see there; `.2` is the oldest patch release in use (Debian 12 has 3.11.2)."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.2",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.2",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    @property
    def pip_options(self) -> list[str]:
        """The options that make pip choose this target's wheels."""
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in GLIBC_MINORS]
        tags += [f"manylinux2014_{self.machine}", f"linux_{self.machine}"]
        if self.machine == "x86_64":
            tags += ["manylinux2010_x86_64", "manylinux1_x86_64"]
        options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", self.python]
        return options + [option for tag in tags for option in ("--platform", tag)]


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock; `glibc_minor` is what the chosen wheel asks for (17 where it asks for less or nothing)."""

    name: str
    version: str
    sha256: str
    glibc_minor: int

    def __str__(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What one target asks for: packages it must have, packages that may be left out."""

    firm: tuple[str, ...]
    optional: tuple[str, ...]


def requirement_name(requirement: str) -> str:
    """Return the normalised package name of a requirement such as `Foo_bar[x]>=1` (PEP 503)."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    if match is None:
        raise ValueError(requirement)
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def requirements(machine: str) -> Requirements:
    """Read from pyproject.toml what the lock of this machine has to hold."""
    project = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (*EXTRAS, PI_EXTRA) if machine == "aarch64" else EXTRAS
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    from_source = {name for sources in SOURCES.values() for name, _ in sources}
    wanted = sorted({item for item in wanted if requirement_name(item) not in from_source})
    return Requirements(
        firm=tuple(item for item in wanted if requirement_name(item) not in MAY_LACK_A_WHEEL),
        optional=tuple(item for item in wanted if requirement_name(item) in MAY_LACK_A_WHEEL),
    )


def _glibc_minor(file_name: str) -> int:
    """Return y of the oldest `manylinux_2_y` tag of a wheel's name; its older spellings mean 2.17 and less."""
    if "manylinux" not in file_name or re.search(r"manylinux(1|2010|2014)_", file_name):
        return min(GLIBC_MINORS)
    return min(int(minor) for minor in re.findall(r"manylinux_2_(\d+)_", file_name))


def _pip(target: Target, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run pip for a target, without the wheel folders and second indexes that this machine may know."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"}
    }
    command = [sys.executable, "-c", _PIP_FOR_TARGET, json.dumps(target.markers), *arguments]
    return subprocess.run(
        command,
        env={**environment, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def resolve(target: Target, wanted: tuple[str, ...], *, with_dependencies: bool = True) -> tuple[Pin, ...]:
    """Resolve requirements for one target, sorted by name.

    Raises:
        DownloadError: pip finds no set of wheels, or no index.
    """
    arguments = ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    arguments += ["--timeout", str(PIP_TIMEOUT_S), *target.pip_options, *wanted]
    if not with_dependencies:
        arguments.append("--no-deps")
    with tempfile.TemporaryDirectory() as nowhere:  # pip wants to hear of a folder even when it installs nothing
        done = _pip(target, [*arguments, "--target", nowhere])
    if done.returncode != 0:
        raise DownloadError(
            f"{target.name}: pip cannot resolve {' '.join(wanted)}\n{done.stderr.strip()}",
            hint="is the index reachable (PIP_INDEX_URL, proxy), and has it a wheel for this Python and machine?",
        )
    pins = [
        Pin(
            name=requirement_name(item["metadata"]["name"]),
            version=item["metadata"]["version"],
            sha256=item["download_info"]["archive_info"]["hashes"]["sha256"],
            glibc_minor=_glibc_minor(item["download_info"]["url"].rpartition("/")[2]),
        )
        for item in json.loads(done.stdout)["install"]
    ]
    return tuple(sorted(pins, key=lambda pin: pin.name))


def has_wheel(target: Target, requirement: str) -> bool:
    """Tell whether the index has a wheel for this target.

    Raises:
        DownloadError: pip failed for another reason than a missing wheel.
    """
    try:
        resolve(target, (requirement,), with_dependencies=False)
    except DownloadError as error:
        if "No matching distribution found" in error.message:
            return False
        raise
    return True


def source_pin(name: str, version: str) -> Pin:
    """Return the pin of a source distribution, read from the index without unpacking or running it.

    Raises:
        DownloadError: The index does not have it.
    """
    with PyPISimple(os.environ.get("PIP_INDEX_URL", PYPI_SIMPLE_ENDPOINT)) as client:
        page = client.get_project_page(name, timeout=PIP_TIMEOUT_S)
    for package in page.packages:
        if package.package_type == "sdist" and package.version == version:
            return Pin(name, version, package.digests["sha256"], min(GLIBC_MINORS))
    raise DownloadError(f"the index has no source distribution of {name} {version}", hint="name another version")


def _write(name: str, title: str, pins: tuple[Pin, ...]) -> None:
    lines = [f"# {title}", "# Written by `python -m export_tools.lock`.", *map(str, pins)]
    (LOCK_DIR / f"{name}.txt").write_text("\n".join(lines) + "\n")


def lock_target(target: Target) -> dict[str, object]:
    """Resolve and write one lock; returns its line of the record.

    Raises:
        DownloadError: pip finds no set of wheels, or no index.
    """
    wanted = requirements(target.machine)
    present = tuple(item for item in wanted.optional if has_wheel(target, item))
    pins = resolve(target, wanted.firm + present)
    glibc = f"2.{max(pin.glibc_minor for pin in pins)}"
    _write(target.name, f"CPython {target.python}, Linux {target.machine}, glibc >= {glibc}", pins)
    kept = {requirement_name(item) for item in present}
    return {
        "packages": len(pins),
        "glibc": glibc,
        "left_out": sorted(requirement_name(item) for item in wanted.optional if requirement_name(item) not in kept),
    }


def lock_sources() -> None:
    """Write the pins of pip itself and of the source distributions."""
    oldest = Target(PYTHONS[0], MACHINES[0])
    _write("pip", "pip itself: every target is installed by the same one", resolve(oldest, ("pip",)))
    for extra, sources in SOURCES.items():
        pins = tuple(source_pin(name, version) for name, version in sources)
        _write(extra, f"extra `{extra}`: source distributions, installed with --no-deps", pins)


def main(
    only: Annotated[list[str] | None, typer.Option(help="A target, e.g. cp311-x86_64; may be repeated.")] = None,
) -> None:
    """Resolve the locks of all targets and record the result."""
    record_file = LOCK_DIR / "results.json"
    LOCK_DIR.mkdir(parents=True, exist_ok=True)
    record = json.loads(record_file.read_text()) if record_file.exists() else {"targets": {}}
    lock_sources()
    for target in (Target(python, machine) for python in PYTHONS for machine in MACHINES):
        if only and target.name not in only:
            continue
        typer.echo(f"{target.name}: ", nl=False)
        entry = {
            "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
            **lock_target(target),
        }
        record["targets"][target.name] = entry
        typer.echo(json.dumps(entry))
    version = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, check=True)
    record["pip"] = version.stdout.split()[1]
    record["targets"] = dict(sorted(record["targets"].items()))
    record_file.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    try:
        typer.run(main)
    except DoorwardError as error:
        typer.echo(f"{error.message}\n{error.hint}", err=True)
        sys.exit(error.exit_code)
