"""A private stage on two processes is that of one: sums, weights, ledger, crashes and signals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from planted import killed_at
from safetensors.torch import load_file
from torch import Tensor

from conf import rules
from conf.compose import ConfigError, load
from lineage.errors import TactError
from lineage.run import RunFolder
from privacy import sampling, verify
from privacy.ledger import Ledger
from train import processes
from train.private import PrivateStage
from train.run import execute
from train.stopping import Interrupted

Words = Callable[..., list[str]]
DP = [
    "privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
    "privacy.delta=1e-3", "privacy.physical_batch_rows=4", "steps=[base_language,instruct]",
    "+stage.instruct.rows.rows_per_subject=2", "stage.instruct.gradient_clip_norm=0",
    "stage.instruct.steps=6", "stage.base_language.steps=3", "privacy.fixed_key=same",
    "trainer.checkpoint_every_steps=3",
]  # fmt: skip
TWO = ["trainer.devices=2", "trainer.strategy=ddp"]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_each_drawn_unit_is_in_one_share(world: int) -> None:
    chosen = {unit: [unit, unit + 1] for unit in (5, 2, 9, 7)}
    shares = [sampling.share(chosen, rank=r, world=world) for r in range(world)]
    assert sorted(u for each in shares for u in each) == [2, 5, 7, 9]
    assert {u: rows for each in shares for u, rows in each.items()} == chosen


def test_the_processes_decide_add_and_fail_as_one() -> None:
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    words = [sys.executable, "-c", BOTH, str(store.port)]
    both = [
        subprocess.Popen([*words, str(rank)], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    said = [json.loads(each.communicate(timeout=300)[0]) for each in both]
    assert [s["told"] for s in said] == [7, 7]
    assert [s["all"] for s in said] == [[0, 1]] * 2
    assert [s["mean"] for s in said] == [1.5] * 2
    assert said[0]["sum"] == [3.0, 3.0] and [s["spread"] for s in said] == [[3.0, 3.0]] * 2
    assert "process 1: of the second" in said[0]["failed"] and said[1]["failed"] == "of the second"
    assert [s["first"] for s in said] == ["of the first"] * 2
    assert "another process of this run has ended" in said[0]["gone"]


BOTH = """
import json, os, sys, torch
import torch.distributed as dist
from conf.schema import TrainerConfig
from lineage.errors import TactError
from train import processes

def fail(rank, text):
    if processes.rank() == rank:
        raise TactError(text)

def said(work):
    try:
        work()
    except TactError as error:
        return str(error)

os.environ["RANK"] = sys.argv[2]
store = dist.TCPStore("127.0.0.1", int(sys.argv[1]), is_master=False)
processes.join(TrainerConfig(devices=2, strategy="ddp"), store)
own = {"a": torch.full((2,), 1.0 + processes.rank())}
found = {"told": processes.by_first(lambda: 7), "all": processes.by_all(processes.rank)}
found["mean"] = float(processes.mean(own["a"][0]))
processes.add_up(own)
found["sum"] = own["a"].tolist()
processes.spread(own)
found["spread"] = own["a"].tolist()
found["failed"] = said(lambda: processes.by_all(lambda: fail(1, "of the second")))
found["first"] = said(lambda: processes.by_first(lambda: fail(0, "of the first")))
if processes.rank():
    print(json.dumps(found), flush=True)
    os._exit(0)
