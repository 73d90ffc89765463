"""A job on both nodes of a real Slurm: one srun, one process's weights, a signal that stops all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, wait
from several import EXACT, FEW, SGD, apart, weights

from conf.compose import load
from lineage.errors import TactError
from lineage.run import RunFolder
from slurm import client, manifest, status, submit
from train.run import execute

Words = Callable[..., list[str]]
LINE = [*FEW, *SGD, "steps=[base_language,instruct]", "stage.instruct.steps=60",
        "trainer.checkpoint_every_steps=4"]  # fmt: skip
NODES = [
    "trainer.nodes=2", "trainer.strategy=ddp", "site=slurm", "site.time=60", "site.cpus=1",
    "+site.environment.MASTER_ADDR=127.0.0.1",  # these nodes have one address
]  # fmt: skip


def scripts(words: list[str]) -> dict[str, str]:
    return dict(submit.submit(load([*words, "dry_run=true", "json=true"]))["scripts"])


def test_a_stage_of_several_nodes_is_one_srun_and_a_report_is_not(short: Words) -> None:
    given = ["run=x", "trainer.devices=4", *NODES, "steps=[base_language,report]", "site.gpus=4"]
    made = scripts(short(*given, "trainer.accelerator=gpu"))
    stage, report = made["1-base_language"], made["2-report"]
    for option in ("nodes=2", "ntasks-per-node=4", "gres=gpu:4"):
        assert f"#SBATCH --{option}\n" in stage
    assert "\nsrun --kill-on-bad-exit=1 --distribution=block " in stage
    assert "#SBATCH --ntasks=1\n" in report and "srun" not in report and "--nodes" not in report


def test_a_point_of_a_sweep_is_of_one_node(short: Words) -> None:
    words = [word for word in short(*NODES, "seed=0,1") if not word.startswith("checkpoints=")]
    with pytest.raises(TactError, match="a point of a sweep runs on one node"):
        manifest.made("s", words, limit=2)


@pytest.mark.system
@pytest.mark.xdist_group("slurm")
def test_two_nodes_are_one_process_and_stop_as_one(
    on_cluster: Cluster, short: Words, tmp_path: Path, pictures: Any
) -> None:
    execute(load(short(*LINE, "run=local")))
    jobs = list(submit.submit(load(short(*LINE, *NODES, "run=wide")), dirty=True)["jobs"].values())
    run = RunFolder.existing("wide", checkpoints=tmp_path)
    checkpoint = tmp_path / "wide" / "stages" / "2-instruct" / "last.ckpt"
    wait(checkpoint.exists, why=lambda: status.status(run, quiet=True))
    on_cluster.run("scancel", "--batch", "--signal=USR1", jobs[1])
    wait(
        lambda: not any(job in client.queue() for job in jobs),
        why=lambda: status.status(run, quiet=True),
    )
    said = status.status(run, quiet=True)["jobs"]
    assert [job["state"] for job in said] == ["done", "done"], said
    assert [job["restarts"] for job in said] == [0, 1]
    assert apart(weights(tmp_path, "local"), weights(tmp_path, "wide")) <= EXACT
