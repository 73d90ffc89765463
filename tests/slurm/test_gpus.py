"""``plan`` on GPUs: how many rows go through one at once, and what the presets' page says."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import presets_page
import pytest
from published_models import MODELS

from conf.compose import load
from conf.schema import Config
from data.encode import encode
from data.policy import policy
from data.prepared import prepared
from slurm import gpus
from slurm.plan import planned
from train import footprint
from train.rows import stage_rows


def sized(config: Config) -> gpus.Size:
    rule, stage = policy(config.policy), config.stage["prefer"]
    table = prepared(config)[stage.people]
    model = footprint.empty_model(config, rule, adapter=True)
    rows = stage_rows(stage.rows, table, seed=0, policy=rule)
    encoded = [encode(row, model.parts.encoder) for row in rows.select(range(16))]
    return partial(
        footprint.footprint, name="prefer", model=model, rows=encoded, pictures=16
    )  # fmt: skip


def test_the_most_rows_that_fit_a_gpu_are_those_that_a_footprint_of_them_fits(
    short: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load([*short(), "run=r", "model.interface.kind=open"])
    size, whole = sized(config), config.stage["prefer"].batch_size_rows
    peaks = {n: size(gpus._of_rows(config, "prefer", n)).peak for n in (1, 2, 4, 8)}
    assert whole == 8 and sorted(peaks.values()) == list(peaks.values())
    full = {n: peak / gpus.SHARE / 1e9 for n, peak in peaks.items()}
    sizes = (full[1] * 0.98, full[1] * 1.02, full[4] * 0.98, full[4] * 1.02, 2 * full[8])
    monkeypatch.setattr(gpus, "SIZES_GB", sizes)
    found = gpus.fitting(config, "prefer", size(config), size)
    assert list(found.values()) == [None, 1, 2, 4, 8]


def test_a_private_stage_is_split_by_its_physical_batch(short: Callable[..., list[str]]) -> None:
    words = ["privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
             "privacy.physical_batch_rows=12", "stage.prefer.gradient_clip_norm=0"]  # fmt: skip
    config = load([*short(), "run=r", *words], check=False)
    assert gpus.rows_at_once(config, "prefer") == 12
    assert gpus._of_rows(config, "prefer", 3).privacy.physical_batch_rows == 3
    assert gpus._of_rows(config, "prefer", 3).trainer == config.trainer


@pytest.mark.system
@pytest.mark.parametrize("name", MODELS)
def test_every_preset_is_sized_as_its_page_says(name: str, cache: Path) -> None:
    found = planned(presets_page.preset(name, f"cache={cache}"))
    assert [each["stage"] for each in found["stages"]] == ["instruct", "prefer"]
    assert not [why for why in found["refused"] if "its disk has" not in why]
    for each in found["stages"]:
        memory, rows = each["memory"], [n or 0 for n in each["gpus"].values()]
        assert memory["peak"] > memory["weights"] > MODELS[name].billions * 2e9 * 0.97
        assert rows == sorted(rows) and rows[-1] >= 1
    page = presets_page.PAGE.read_text().splitlines()
    assert set(presets_page.lines(name, found)) <= set(page)
