"""A stage on several processes is that of one, however they share it; a checkpoint is of none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from several import (
    CLOSE,
    EXACT,
    FEW,
    LANGUAGE,
    LINE,
    SGD,
    STAGES,
    apart,
    losses,
    moments,
    run_until,
    several,
    stops_at,
    unlike,
    weights,
)

from conf.compose import ConfigError, load
from lineage.errors import TactError
from lineage.run import RunFolder
from train import processes
from train.rows import StepSampler
from train.run import execute
from train.stopping import Interrupted

Words = Callable[..., list[str]]
FROZEN = ["model.lora.freeze_a=true"]  # its A doesn't train and is kept all the same


@pytest.mark.parametrize(("world", "parts"), [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_a_steps_rows_are_shared_without_repeats(world: int, parts: int) -> None:
    def drawn(**more: int) -> list[list[int]]:
        return list(StepSampler(20, batch=12, steps=5, seed=1, start=2, **more))

    shares = [drawn(rank=rank, world=world, parts=parts) for rank in range(world)]
    assert all(len(share) == 3 * parts for share in shares)
    for step, whole in enumerate(drawn()):
        own = slice(step * parts, (step + 1) * parts)
        given = [row for share in shares for part in share[own] for row in part]
        assert len(given) == 12 and sorted(given) == sorted(whole)


def test_a_step_that_leaves_unequal_shares_is_refused(short: Words) -> None:
    with pytest.raises(TactError, match="step of 5 rows.*does not divide by 2 processes"):
        StepSampler(5, batch=8, steps=1, seed=0, world=2)
    with pytest.raises(ConfigError, match=r"batch_size_rows=9 .*set it to 8"):
        load(short("run=x", *several("ddp"), "stage.instruct.batch_size_rows=9"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trainer.devices=2"], "say trainer.strategy=ddp"),
        (["trainer.strategy=fsdp2"], "there is one"),
        (["trainer.devices=2", "trainer.strategy=fsdp"], "choose auto, ddp, fsdp2, zero2, zero3"),
        (["trainer.nodes=0"], "trainer.nodes=0: it must be at least 1"),
        (["trainer.accumulate=2", *LINE], "mixes the rows of a step"),
    ],
)
def test_what_cannot_be_shared_is_refused(short: Words, words: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(short("run=x", *words))


def test_one_process_starts_none_on_other_nodes(short: Words, tmp_path: Path) -> None:
    trainer = load(short("run=x", "trainer.nodes=2", "trainer.strategy=ddp")).trainer
    with pytest.raises(TactError, match="python -m slurm submit, or srun or torchrun"):
        with processes.group(trainer, RunFolder(tmp_path / "x")):
            pytest.fail("it has begun")


def test_a_step_in_parts_and_on_two_is_that_step(short: Words, tmp_path: Path) -> None:
    words = short(*FEW, *SGD, "steps=[base_tower]")
    execute(load([*words, "run=whole"]))
    execute(load([*words, "run=parts", "trainer.accumulate=4"]))
    execute(load([*words, "run=both", "trainer.accumulate=2", *several("ddp")]))
    whole = weights(tmp_path, "whole")
    assert apart(whole, weights(tmp_path, "parts")) <= EXACT
    assert apart(whole, weights(tmp_path, "both")) <= EXACT


@pytest.mark.system
def test_a_checkpoint_goes_on_in_other_parts(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = short(*FEW, *SGD, "steps=[base_language]", "trainer.checkpoint_every_steps=9")
    execute(load([*words, "run=whole"]))
    stops_at(3, monkeypatch)
    with pytest.raises(Interrupted, match="at step 3, saved"):
        execute(load([*words, "run=moved", "trainer.accumulate=2"]))
    execute(load([*words, "run=moved", "trainer.accumulate=4"]))
    assert apart(weights(tmp_path, "whole"), weights(tmp_path, "moved")) <= EXACT


@pytest.mark.system
@pytest.mark.parametrize(
    ("strategy", "bound", "more"), [("ddp", EXACT, []), ("fsdp2", CLOSE, FROZEN)]
)
def test_two_processes_are_one_in_all_stages(
    short: Words, tmp_path: Path, strategy: str, bound: float, more: list[str]
) -> None:
    words = short(*LINE, *more, f"steps=[{','.join(STAGES)}]", "trainer.log_every_steps=1")
    execute(load([*words, "run=one"]))
    execute(load([*words, "run=two", *several(strategy)]))
    assert apart(weights(tmp_path, "one"), weights(tmp_path, "two")) <= bound
    one, two = losses(tmp_path, "one"), losses(tmp_path, "two")
    assert len(one) == 20 and torch.allclose(torch.tensor(one), torch.tensor(two), atol=1e-5)


@pytest.mark.system
@pytest.mark.parametrize(("strategy", "more"), [("zero2", []), ("zero3", FROZEN)])
def test_zero_is_one_process_in_all_stages(
    short: Words, tmp_path: Path, strategy: str, more: list[str]
) -> None:
    still = [f"stage.{s}.weight_decay=0" for s in STAGES]  # it decays what no loss reads too
    words = short(*LINE, *still, *more, f"steps=[{','.join(STAGES)}]")
    execute(load([*words, "run=one"]))
    command = [sys.executable, "-m", "train", *words, "run=two", *several(strategy)]
    subprocess.run(command, check=True)  # DeepSpeed keeps the group of a process's first run
    assert apart(weights(tmp_path, "one"), weights(tmp_path, "two")) <= CLOSE


@pytest.mark.system
@pytest.mark.parametrize(("strategy", "bound"), [("ddp", EXACT), ("fsdp2", CLOSE)])
def test_saved_on_two_goes_on_on_one_and_back(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, bound: float
) -> None:
    words, two = short(*LANGUAGE), several(strategy)
    execute(load([*words, "run=one"]))
    execute(load([*words, "run=two", *two]))
    one = weights(tmp_path, "one")
    assert apart(one, weights(tmp_path, "two")) <= bound
    for name, first, second in (("less", two, []), ("more", [], two)):
        with monkeypatch.context() as within:
            stops_at(3, within)
            with pytest.raises(Interrupted, match="at step 3, saved"):
                execute(load([*words, f"run={name}", *first]))
        execute(load([*words, f"run={name}", *second]))
        assert apart(one, weights(tmp_path, name)) <= bound


# no loss reads the projector: on one process it has no moments
UNREAD = [*FEW, "steps=[align]", "stage.align.losses.language.weight=0",
          "stage.align.losses.facts.weight=1", "stage.align.weight_decay=0"]  # fmt: skip


@pytest.fixture(scope="module")
def stopped(short_in: Words, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A stage of one process, stopped at step 2, and that one gone on with and stopped at 3."""
    made = tmp_path_factory.mktemp("stopped")
    run_until(2, [*short_in(made / "2"), *UNREAD, "run=r"])
    shutil.copytree(made / "2", made / "3")
    run_until(3, [*short_in(made / "3"), *UNREAD, "run=r"])
    return lambda step: made / str(step)


