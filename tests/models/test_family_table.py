"""``docs/families.md`` is what the families' files say, and they say what their models do."""

from typing import Any

import pytest
import torch
from family_rows import every_family, family

from lineage.place import CHECKOUT
from models import attention, families
from models.attention import PROMPT
from models.families import table
from models.families.support import Support
from models.interface import Codes

SHAPES = {2: "patches", 3: "whole", 4: "crops"}  # axes of one picture's pixels


def test_the_committed_page_is_what_the_families_files_say() -> None:
    committed = (CHECKOUT / "docs" / "families.md").read_text()
    assert committed == table.page(), "run python -m models.families write"


def test_every_model_type_stands_on_the_page_once() -> None:
    assert sorted(name for types, _ in table.supports() for name in types) == sorted(families.FILES)


@every_family
def test_a_file_says_what_its_model_does(name: str) -> None:
    model = family(name, "open")
    parts, said = model.parts, families.find(model.parts.family).SUPPORT
    assert parts.encoder.max_pictures == said.pictures
    assert SHAPES[len(parts.encoder.picture_shape)] in said.takes
    assert _both_ways(model) == said.both_ways
    segments = torch.zeros(1, 1, dtype=torch.long)
    assert (parts.reading.positions(segments, segments).ndim == 3) == said.grid
    attention.one_sequence(model.language_model)
    assert said.one_sequence
    assert said.private and isinstance(family(name, "private").interface, Codes)


@pytest.mark.parametrize(
    ("own", "shown"),
    [
        (Support("X", one_sequence=False), "| no: `model.pairs=two_rows` | yes |"),
        (Support("X", private=False), "| yes | no |"),
    ],
)
def test_what_is_not_supported_is_said(
    own: Support, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families.find("llava"), "SUPPORT", own)
    assert shown in table.page()


def _both_ways(model: Any) -> str:
    """What of a text token and a picture's token is in a block."""
    ids = torch.tensor([[0, model.parts.reading.image_token_id]])
    blocks = model.parts.reading.blocks(ids, torch.full_like(ids, PROMPT))
    if blocks is None:
        return "nothing"
    text, picture = (blocks.ids[0] >= 0).tolist()
    assert picture
    return "prompt" if text else "pictures"
