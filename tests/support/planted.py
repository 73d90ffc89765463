"""What tests of private stages share: their modules loaded afresh, and a run that is killed."""

import importlib.util
from pathlib import Path
from types import ModuleType


def module(path: Path) -> ModuleType:
    """A test module of its own, so that a plant reaches its names and nobody else's."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def killed_at(step: int) -> str:
    """A program that trains what its words say, and is killed as ``step`` of a stage begins."""
    return f"""
import os, signal, sys
from conf.compose import load
from train.private import PrivateStage
from train.run import execute

release = PrivateStage._release

def dies(self, step):
    if step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return release(self, step)

PrivateStage._release = dies
execute(load(sys.argv[1:]))
"""
