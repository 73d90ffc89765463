"""Held-out people during a stage: looked at as often as asked, without a trace in the weights."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.compose import ConfigError, load
from lineage.files import sha256
from train.run import execute

STAGE = Path("stages") / "1-base_tower"


def test_losses_on_held_out_people_are_logged_and_change_nothing(
    short: Callable[..., list[str]], pictures: Any, tmp_path: Path
) -> None:
    for every in (0, 2):
        words = ["stages=[base_tower]", "stage.base_tower.steps=5", "trainer.log_every_steps=1"]
        words += [f"run=every{every}", f"trainer.validate_every_steps={every}"]
        execute(load(short(*words)))
    without, watched = (tmp_path / f"every{every}" / STAGE for every in (0, 2))
    weights = "model.safetensors"
    assert sha256(without / weights) == sha256(watched / weights)
    assert (without / "validation.json").read_text() == (watched / "validation.json").read_text()
    assert measured(without) == {}
    found = measured(watched)
    assert list(found) == [2, 4] and found[2] != found[4] and min(found.values()) > 0


def measured(folder: Path) -> dict[int, float]:
    with (folder / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("validation/reader")]
    return {int(row["step"]): float(row["validation/reader"]) for row in rows}


@pytest.mark.parametrize(
    "words", [["=-1"], ["=5", "trainer.validation_rows=0"], ["=5", "data.people.validation=0"]]
)
def test_without_anybody_to_validate_on_it_is_refused(words: list[str]) -> None:
    first = f"trainer.validate_every_steps{words[0]}"
    with pytest.raises(ConfigError, match=first):
        load(["experiment=demo", first, *words[1:]])
