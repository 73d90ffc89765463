"""Where a run came from: git revision, versions of the packages that matter, kind of machine."""

import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "torch", "pytorch-lightning", "transformers", "peft", "trl", "opacus", "datasets",
    "hydra-core", "dp-accounting", "numpy", "safetensors", "tokenizers",
)  # fmt: skip
KEPT = ".revision.json"  # in a copy of the checkout: what it is a copy of


def git_revision() -> tuple[str, bool]:
    """Commit of the checkout and whether tracked files differ from it; ("", False) outside git."""
    here = Path(__file__).resolve().parent
    if (kept := here.parent / KEPT).exists():
        found = json.loads(kept.read_text())
        return found["revision"], found["dirty"]
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return commit, bool(_git(here, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "", False


def packages() -> dict[str, str]:
    """Installed versions of the packages that decide a run's figures."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str | int]:
    """What a time or a rounding depends on; never a host's or a user's name."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": packages().get("torch", ""),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True)
    return done.stdout.decode().strip()
