"""Jobs on a real Slurm of two nodes: whatever happens to them, the run ends as an undisturbed one.

The run has a stage with DP, so that the ledger is held to its steps as well.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, wait

from conf.compose import load
from lineage import provenance
from lineage.errors import TactError
from lineage.place import CHECKOUT as ROOT
from lineage.run import RunFolder
from privacy.ledger import Ledger
from slurm import client, status, submit
from slurm.plan import planned
from train import pace
from train.checkpoint import LAST, steps_done
from train.pace import Pace

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("slurm")]
LONG = ["privacy.fixed_key=same", "stage.instruct.steps=60", "trainer.checkpoint_every_steps=4"]
SITE = ["site=slurm", "site.time=60", "site.cpus=1"]


class Desk:
    """Run folders on the cluster, whose commands this process finds while the desk is open."""

    def __init__(self, cluster: Cluster, folder: Path, words: list[str]) -> None:
        self.cluster, self.folder = cluster, folder
        self.words = [*words, *LONG, f"checkpoints={folder}"]

    def run(self, name: str) -> RunFolder:
        """A run that was begun."""
        return RunFolder.existing(name, checkpoints=self.folder)

    def submit(self, name: str, *more: str) -> list[str]:
        """Submit a run; the ids of its jobs, in order."""
        config = load([*self.words, *SITE, f"run={name}", *more])
        return list(submit.submit(config, dirty=True)["jobs"].values())

    def status(self, name: str) -> list[dict[str, Any]]:
        """What ``status`` says of each job."""
        return list(status.status(self.run(name))["jobs"])

    def state(self, job: str) -> str:
        """A job's state as the queue has it; empty once it is gone."""
        found = client.queue().get(job)
        return found.state if found else ""

    def ended(self, name: str, jobs: list[str]) -> RunFolder:
        """The run, once all its jobs have left the queue."""
        wait(lambda: not any(self.state(job) for job in jobs), why=lambda: self.status(name))
        return self.run(name)

    def trains(self, name: str, job: str) -> None:
        """Wait until the job runs and stage instruct has a checkpoint of it."""
        path = self.folder / name / "stages" / "2-instruct" / LAST
        wait(lambda: self.state(job) == "RUNNING", why=lambda: self.status(name))
        before = steps_done(path)
        wait(lambda: steps_done(path) > before, why=lambda: self.status(name))


def facts(run: RunFolder) -> tuple[list[str | None], Any]:
    """What must not depend on how a run was disturbed: weights, and charges."""
    weights = [stage.weights_sha256 for stage in run.read().stages]
    return weights, Ledger.read(run.path).content["charged"]


