"""What holds for the house as a whole: layers, packages, imports without effect, clean files."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
FIND = PROJECT["tool"]["setuptools"]["packages"]["find"]
PACKAGES = [name.rstrip("*") for name in FIND["include"]]
HEAVY = "torch numpy transformers pytorch_lightning peft datasets numba cv2 sklearn hydra"
IMPORT_ALL = """
import importlib, os, pkgutil, random, signal, sys, threading
for name in sys.argv[1].split():
    importlib.import_module(name)
import numpy, torch

def state():
    return (
        dict(os.environ), random.getstate(), numpy.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(), torch.initial_seed(), torch.get_num_threads(),
        torch.get_default_dtype(), os.getcwd(), signal.getsignal(signal.SIGTERM),
        torch.are_deterministic_algorithms_enabled(), sys.path[:], threading.active_count(),
    )

before = state()
out, sys.stdout = sys.stdout, open(os.devnull, "w")
written = []
sys.stdout.write = sys.stderr.write = written.append
names = []
for package in sys.argv[2].split():
    names.append(package)
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")
    names += [m.name for m in found if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
changed = [n for n, (a, b) in enumerate(zip(before, state())) if a != b]
out.write(f"{len(names)} modules, changed {changed}, written {written}")
"""


def python(code: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in listed.stdout.decode().splitlines()]
    return [path for path in paths if path.is_file()]


def test_imports_go_down_the_layers() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_tools_know_every_package() -> None:
    folders = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    tool = PROJECT["tool"]
    assert folders == set(PACKAGES) == set(tool["mypy"]["packages"])
    assert folders == set(tool["importlinter"]["root_packages"])
    layers = " ".join(tool["importlinter"]["contracts"][0]["layers"]).replace("|", " ").split()
    assert folders == set(layers)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_the_checkouts_and_typed(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__file__ is not None
    assert Path(package.__file__).resolve() == ROOT / name / "__init__.py"
    assert (ROOT / name / "py.typed").exists()


def test_importing_has_no_effect() -> None:
    said = python(IMPORT_ALL, HEAVY, " ".join(PACKAGES))
    assert re.fullmatch(r"\d+ modules, changed \[\], written \[\]", said), said


def test_importing_a_package_is_quick() -> None:
    code = "import sys\nfor p in sys.argv[1].split(): __import__(p)\nprint('torch' in sys.modules)"
    assert python(code, " ".join(PACKAGES)) == "False\n"


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    home = "|".join(("home", "Users", "root", "opt", "work", "mnt", "scratch"))
    pattern = re.compile(rf"(?<![\w.:/}}-])/(?:{home})/\w|[\w.]+@[\w-]+\.(?:local|lan)\b".encode())
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in tracked()
        if path.suffix not in (".npz", ".png")
        for match in pattern.finditer(path.read_bytes())
    ]
    assert found == []


def test_every_target_of_the_makefile_is_phony() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = set(" ".join(re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)).split())
    targets = set(re.findall(r"^([a-z][\w-]*):", text, re.MULTILINE))
    assert targets == phony >= {"demo", "test", "lint", "system", "claims"}


def test_what_make_installs_is_pinned() -> None:
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *extras["dev"], *extras["photos"]]
    names = [re.split(r"[<>=!~\[ ;]", each)[0] for each in wanted]
    assert _plain(names) - _plain(pinned) == set()


def test_tests_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []  # tests/data would shadow data


def test_run_folders_are_ignored_and_the_data_package_is_not() -> None:
    def ignored(path: str) -> bool:
        return subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0

    assert ignored(os.path.join("checkpoints", "demo", "manifest.json"))
    assert not ignored(os.path.join("checkpoints", "README.md"))
    assert not ignored(os.path.join("data", "new.py"))


def _plain(names: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}
