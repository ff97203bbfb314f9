"""A daemon of its own process: how soon it is ready, how much memory it comes to need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from device.config import Config
from device.errors import DoorwardError


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """Of `doorward run` on a whole recording.

    Attributes:
        ready_s: From the process's start until everything runs, imports included.
        peak_rss_mb: Largest resident set, MiB.
    """

    ready_s: float
    peak_rss_mb: float


def measure_process(state: Path, source: Path, config: Config) -> ProcessCost:
    """Run the daemon on a recording to its end. Raises DoorwardError when it fails."""
    file = state / "bench.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    command = [
        sys.executable, "-c", "from device.cli import main; main()",
        "--state", str(state), "--config", str(file), "run", "--source", str(source), "--fast", "--json",
    ]  # fmt: skip
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if process.stdout is None:
            raise DoorwardError("the daemon's output cannot be read")
        ready_s = None
        for line in process.stdout:
            if ready_s is None and json.loads(line).get("event") == "ready":
                ready_s = time.perf_counter() - begun
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or ready_s is None:
        raise DoorwardError(
            f"the daemon ended with {process.returncode}", hint=f"try: doorward run --source {source} --fast"
        )
    return ProcessCost(ready_s=ready_s, peak_rss_mb=usage.ru_maxrss / 1024)
