"""Cached references: a warm run computes none; another model or other rows are another cache."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from data.dialogues.pairs import preference_rows
from data.encoded import EncodedSet
from data.preparing import encoded_set
from train import references


def rows(pictures: Any, policy: Any, model: Any, folder: Path, *, seed: int) -> EncodedSet:
    made = preference_rows(pictures, count=6, seed=seed, policy=policy)
    return encoded_set(
        made, model.parts.encoder, max_length=300, max_rejects=0.0, rejects=folder / "rejects",
        cache=folder / "cache",
    )  # fmt: skip


def test_a_warm_cache_computes_nothing(
    tiny: Any, healthcare: Any, pictures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(policy=healthcare)
    first = rows(pictures, healthcare, model, tmp_path, seed=1)
    folder = tmp_path / "references"
    found = references.cached(model, first, None, folder=folder, batch=4)
    [path] = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700

    with monkeypatch.context() as patch:
        patch.setattr(references, "Step", None)  # a warm run makes no step
        again = references.cached(model, first, None, folder=folder, batch=4)
    assert {k: v.tolist() for k, v in again.items()} == {k: v.tolist() for k, v in found.items()}


@pytest.mark.parametrize("changed", ["rows", "weights", "mean", "std", "positions", "picture"])
def test_each_change_alone_is_another_cache(
    tiny: Any, healthcare: Any, pictures: Any, tmp_path: Path, changed: str
) -> None:
    model = tiny(policy=healthcare)
    first = rows(pictures, healthcare, model, tmp_path, seed=1)
    folder = tmp_path / "references"
    references.cached(model, first, None, folder=folder, batch=6)
    prepare, shown = model.parts.encoder.image_processor, Path(first.pictures[0]["path"])
    was = shown.stat()
    try:
        if changed == "rows":
            first = rows(pictures, healthcare, model, tmp_path, seed=2)
        elif changed == "weights":
            with torch.no_grad():
                next(model.language_model.parameters()).add_(0.01)
        elif changed == "positions":
            model.parts.whole.config.text_config.rope_parameters["rope_theta"] = 5e5
        elif changed == "picture":
            os.utime(shown, ns=(was.st_atime_ns, was.st_mtime_ns + 1))
        else:
            setattr(prepare, f"image_{changed}", [0.4, 0.4, 0.4])
        references.cached(model, first, None, folder=folder, batch=6)
        assert len(list(folder.iterdir())) == 2
    finally:
        os.utime(shown, ns=(was.st_atime_ns, was.st_mtime_ns))


def test_another_size_of_pictures_is_another_cache(
    tiny: Any, healthcare: Any, pictures: Any, tmp_path: Path
) -> None:
    model = tiny(policy=healthcare)
    first = rows(pictures, healthcare, model, tmp_path, seed=1)
    before = references.fingerprint(model, first)
    model.parts.encoder.image_processor.size = {"height": 48, "width": 48}
    assert references.fingerprint(model, first) != before


def test_a_stated_attribute_that_the_policy_prohibits_stops_the_stage(pictures: Any) -> None:
    from conf.compose import load
    from data.dialogues.rows import instruct_rows
    from data.errors import DataError
    from data.policy import policy
    from train.rows import stage_rows

    tutor = policy(load(["experiment=demo", "policy=tutor"]).policy)
    healthcare = policy(load(["experiment=demo"]).policy)
    stated = instruct_rows(pictures, count=60, seed=0, policy=healthcare)
    own = {"_target_": "data.sources.own_rows"}
    assert len(stage_rows(own, stated, seed=0, policy=healthcare)) == 60
    with pytest.raises(DataError, match="expression is prohibited under policy=tutor"):
        stage_rows(own, stated, seed=0, policy=tutor)
