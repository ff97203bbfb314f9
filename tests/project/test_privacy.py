"""The product leaves nothing behind and calls nobody that its owner has not named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOAD_A_MODEL = """
import sys
from pathlib import Path
from device.vision.backends.onnx import OnnxSession
OnnxSession(Path(sys.argv[1]).read_bytes(), model="detector", threads=1)
"""


def test_running_a_model_leaves_no_trace_in_the_home(tmp_path: Path, root: Path, door_pack: Path) -> None:
    """ONNX Runtime would keep a device id and a queue of reports there; without them it sends none.

    CI and the switch itself are taken out of the environment: the backend has to see to it.
    """
    passed_on = {"PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    variables = {name: value for name, value in os.environ.items() if name in passed_on}
    variables |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", LOAD_A_MODEL, str(door_pack / "detector.onnx")]
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*"))
