"""Kept features of pictures: a warm run computes none, any change is another file."""

from pathlib import Path

import pytest
import torch
from family_rows import family, picture

from models import features


@pytest.mark.parametrize("changed", ["layer", "weights", "mean", "pictures"])
def test_features_are_kept_by_all_that_they_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    model = family("llava", "open")
    pictures = [picture(seed, px=28) for seed in (1, 2)]
    found = features.cached_features(model, pictures, folder=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(features, "picture_features", None)  # a warm run computes none
        assert torch.equal(features.cached_features(model, pictures, folder=tmp_path), found)
    if changed == "layer":
        model.tower.layer = -1
    elif changed == "weights":
        with torch.no_grad():
            next(model.tower.parameters()).add_(0.1)
    elif changed == "mean":
        model.parts.encoder.image_processor.image_mean = [0.1, 0.1, 0.1]
    else:
        pictures = [picture(seed, px=28) for seed in (1, 3)]
    again = features.cached_features(model, pictures, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2 and not torch.equal(again, found)
