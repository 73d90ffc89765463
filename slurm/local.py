"""A sweep's points on this machine's cores, a few at once, each a process of its own."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slurm import script
from slurm.code import FOLDER
from slurm.manifest import Manifest, Point

LOOK_S = 0.2
PR_SET_PDEATHSIG = 1


def run(made: Manifest, todo: Sequence[Point], *, folder: Path) -> None:
    """Run the points to their end; what fails is in its note, and the others go on.

    However this process ends, its points end too, and save if they can.
    """
    waiting = list(todo)
    with _children() as children:
        while waiting or children:
            while waiting and len(children) < made.limit:
                children.append(_start(made, waiting.pop(0), folder))
            children[:] = [child for child in children if child.poll() is None]
            time.sleep(LOOK_S)


@contextmanager
def _children() -> Iterator[list[subprocess.Popen[bytes]]]:
    """A list whose processes are told to end, and waited for, on the way out."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    children: list[subprocess.Popen[bytes]] = []
    try:
        yield children
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()
        signal.signal(signal.SIGTERM, before)


def _start(made: Manifest, point: Point, folder: Path) -> subprocess.Popen[bytes]:
    words = [f"sweep={made.name}", f"number={point.number}", f"checkpoints={folder.parents[1]}"]
    with (folder / "points" / f"{point.number:04d}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "slurm", "point", *words],
            env={**os.environ, **script.environment(made.site, folder / FOLDER)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_end_with_parent,
        )  # fmt: skip


def _end_with_parent() -> None:
    """Have the system tell this child to stop where its parent is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
