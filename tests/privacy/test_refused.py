"""What no ε holds for is refused before the first step, by every door that can know it."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from conf import compose
from conf.compose import ConfigError
from conf.schema import Config
from data.errors import DataError
from data.pictures import split_people
from data.sources import conversations
from lineage.errors import TactError
from privacy import layers
from privacy.__main__ import main
from train import units

BATCHED = "privacy.physical_batch_rows, which bounds memory and leaves the sampling as it is"


REFUSED = {
    "privacy.delta=1.25e-4": "below 1/privacy.units",
    "stage.prefer.gradient_clip_norm=1": "set stage.prefer.gradient_clip_norm=0",
    "+stage.prefer.losses.rate={_target_: train.terms.rate}": "mixes rows",
    "stage.prefer.rows.rows_per_subject=null": "depend on who else is in the split",
    "stage.prefer.train=[]": "nothing would train",
    "stage.instruct.train=[language_model]": "the words of all rows in one line",
    "stage.instruct.flip=true": "a replayed step would differ",
    "trainer.strategy=deepspeed_stage_2": "trainer",
    "model.lora.dropout=0.1": "dropout",
}


def test_plan_refuses_it_and_names_the_fix() -> None:
    """All at once: a line for each, by the door that loads nothing."""
    with pytest.raises(ConfigError) as error:
        main(["plan", "experiment=portraits_dp", *REFUSED])
    said = str(error.value)
    assert all(says in said for says in REFUSED.values())
    with pytest.raises(ConfigError, match="the private stages read 8000 people"):
        main(["plan", "experiment=portraits_dp", "privacy.units=7000"])


def test_keys_of_other_trainers_are_refused_with_what_stands_for_them() -> None:
    with pytest.raises(ConfigError, match="privacy.max_grad_norm, which clips each unit"):
        main(["plan", "experiment=portraits_dp", "+trainer.gradient_clip_val=1"])
    for key, says in {
        "accumulate_grad_batches": BATCHED,
        "adversary_steps": "an adversary has one update a model update",
        "class_weights": "counts taken from private rows",
        "erasure": "a subspace fitted on private rows",
    }.items():
        with pytest.raises(OmegaConfBaseException) as error:
            OmegaConf.merge(OmegaConf.structured(Config), {"trainer": {key: 1}})
        assert says in compose._explain(error.value, None)


def test_class_weights_of_a_loss_are_refused_before_any_stage() -> None:
    from conf.compose import load
    from train.run import execute

    words = ["experiment=portraits_dp", "run=x", "dry_run=true",
             "+stage.prefer.losses.leak.class_weights=balanced"]  # fmt: skip
    with pytest.raises(TactError, match="class_weights.*takes no such option"):
        execute(load(words))


def test_a_run_without_dp_says_so_at_its_start() -> None:
    from conf.compose import load
    from train.run import unbounded

    said = unbounded(load(["experiment=portraits_dp", "run=x", "privacy.epsilon=null"]))
    assert said is not None and "instruct, prefer" in said and "infinite for the whole run" in said
    assert unbounded(load(["experiment=portraits_dp", "run=x"])) is None
    words = ["experiment=portraits_dp", "run=x", "privacy.epsilon=null", "steps=[base_language]"]
    assert unbounded(load(words)) is None


def table(*people: str, **columns: Any) -> Dataset:
    """One picture of each of ``people``."""
    rows = [{"row_id": f"r{i}", "picture_id": f"p{i}", "subject_id": who,
             "images": [f"{who}-{i}.png"], "messages": ["a question", "an answer"]}
            for i, who in enumerate(people)]  # fmt: skip
    made = Dataset.from_list(rows)
    for name, values in columns.items():
        made = made.remove_columns(name) if name in made.column_names else made
        made = made.add_column(name, values)
    return made


def test_a_source_that_names_nobody_is_refused(tmp_path: Path) -> None:
    units.check_named(table("ann", "bo", "ann"), split="private")
    with pytest.raises(TactError, match="no subject of their own"):
        units.check_named(table("ann", "p1"), split="private")
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    named = [{"image": str(tmp_path / "a.png"), "picture_id": f"x{i}"} for i in range(2)]
    Dataset.from_list(named).to_json(tmp_path / "rows.jsonl")
    with pytest.raises(TactError, match="data.source.subject_column"):
        units.check_named(conversations(path=str(tmp_path / "rows.jsonl")), split="private")


def test_a_row_of_two_people_is_refused() -> None:
    pictures = table("ann", "bo")
    units.check_one_person(pictures, pictures)
    both = table("ann", images=[["ann-0.png", "bo-1.png"]])
    with pytest.raises(TactError, match="a row shows two people"):
        units.check_one_person(pictures, both)
    with pytest.raises(TactError, match="picture is in rows of two"):
        units.check_one_person(table(), table("ann", "bo", images=[["same.png"], ["same.png"]]))
    with pytest.raises(DataError, match="several people"):
        split_people(table("ann", subject_id=[["ann", "bo"]]), {"private": 1}, seed=0)


def balanced(pictures: Dataset, *, seed: int, policy: Any) -> Dataset:
    """Rows whose score is the share of people before them in the alphabet: a statistic of all."""
    del seed, policy
    who = pictures["subject_id"]
    return pictures.add_column("chosen_scores", [sum(w <= own for w in who) / len(who)
                                                 for own in who])  # fmt: skip


def test_statistics_of_private_rows_are_refused(
    monkeypatch: pytest.MonkeyPatch, healthcare: Any
) -> None:
    import sys
    from types import ModuleType

    mine = ModuleType("mine")
    mine.balanced = balanced  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mine", mine)
    people = table(*(f"s{i:02d}" for i in range(20)))
    for target, refused in (("mine.balanced", True), ("data.sources.own_rows", False)):
        settings = {"_target_": target}
        rows = units.stage_rows(settings, people, seed=0, policy=healthcare)
        if refused:
            with pytest.raises(TactError, match="depend on who else"):
                units.check_apart(settings, people, rows, seed=0, policy=healthcare)
        else:
            units.check_apart(settings, people, rows, seed=0, policy=healthcare)


def test_layers_that_mix_rows_are_refused_even_frozen() -> None:
    model = nn.ModuleDict({"tower": nn.Sequential(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4)),
                           "head": nn.LayerNorm(4)}).requires_grad_(False)  # fmt: skip
    with pytest.raises(TactError, match="tower.1: BatchNorm2d mixes the rows"):
        layers.check(model)
    layers.check(model, without=("tower",))
