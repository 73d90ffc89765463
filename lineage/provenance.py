"""Where a run came from: git revision and versions of the packages that matter."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "torch", "pytorch-lightning", "transformers", "peft", "trl", "opacus", "datasets",
    "hydra-core", "dp-accounting", "numpy", "safetensors", "tokenizers",
)  # fmt: skip


def git_revision() -> tuple[str, bool]:
    """Commit of the checkout and whether tracked files differ from it; ("", False) outside git."""
    here = Path(__file__).resolve().parent
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


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True)
    return done.stdout.decode().strip()
