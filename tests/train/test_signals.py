"""Signals are a stage's own for as long as it trains, and not a moment longer."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from several import FEW, SGD, stops_at

from conf.compose import load
from lineage.errors import TactError
from lineage.run import DONE, RunFolder
from train.run import execute
from train.stage import Stage
from train.stopping import SIGNALS, Interrupted

Words = Callable[..., list[str]]


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """The signals that this process takes itself, in the order in which they come."""
    taken: list[int] = []
    before = {n: signal.signal(n, lambda number, _: taken.append(number)) for n in SIGNALS}
    yield taken
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_stage_that_was_stopped_takes_no_later_signal(
    short: Words, heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = short(*FEW, *SGD, "steps=[base_language]", "run=x")
    with monkeypatch.context() as within:
        stops_at(2, within)
        with pytest.raises(Interrupted, match="stopped by SIGTERM at step 2"):
            execute(load(words))
    assert heard == []  # it was the stage's
    everyone_hears(heard)
    with monkeypatch.context() as within:
        within.setattr(Stage, "training_step", failing)
        with pytest.raises(TactError, match="it fails"):
            execute(load(words))
    everyone_hears(heard)
    execute(load(words))
    everyone_hears(heard)


def test_a_signal_in_the_last_step_stops_the_run_behind_the_stage(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = short(*FEW, *SGD, "steps=[base_tower,align]", "run=x")
    stops_at(4, monkeypatch)
    with pytest.raises(Interrupted, match="SIGTERM at the end of stage base_tower, which is saved"):
        execute(load(words))
    run = RunFolder.existing("x", checkpoints=tmp_path)
    assert [(s.stage, s.state) for s in run.read().stages] == [("base_tower", DONE)]
    assert execute(load(words))["stages"] == ["base_tower", "align"]


def failing(*_: object) -> None:
    raise TactError("it fails")


def everyone_hears(heard: list[int]) -> None:
    heard.clear()
    for number in SIGNALS:
        os.kill(os.getpid(), number)
    assert heard == list(SIGNALS)