found["gone"] = said(lambda: processes.by_all(lambda: 0))
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trainer.devices=2", "trainer.strategy=deepspeed_stage_2"], "use trainer.strategy=ddp"),
        (["trainer.devices=2", "trainer.strategy=deepspeed_stage_3"], "use trainer.strategy=ddp"),
        (["trainer.devices=2", "trainer.strategy=fsdp"], "use trainer.strategy=ddp"),
        (["trainer.devices=2"], "say trainer.strategy=ddp"),
        (["trainer.devices=0"], "at least 1"),
        (["trainer.devices=2", "trainer.strategy=fsdp2"], "use trainer.strategy=ddp"),
        (["trainer.devices=2", "trainer.strategy=zero3"], "use trainer.strategy=ddp"),
        (["trainer.accumulate=2"], "split by privacy.physical_batch_rows"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(
    short: Words, words: list[str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        load(short(*DP, "run=x", *words))


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """What the first process is asked to admit, step by step."""
    found: list[dict[str, Tensor]] = []
    admitted = PrivateStage._admitted

    def seen(self: PrivateStage, step: int, attempt: int, given: Any) -> bool:
        found.append({name: value.clone() for name, value in given.items()})
        return admitted(self, step, attempt, given)

    monkeypatch.setattr(PrivateStage, "_admitted", seen)
    return found


def weights(folder: Path, name: str) -> dict[str, Tensor]:
    return load_file(RunFolder.existing(name, checkpoints=folder).weights("instruct"))


@pytest.mark.system
def test_two_processes_are_one(short: Words, tmp_path: Path, sums: list[dict[str, Tensor]]) -> None:
    execute(load(short(*DP, "run=one")))
    execute(load(short(*DP, "run=two", *TWO)))
    assert len(sums) == 12
    for ours, theirs in zip(sums[:6], sums[6:], strict=True):
        flat = [torch.cat([v.flatten() for _, v in sorted(s.items())]) for s in (ours, theirs)]
        assert float((flat[0] - flat[1]).norm()) <= 1e-6 * float(flat[0].norm())
    one, two = (weights(tmp_path, name) for name in ("one", "two"))
    assert all(torch.allclose(one[n], two[n], rtol=0, atol=1e-6) for n in one)
    folder = RunFolder.existing("two", checkpoints=tmp_path)
    ledger = verify.verified(load(short(*DP, "run=two", *TWO)), folder)
    assert ledger.content["charged"] == {"instruct": 6}
    assert len((folder.private / "metrics-instruct.jsonl").read_text().splitlines()) == 6
    assert not list(folder.private.glob("steps-*"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
               "-m", "train", *short(*DP, "run=elastic", *TWO)]  # fmt: skip
    subprocess.run(command, check=True)
    elastic = weights(tmp_path, "elastic")
    assert all(torch.equal(two[n], elastic[n]) for n in two)


@pytest.mark.system
def test_killed_or_stopped_they_go_on_to_the_same_weights(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def words(name: str) -> list[str]:
        return short(*DP, f"run={name}", *TWO)

    execute(load(words("whole")))
    done = subprocess.run([sys.executable, "-c", killed_at(5), *words("killed")], check=False)
    assert done.returncode == -signal.SIGKILL
    execute(load(words("killed")))

    release, stops = PrivateStage._release, [3]

    def stopped(self: PrivateStage, step: int) -> dict[str, Tensor]:
        if step in stops:
            stops.clear()
            os.kill(os.getpid(), signal.SIGTERM)  # the first one's alone: both stop at this step
        return release(self, step)

    monkeypatch.setattr(PrivateStage, "_release", stopped)
    with pytest.raises(Interrupted, match="at step 4, saved"):
        execute(load(words("stopped")))
    execute(load(words("stopped")))
    whole = weights(tmp_path, "whole")
    for name in ("killed", "stopped"):
        folder = RunFolder.existing(name, checkpoints=tmp_path)
        assert Ledger.read(folder.path).content["charged"] == {"instruct": 6}
        other = weights(tmp_path, name)
        assert all(torch.equal(whole[n], other[n]) for n in whole)


@pytest.mark.system
def test_a_process_that_dies_ends_the_run(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[Any] = []
    start, release = processes._start, PrivateStage._release

    def started(trainer: Any, folder: Any, made: list[Any]) -> None:
        start(trainer, folder, made)
        children.extend(made)

    def kills(self: PrivateStage, step: int) -> dict[str, Tensor]:
        if step == 2:
            children[0].kill()
        return release(self, step)

    monkeypatch.setattr(processes, "_start", started)
    monkeypatch.setattr(PrivateStage, "_release", kills)
    with pytest.raises(TactError, match="another process of this run has ended"):
        execute(load(short(*DP, "run=dead", *TWO)))
    assert processes.world() == 1
    folder = RunFolder.existing("dead", checkpoints=tmp_path)
    assert Ledger.read(folder.path).content["charged"]["instruct"] >= 2


@pytest.mark.system
def test_a_replay_on_other_processes_is_charged_again(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", killed_at(5), *short(*DP, "run=moved")], check=False
    )
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(TactError, match="began with another config"):
        execute(load(short(*DP, "run=moved", *TWO)))
    monkeypatch.setattr(rules, "HARMLESS", (*rules.HARMLESS, "devices", "strategy"))
    with pytest.raises(TactError, match="would pass epsilon"):
        execute(load(short(*DP, "run=moved", *TWO)))
    folder = RunFolder.existing("moved", checkpoints=tmp_path)
    lines = (folder.private / "steps-instruct.jsonl").read_text().splitlines()
    tried = {tuple(json.loads(line)[:2]) for line in lines}
    assert {(3, 0), (3, 1), (4, 0), (4, 1)} <= tried  # replayed, and other to the last bit


@pytest.mark.gpu
def test_two_gpus_are_one(short: Words, tmp_path: Path) -> None:
    gpu = ["trainer=gpu", "trainer.precision=32-true", "trainer.progress=false"]
    execute(load(short(*DP, "run=one", *gpu)))
    execute(load(short(*DP, "run=two", *gpu, *TWO)))
    one, two = (weights(tmp_path, name) for name in ("one", "two"))
    assert all(torch.allclose(one[n], two[n], rtol=0, atol=1e-4) for n in one)