@pytest.mark.system
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2", "zero2", "zero3"])
def test_adams_moments_go_from_one_to_two_and_back(
    short_in: Words, tmp_path: Path, stopped: Callable[[int], Path], strategy: str
) -> None:
    half, one = (moments(stopped(step), "r", "align") for step in (2, 3))
    assert set(map(float, half["step"].values())) == {2.0} and unlike(one, half) > 0.01
    up, down = tmp_path / "up", tmp_path / "down"
    shutil.copytree(stopped(2), up)
    run_until(3, [*short_in(up), *UNREAD, "run=r", *several(strategy)])
    assert unlike(one, moments(up, "r", "align")) <= CLOSE
    run_until(2, [*short_in(down), *UNREAD, "run=r", *several(strategy)])
    assert unlike(half, moments(down, "r", "align")) <= CLOSE
    run_until(3, [*short_in(down), *UNREAD, "run=r"])
    assert unlike(one, moments(down, "r", "align")) <= CLOSE


@pytest.mark.system
def test_a_process_whose_rows_fail_ends_the_run(
    short: Words,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = "+stage.base_language.losses.odd={_target_: failing.on_second}"
    (tmp_path / "failing.py").write_text(FAILING)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)  # of the other process
    with pytest.raises(TactError, match="another process of this run has ended"):
        execute(load(short("run=x", *LANGUAGE, *several("ddp"), lost)))
    assert "process 1: step 0: the second fails. Rows: " in capfd.readouterr().err


FAILING = """
from train import processes

def on_second(step):
    if processes.rank():
        raise ValueError("the second fails")
    return step.logps * 0
"""
