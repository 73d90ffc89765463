"""Code in a process that has the packages of this environment, all but Tact."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

# Tact is linked by a .pth file; without ``site`` none is read.
BEFORE = """
import importlib.util, sys
sys.path.append(sys.argv.pop(1))
assert not any(map(importlib.util.find_spec, ("data", "export", "lineage", "models", "train")))
"""


def run(code: str, *words: object, folder: Path) -> None:
    """Run ``code`` in ``folder`` with ``words``, and without a network."""
    python = [sys.executable, "-I", "-S", "-c", BEFORE + code, sysconfig.get_path("purelib")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    subprocess.run([*python, *map(str, words)], cwd=folder, env=environment, check=True)
