"""``python -m slurm plan``: figures of every stage, and what would be refused."""

from collections.abc import Callable

import pytest

from conf.compose import load
from slurm.plan import planned

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
