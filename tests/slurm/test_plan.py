"""``python -m slurm plan``: figures of every stage, and what would be refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conf.compose import load
from lineage.errors import TactError
from slurm import disk
from slurm.plan import planned
from train import pace

DP = ["privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
      "privacy.delta=1e-3", "stage.instruct.gradient_clip_norm=0",
      "+stage.instruct.rows.rows_per_subject=2"]  # fmt: skip


def test_steps_memory_and_epsilon_by_stage(
    short: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    found = planned(load([*short(), "run=r", "steps=[base_language,instruct]", *DP]))
    base, instruct = found["stages"]
    assert (base["stage"], base["steps"], base["private"]) == ("base_language", 20, False)
    assert instruct["private"] and 7 < instruct["epsilon_so_far"] <= 8
    assert "epsilon_so_far" not in base
    for each in found["stages"]:
        assert each["memory"]["peak"] > each["memory"]["weights"] > 2**20
    assert found["refused"] == [] and found["site"] is None
    assert "base_language" in capsys.readouterr().out


def test_all_that_would_be_refused_is_told_at_once(short: Callable[..., list[str]]) -> None:
    words = [*short(), "run=r", "steps=[base_language,instruct]", *DP, "json=true",
             "model.lora.targets=[nothing]", "privacy.epsilon=0.001", "site=slurm"]  # fmt: skip
    found = planned(load(words))
    assert [each["stage"] for each in found["stages"]] == ["base_language"]
    told = "\n".join(found["refused"])
    assert "'nothing' matches no layer" in told
    assert "privacy.epsilon=0.001" in told
    assert "no Slurm on this machine" in told


def test_rows_that_are_too_long_are_counted(short: Callable[..., list[str]]) -> None:
    words = [*short(), "run=r", "steps=[instruct]", "json=true"]
    longest = planned(load(words))["stages"][0]["longest_tokens"]
    (cut,) = planned(load([*words, f"data.max_length_tokens={longest - 1}"]))["stages"]
    assert 0 < cut["rejects"] < 1 and cut["longest_tokens"] < longest


def test_what_a_stage_took_is_what_it_is_said_to_take(
    finished: Callable[[str], Path], short: Callable[..., list[str]]
) -> None:
    finished("private")
    found = planned(load([*short(), "run=r", "steps=[align,prefer]", "stage.prefer.steps=2000"]))
    align, prefer = (each["time"] for each in found["stages"])
    assert align["run"] == "private" and align["jobs"] == 1
    known = pace.known(load([*short(), "run=r", "model.licence.name=mit"]), "prefer")
    assert known is not None and known.rows > 100 and known.step_s > 0
    assert prefer["seconds"] == pytest.approx(known.around_s + 2000 * known.step_s)


def test_disk_is_what_a_run_folder_takes(
    finished: Callable[[str], Path], short: Callable[..., list[str]]
) -> None:
    there = finished("private")
    room = planned(load([*short(), "run=r"]))["disk"]
    weights = sum(path.stat().st_size for path in there.glob("stages/*/model.safetensors"))
    assert room["weights"] == pytest.approx(weights, rel=0.02)
    exported = sum(path.stat().st_size for path in there.glob("export/**/*.safetensors"))
    assert room["export"] == pytest.approx(exported, rel=0.25)


def test_a_disk_that_is_too_small_is_refused(short: Callable[..., list[str]]) -> None:
    config = load([*short(), "run=r"])
    free = disk.free_bytes(Path(config.checkpoints) / "not" / "there")
    disk.check(config, {"weights": free // 2, "cache": 2 * free})
    with pytest.raises(TactError, match="its disk has .* MiB left"):
        disk.check(config, {"weights": free, "export": free})


def test_a_stage_that_draws_has_memory_and_costs_no_epsilon(
    short: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["+stage@stage.sample=sample", "+stage.sample.rows.rows_per_subject=2",
           "stage.prefer.rows_from=sample", "stage.prefer.gradient_clip_norm=0"]  # fmt: skip
    words = [*short(), "run=r", "steps=[base_language,sample,prefer]", *DP[:4], *own]
    found = planned(load(words))
    _, sample, prefer = found["stages"]
    assert sample["private"] and sample["steps"] == 0 == sample["epsilon_so_far"]
    assert 7 < prefer["epsilon_so_far"] <= 8
    few, many = (
        planned(load([*words, f"stage.sample.sample.answers={k}", "json=true"]))["stages"][1]
        for k in (2, 8)
    )
    assert 2**20 < few["memory"]["weights"] < few["memory"]["peak"] < many["memory"]["peak"]
    said = "its time is known once it was drawn"
    assert said in capsys.readouterr().out and found["refused"] == []
