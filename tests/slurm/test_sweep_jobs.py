"""Sweeps that run: over both nodes with the controller restarted, and on local cores, killed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, wait

from lineage.errors import TactError
from lineage.place import CHECKOUT
from lineage.run import RunFolder
from privacy.ledger import Ledger
from slurm import client, manifest, sweep
from slurm.collect import collect
from slurm.sweep import Sweep

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("slurm")]


REPORT = ["steps=[base_language,instruct,report]"] + [
    f"report.{part}=false" for part in ("text", "flips", "interface", "strength", "curves")
]


@pytest.fixture
def words(private: list[str], pictures: Any) -> list[str]:
    """Eight points of some twenty seconds: four budgets, two seeds."""
    axes = ["privacy.epsilon=1,2,4,8", "seed=0,1", "stage.instruct.steps=6"]
    return [*private, *axes, "site.time=60", "site.cpus=1", "trainer.threads=1"]


def begin(words: list[str], folder: Path, *, limit: int = 4) -> dict[str, Any]:
    """Begin the sweep ``s`` on the cluster."""
    made = manifest.made("s", [*words, "site=slurm"], limit=limit)
    return sweep.begin(made, checkpoints=folder, dirty=True)


def busy(work: Callable[[], object]) -> float:
    """Seconds of a core that ``work`` and the commands that it calls take."""
    before = os.times()
    work()
    return sum(os.times()[:4]) - sum(before[:4])


def all_done(found: Sweep) -> None:
    """Each point is done once, within its budget and with its own weights."""
    hashes = set()
    for point in found.manifest.points:
        run = RunFolder.existing(found.manifest.run(point), checkpoints=found.checkpoints)
        assert run.read().finished
        hashes.add(run.read().stages[-1].weights_sha256)
        ledger = Ledger.read(run.path)
        assert ledger.content["charged"] == {"instruct": 6}
        assert ledger.epsilon() <= float(point.words[0].partition("=")[2])
        assert f"{run.name} is done" in found.log(f"{point.number:04d}").read_text()
        assert found.log(f"{point.number:04d}").read_text().count("begins") == 1
    assert len(hashes) == len(found.manifest.points)


def test_a_sweep_over_both_nodes_outlives_its_controller(
    on_cluster: Cluster, words: list[str], tmp_path: Path
) -> None:
    assert begin([*words, *REPORT], tmp_path)["submitted"] == 8
    found = Sweep.existing("s", tmp_path)
    wait(lambda: "running" in sweep.summary(found)["states"], why=lambda: sweep.summary(found))
    on_cluster.stop_controller()
    on_cluster.start_controller()
    wait(lambda: not found.live(), why=lambda: (sweep.summary(found), on_cluster.log()))
    assert sweep.summary(found)["states"] == {"done": 8}
    all_done(found)
    ran = [found.log(f"{point.number:04d}").read_text() for point in found.manifest.points]
    assert {re.findall("begins on (.*?):", text)[0] for text in ran} == {"n1", "n2"}
    assert sweep.resume(found)["submitted"] == 0
    with pytest.raises(TactError, match="was begun before"):
        begin(words, tmp_path)
    made = collect(found)
    assert (made["points"], made["frontier"]) == (8, "frontier.svg")
    assert (found.folder / "frontier.svg").read_text().count("<svg") == 1
    rows = json.loads((found.folder / "table.json").read_text())
    assert sorted((row["privacy.epsilon"], row["seed"]) for row in rows) == [
        (budget, seed) for budget in "1248" for seed in "01"
    ]
    assert all(any("fact_accuracy" in name for name in row) for row in rows)
    assert all(0 < row["epsilon"] <= float(row["privacy.epsilon"]) for row in rows)


def test_a_thousand_points_are_submitted_told_and_cancelled_in_seconds(
    on_cluster: Cluster, words: list[str], tmp_path: Path
) -> None:
    many = [w for w in words if not w.startswith(("seed=", "privacy.epsilon=1"))]
    took = busy(lambda: begin([*many, "seed=range(0,1000)"], tmp_path, limit=1))
    found = Sweep.existing("s", tmp_path)
    assert len(found.live()) == 1000
    told = busy(lambda: sweep.summary(Sweep.existing("s", tmp_path)))
    assert sum(sweep.summary(found)["states"].values()) == 1000
    assert sweep.cancel(found)["cancelled"] == 1000
    wait(lambda: not client.queue(), why=client.queue)
    assert took < 5 and told < 2


def test_a_sweep_that_slurm_refuses_was_never_begun(
    on_cluster: Cluster, words: list[str], tmp_path: Path
) -> None:
    for word, said in (
        ("site.options=['--nodelist=n7']", "sbatch failed"),
        ("site.partition=none", "no such partition"),
        ("stage.align.steps=range(0,1100)", "MaxArraySize"),
    ):
        with pytest.raises(TactError, match=said):
            begin([*words, word], tmp_path)
    assert not list(tmp_path.glob("sweeps/*")) and not client.queue()


def test_on_local_cores_it_survives_being_killed(words: list[str], tmp_path: Path) -> None:
    door = [sys.executable, "-m", "slurm"]
    here = [f"checkpoints={tmp_path}", "sweep=s"]
    axes = ("seed=", "privacy.epsilon=1")
    few = [*(w for w in words if not w.startswith(axes)), "privacy.epsilon=4,8", "dirty=true"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    runner = subprocess.Popen(
        [*door, "sweep", "limit=2", *few, *here], cwd=CHECKOUT, env=environment
    )
    notes = tmp_path / "sweeps" / "s" / "points"
    wait(lambda: len(list(notes.glob("*.json"))) == 2, why=lambda: list(tmp_path.rglob("*.log")))
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    subprocess.run([*door, "resume", *here], cwd=CHECKOUT, env=environment, check=True)
    found = Sweep.existing("s", tmp_path)
    assert sweep.summary(found)["states"] == {"done": 2}
    for point in found.manifest.points:
        run = RunFolder.existing(found.manifest.run(point), checkpoints=tmp_path)
        assert Ledger.read(run.path).content["charged"] == {"instruct": 6}
