"""What a stage is said to take beside what it takes: torch's own record of every allocation."""

import gc
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import family_rows
import pytest
import tiny_families
import torch
from torch.profiler import ProfilerActivity, profile

from conf.compose import load
from conf.schema import Config
from data.encode import encode
from data.policy import policy
from data.prepared import prepared
from train import footprint
from train.rows import stage_rows
from train.run import execute

WITHIN = 0.15
DP = ["privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=24",
      "privacy.delta=1e-3", "privacy.physical_batch_rows=16", "privacy.rows_per_unit=4",
      "privacy.fixed_key=same"]  # fmt: skip


def most(run: Callable[[], Any]) -> int:
    """Bytes of tensors at the most while ``run`` ran."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    results: Any = seen.profiler.kineto_results  # type: ignore[union-attr]
    found = [(e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]"]
    return max(accumulate(change for _, change in sorted(found)))


def foreseen(config: Config, name: str) -> footprint.Footprint:
    rule, stage = policy(config.policy), config.stage[name]
    rows = stage_rows(stage.rows, prepared(config)[stage.people], seed=0, policy=rule)
    model = footprint.empty_model(config, rule, adapter="lora" in stage.train)
    encoded = [encode(row, model.parts.encoder) for row in rows]
    pictures = len({str(picture) for row in encoded for picture in row.pictures})
    return footprint.footprint(config, name, model, encoded, pictures=pictures)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("base_language", []),
        ("prefer", ["model.interface.kind=open"]),
        ("prefer", ["+model.parts.width=256", "+model.parts.layers=2", "model.lora.rank=4"]),
        ("instruct", [*DP, "stage.instruct.gradient_clip_norm=0",
                      "+stage.instruct.rows.rows_per_subject=4"]),
    ],
)  # fmt: skip
def test_what_is_foreseen_is_what_training_takes(
    name: str, words: Sequence[str], short: Callable[..., list[str]], tmp_path: Path
) -> None:
    steps = [f"steps=[{name}]", f"stage.{name}.steps=4", "run=r"]
    config = load([*short(), *steps, *words])
    taken = most(lambda: execute(config))
    planned = foreseen(config, name)
    assert planned.peak == pytest.approx(taken, rel=WITHIN), vars(planned)
    assert planned.weights > 0 and planned.optimizer > 0 and planned.step > 0


def test_nothing_of_the_model_is_held(short: Callable[..., list[str]]) -> None:
    config = load([*short(), "run=r", "+model.parts.width=4096", "+model.parts.layers=40"])
    model = footprint.empty_model(config, policy(config.policy), adapter=True)
    assert all(p.is_meta for p in model.parameters())
    assert sum(p.nbytes for p in model.parameters()) > 24 * 2**30  # more than this machine has


def test_counted_sees_what_lives_and_lets_go_what_is_gone() -> None:
    with footprint.Counted() as seen:
        kept = torch.empty(1000, device="meta")
        for _ in range(3):
            kept = kept * 2.0
        view = kept[:10]
    assert (seen.held, seen.most) == (4000, 8000)
    del kept
    assert seen.held == 4000
    del view
    assert seen.held == 0


def test_what_a_mask_chooses_has_its_true_size() -> None:
    mask = torch.tensor([[True, False, True], [False, False, True]])
    with footprint.Counted():
        states = torch.empty(2, 3, 8, device="meta")
        chosen = states[mask.to("meta"), :]
        states[mask.to("meta"), :] = chosen + torch.empty(3, 8, device="meta")
    assert chosen.shape == (3, 8)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl"])
def test_a_tower_of_patches_knows_its_grid_on_shapes_alone(name: str) -> None:
    with torch.device("meta"):
        model = family_rows.family(name, "open", given=tiny_families.MAKERS[name]())
    real = family_rows.family(name, "open")
    pictures = torch.zeros(2, *real.parts.encoder.picture_shape)
    with footprint.Counted(), torch.no_grad():
        features = model.features(pictures.to("meta"))
    assert features.is_meta
    assert features.shape == real.features(pictures).shape
