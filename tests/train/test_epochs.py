"""A stage that is told its epochs takes the steps that its rows come to."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conf.compose import ConfigError, load
from conf.schema import StageConfig
from lineage.run import RunFolder
from slurm.plan import planned
from slurm.shown import show
from train import rows
from train.run import execute

Words = Callable[..., list[str]]
OWN = ["stage.base_language.rows.count=50", "stage.base_language.batch_size_rows=8"]


@pytest.mark.parametrize(("count", "epochs", "steps"),
                         [(50, 2, 12), (50, 0.5, 3), (50, 0.01, 1), (7, 3, 3)])  # fmt: skip
def test_an_epoch_is_the_batches_that_rows_fill(count: int, epochs: float, steps: int) -> None:
    assert rows.steps_of(StageConfig(steps=9, epochs=epochs, batch_size_rows=8), count) == steps
    assert rows.steps_of(StageConfig(steps=9, batch_size_rows=8), count) == 9


def test_so_many_epochs_are_their_steps_and_a_plan_foretells_them(
    short: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*short(*OWN), "steps=[base_language]"]
    told = [*words, "stage.base_language.epochs=2", "stage.base_language.steps=999"]
    plan = [*told, "run=plan", f"cache={tmp_path / 'cache'}"]
    (unknown,) = planned(load(plan))["stages"]
    assert (unknown["steps"], unknown["time"]) == (None, None)
    assert "2 epochs, bad rows as sampled; probe=true tells its steps" in capsys.readouterr().out
    ends = []
    for name, own in (("by-epochs", told), ("by-steps", [*words, "stage.base_language.steps=12"])):
        execute(load([*own, f"run={name}", f"cache={tmp_path / 'cache'}"]))
        (state,) = RunFolder.existing(name, checkpoints=tmp_path).finished_stages()
        assert state.steps == 12
        ends.append(state.weights_sha256)
    assert ends[0] == ends[1]
    found = planned(load(plan))
    assert found["stages"][0]["steps"] == 12 and found["stages"][0]["time"]["seconds"] > 0
    show(found)
    assert "2 epochs, time and bad rows as in run by-" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stage.instruct.epochs=0"], "epochs=0: it must be above 0"),
        (["stage.instruct.epochs=1", "privacy.epsilon=8", "privacy.units=30",
          "stage.instruct.gradient_clip_norm=0"], "is no public number, and steps are what is"),
        (["stage.instruct.steps=0"], "steps .or epochs. and batch_size_rows"),
    ],
)  # fmt: skip
def test_epochs_that_cannot_be_are_refused(short: Words, words: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load([*short(), "run=x", "steps=[base_language,instruct]", *words])
