"""A claim's run by ``train``'s own door: nothing is trained here.

A run is ``python -m train`` as anyone may start it; it passes over what is done and resumes.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from evaluation.claim_runs import Planned
from lineage import files
from lineage.errors import TactError
from lineage.place import CHECKOUT
from lineage.run import RunFolder

BEAT_S = 5.0


def train(one: Planned, beat: Callable[[], None]) -> float:
    """Run ``python -m train`` to its end; returns its seconds. TactError where it fails.

    What it prints goes to ``claim.log`` in the run folder. ``beat`` is called every few seconds.
    """
    RunFolder.open(one.folder.name, checkpoints=one.folder.parent)
    log, before = one.folder / "claim.log", seconds(one)
    begun, spent = time.monotonic(), 0.0
    with log.open("ab") as out, _child(one, out) as child:
        while child.poll() is None:
            _wait(child)
            spent = time.monotonic() - begun
            files.write_json(one.folder / "claim.json", {"seconds": before + spent})
            beat()
    if child.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-15:]
        raise TactError(
            f"run {one.folder.name} failed (status {child.returncode}):\n  "
            + "\n  ".join(last)
            + "\nThe same command goes on where it stopped. A run that began with another config "
            f"must make way: move {one.folder.name}/ elsewhere"
        )
    return spent


@contextmanager
def _child(one: Planned, out: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The run's process, which ends where this one is told to."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    command = [sys.executable, "-m", "train", *one.words, *one.places]
    child = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=out, stderr=out, stdin=subprocess.DEVNULL
    )
    try:
        yield child
    finally:
        child.terminate()
        child.wait()
        signal.signal(signal.SIGTERM, before)


def seconds(one: Planned) -> float:
    """How long it has trained and measured under claims, over all attempts."""
    path = one.folder / "claim.json"
    return float(files.read_json(path)["seconds"]) if path.exists() else 0.0


def _wait(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(timeout=BEAT_S)
    except subprocess.TimeoutExpired:
        return