@pytest.fixture(scope="module")
def desk(
    on_cluster: Cluster, private: list[str], pictures: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Desk:  # fmt: skip
    return Desk(on_cluster, tmp_path_factory.mktemp("runs"), private)


@pytest.fixture(scope="module")
def undisturbed(desk: Desk) -> Iterator[tuple[list[str | None], Any]]:
    """The facts of a run by ``python -m train``, without Slurm."""
    command = [sys.executable, "-m", "train", *desk.words, "run=local"]
    subprocess.run(command, cwd=ROOT, check=True)
    found = facts(RunFolder.existing("local", checkpoints=desk.folder))
    assert found[1] == {"instruct": 60}
    yield found


def test_a_chain_outlives_its_shell_and_equals_a_local_run(
    desk: Desk, undisturbed: tuple[list[str | None], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*desk.words, *SITE, "run=chain", "dirty=true"]
    revision, _ = provenance.git_revision()
    command = shlex.join([sys.executable, "-m", "slurm", "submit", *words])
    shell = subprocess.Popen(
        ["bash", "-c", f"{command}; sleep 600"],
        cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert shell.stdout is not None
    jobs = [shell.stdout.readline().partition(":")[0] for _ in range(2)]
    os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    with pytest.raises(TactError, match="run=chain has jobs already"):
        desk.submit("chain")
    assert [job["state"] for job in desk.status("chain")][1] == "waits"
    run = desk.ended("chain", jobs)
    assert facts(run) == undisturbed
    assert [job["state"] for job in desk.status("chain")] == ["done", "done"]
    manifest = run.read()
    assert manifest.revision == revision
    assert manifest.finished and (run.path / "slurm" / "changes.diff").exists()
    capsys.readouterr()
    status.logs(run, follow=True)
    assert "== 1-base_language" in capsys.readouterr().out


def test_signals_before_training_and_twice_in_it_change_nothing(
    desk: Desk, undisturbed: tuple[list[str | None], Any]
) -> None:
    jobs = desk.submit("signalled")
    tell = ["scancel", "--batch", "--signal=USR1"]
    wait(lambda: desk.cluster.listens(jobs[0]), why=lambda: desk.status("signalled"))
    desk.cluster.run(*tell, jobs[0])
    desk.trains("signalled", jobs[1])
    desk.cluster.run(*tell, jobs[1])
    desk.cluster.run("scancel", "--full", "--signal=USR1", jobs[1])
    run = desk.ended("signalled", jobs)
    assert facts(run) == undisturbed
    assert [job["restarts"] for job in desk.status("signalled")] == [1, 1]


def test_preempted_its_node_down_and_requeued_changes_nothing(
    desk: Desk, undisturbed: tuple[list[str | None], Any]
) -> None:
    jobs = desk.submit("preempted")
    desk.trains("preempted", jobs[1])
    urgent = ["sbatch", "--parsable", "--partition=high", "--nodes=2", "--exclusive"]
    other = desk.cluster.run(*urgent, "--output=/dev/null", "--wrap", "sleep 1").strip()
    wait(lambda: not desk.state(other), why=lambda: desk.status("preempted"))
    desk.trains("preempted", jobs[1])
    node = desk.cluster.run("squeue", "--noheader", "--format=%N", "--jobs", jobs[1]).strip()
    desk.cluster.set_down(node)
    wait(lambda: desk.state(jobs[1]) != "RUNNING", why=lambda: desk.status("preempted"))
    desk.trains("preempted", jobs[1])
    desk.cluster.run("scontrol", "requeue", jobs[1])
    run = desk.ended("preempted", jobs)
    assert facts(run) == undisturbed
    assert desk.status("preempted")[1]["restarts"] == 3


def test_a_failed_job_tells_why_and_the_rest_never_runs(desk: Desk) -> None:
    jobs = desk.submit("failed", "model.lora.targets=[nothing]")
    run = desk.ended("failed", jobs)
    first, second = desk.status("failed")
    assert first["state"] == "failed" and "nothing" in first["why"]
    assert (second["state"], second["why"]) == ("never ran", "")
    assert not run.read().finished


def test_a_node_that_sees_other_folders_is_told_at_once(desk: Desk) -> None:
    began = time.monotonic()
    jobs = desk.submit("unseen", "site.options=['--begin=now+3']")
    away = desk.folder.parent / "elsewhere"
    (desk.folder / "unseen").rename(away)
    wait(lambda: not any(desk.state(job) for job in jobs), why=client.queue)
    away.rename(desk.folder / "unseen")
    first, second = desk.status("unseen")
    assert first["state"] == "never ran" and "sees other run folders" in first["why"]
    assert (second["state"], second["why"]) == ("never ran", "")
    assert time.monotonic() - began < 60


def test_a_full_queue_is_an_error_and_leaves_nothing_behind(desk: Desk, tmp_path: Path) -> None:
    small = Cluster(tmp_path, most_jobs=3)  # of which Slurm keeps one to itself
    small.root.symlink_to(desk.cluster.root)
    small.start()
    try:
        with small.on_path():
            waits = small.run("sbatch", "--parsable", "--hold", "--wrap", "true").strip()
            with pytest.raises(TactError, match=r"sbatch has not answered.*queue is full"):
                desk.submit("late")
            assert list(client.queue()) == [waits]
            first = small.run("scontrol", "show", "job", str(int(waits) + 1))
            assert "JobState=CANCELLED" in first
    finally:
        small.stop()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("site.partition=none", "no such partition; there are: high, lab, main"),
        ("site.partition=lab site.time=30 site.account=none", "partition lab takes jobs of lab"),
        ("site.time=2:00:00", "more than partition main allows"),
        ("site.cpus=3", "no node with 3 CPUs .there are: 2 CPUs, 4000 MiB"),
        ("site.memory=8G", "no node with 1 CPUs, 8192 MiB"),
        ("privacy.epsilon=1e-6 privacy.delta=1e-9", "privacy.epsilon=1e-06: no noise multiplier"),
        ("site.options=['--nodelist=n7']", "sbatch failed: .*node"),
    ],
)
def test_what_slurm_refuses_leaves_nothing_behind(desk: Desk, word: str, said: str) -> None:
    before = set(client.queue())
    with pytest.raises(TactError, match=said):
        desk.submit("refused", *word.split())
    assert set(client.queue()) == before


def test_jobs_that_a_pace_shows_to_be_too_short_are_refused(desk: Desk) -> None:
    words = ["stage.instruct.batch_size_rows=7"]  # a pace of its own
    config = load([*desk.words, *SITE, "run=slow", *words])
    seen = Pace("seen", "then", {"cpu": "one", "cores": 1}, 200, 0.0, 40, 3500.0, 1.0)
    pace.keep(config, "instruct", seen)
    with pytest.raises(TactError, match=r"3501 s are needed.*site.time=60 leaves a job 3480 s"):
        desk.submit("slow", *words)
    assert not (desk.folder / "slow").exists() and not client.queue()


def test_of_two_submits_at_once_one_has_jobs(desk: Desk) -> None:
    words = [*desk.words, *SITE, "run=twice", "dirty=true", "site.options=['--hold']"]
    door = [sys.executable, "-m", "slurm", "submit", *words]
    both = [
        subprocess.Popen(door, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [each.communicate()[1] for each in both]
    assert sorted(each.returncode for each in both) == [0, 2], said
    (refused,) = (text for text, each in zip(said, both, strict=True) if each.returncode)
    assert refused.startswith("error: run=twice ") and "Traceback" not in refused
    assert len(client.queue()) == 2
    submit.cancel(desk.run("twice"))
    wait(lambda: not client.queue(), why=client.queue)


def test_a_plan_tells_the_partitions_that_fit_and_what_slurm_would_refuse(desk: Desk) -> None:
    words = [*desk.words, *SITE, "run=planned", "json=true"]
    found = planned(load(words))
    assert found["refused"] == [] and found["site"]["fit"] == ["high", "main"]
    assert "to start at" in found["site"]["start"] and "in partition main" in found["site"]["start"]
    assert planned(load([*words, "site.time=30"]))["site"]["fit"] == ["high", "lab", "main"]
    for word, said in (
        ("site.time=2:00:00", "more than partition main allows"),
        ("site.memory=300M", "a process takes"),
        ("site.options=['--gres=gpu:1']", "sbatch failed: Invalid generic resource"),
    ):
        assert said in "".join(planned(load([*words, word]))["refused"])
    assert not client.queue() and not (desk.folder / "planned").exists()


def test_cancelled_jobs_stay_cancelled(desk: Desk) -> None:
    jobs = desk.submit("cancelled", "stage.base_language.steps=2000")
    note = desk.folder / "cancelled" / "slurm" / "1-base_language.json"
    wait(note.exists, why=lambda: desk.status("cancelled"))
    assert submit.cancel(desk.run("cancelled"))["cancelled"] == jobs
    desk.ended("cancelled", jobs)
    assert [job["state"] for job in desk.status("cancelled")] == ["ended", "never ran"]
