"""Hydra's own ``--multirun``: a run a point, and one clear error at the first that fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lineage.run import RunFolder
from train.multirun import multirun

ONE = ["--multirun", "steps=[base_language]", "stage.base_language.steps=2"]


def test_each_point_is_a_run_and_the_same_command_goes_on(
    short: Callable[..., list[str]], pictures: Any, tmp_path: Path
) -> None:
    words = short(*ONE, "run=m-${seed}", "seed=0,1")
    made = multirun(words)["runs"]
    assert [one["run"] for one in made] == ["m-0", "m-1"]
    runs = [RunFolder.existing(one["run"], checkpoints=tmp_path) for one in made]
    ended = [run.read().stages[0] for run in runs]
    assert len({stage.weights_sha256 for stage in ended}) == 2
    assert [run.read().seed for run in runs] == [0, 1]
    assert [one["run"] for one in multirun(words)["runs"]] == ["m-0", "m-1"]
    assert [run.read().stages[0] for run in runs] == ended  # nothing was trained again


def test_points_of_one_name_are_refused_at_the_second(
    short: Callable[..., list[str]],
    pictures: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        multirun(short(*ONE, "run=same", "seed=0,1,2"))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "run=same began with another config" in said and "seed: 0" in said
    assert said.count("error: ") == 1 and RunFolder(tmp_path / "same").read().seed == 0
