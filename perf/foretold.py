"""How long stages take beside what ``python -m slurm plan probe=true`` foretold of them.

Into a fresh cache a plan probes, then the same stages are trained, each in a process of its own, as
a user would. What they took is the record that training leaves for the next plan.
"""

import json
import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any

from lineage.errors import TactError
from lineage.place import CHECKOUT

STAGES = ("base_tower", "align", "base_language", "instruct", "prefer")
MOST = 0.3  # share of what a stage took that its plan may be off
RUN = "taken"


def measure(*, experiment: str) -> dict[str, Any]:
    """Seconds of each stage, foretold and taken. Raises TactError where one of them fails."""
    load = os.getloadavg()[0]
    with TemporaryDirectory() as name:
        words = [f"experiment={experiment}", f"steps=[{','.join(STAGES)}]", f"cache={name}/cache",
                 f"checkpoints={name}/runs", "trainer.progress=false"]  # fmt: skip
        foretold = _seconds([*words, "probe=true"])
        _run(["-m", "train", *words, f"run={RUN}"])
        taken = _seconds(words, by=RUN)
    return {
        "experiment": experiment,
        "machine": f"{os.cpu_count()} cores", "load": [load, os.getloadavg()[0]],
        "stages": {
            stage: {"foretold_s": foretold[stage], "taken_s": taken[stage],
                    "ratio": foretold[stage] / taken[stage]}
            for stage in STAGES
        },
    }  # fmt: skip


def _seconds(words: list[str], *, by: str | None = None) -> dict[str, float]:
    """What a plan says of each stage; all that it took, where the record is by the run ``by``.

    TactError where it is not.
    """
    stages = json.loads(_run(["-m", "slurm", "plan", *words, "json=true"]))["stages"]
    if by is not None and any(each["time"]["run"] != by for each in stages):
        raise TactError(f"the plan is not by run={by}: some stage has too few steps to tell")
    times = {each["stage"]: each["time"] for each in stages}
    if by is None:
        return {stage: time["seconds"] for stage, time in times.items()}
    return {stage: time["seconds"] + time["prepare_s"] for stage, time in times.items()}


def _run(words: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise TactError(f"python {' '.join(words[:3])} failed; what it said stands above")
    return done.stdout
