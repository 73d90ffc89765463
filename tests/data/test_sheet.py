"""The contact sheet: all kinds of rows are drawn, nothing is cut off."""

from collections.abc import Mapping
from pathlib import Path

import PIL.Image
import pytest
from datasets import Dataset, Features, Image, List, Value

from data.dialogues.features import PICTURES, PREFERENCE, SUPERVISED
from data.errors import DataError
from data.sheet import GAP_PX, PICTURE_PX, TEXT_PX, contact_sheet

RED = PIL.Image.new("RGB", (96, 48), "red")
WIDTH = PICTURE_PX + TEXT_PX + 3 * GAP_PX


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _ink(sheet: PIL.Image.Image, wanted: str) -> int:
    """Pixels of exactly this colour."""
    colour = PIL.Image.new("RGB", (1, 1), wanted).getpixel((0, 0))
    return sum(count for count, c in sheet.getcolors(1 << 20) or () if c == colour)


def _only(features: Features, row: Mapping[str, object], count: int = 1) -> Dataset:
    kept = Features({name: feature for name, feature in features.items() if name in row})
    return Dataset.from_list([dict(row)] * count, features=kept)


def test_messages_are_drawn_beside_their_picture(tmp_path: Path) -> None:
    row = {"row_id": "r1", "images": [RED],
           "messages": [_turn("user", "what is red?"), _turn("assistant", "the top")]}  # fmt: skip
    contact_sheet(_only(SUPERVISED, row, 5), tmp_path / "new" / "sheet.png", columns=2)
    sheet = PIL.Image.open(tmp_path / "new" / "sheet.png")
    assert sheet.size == (2 * WIDTH, 3 * (PICTURE_PX + GAP_PX) + GAP_PX)
    assert sheet.getpixel((GAP_PX + 5, GAP_PX + 5)) == (255, 0, 0)
    assert _ink(sheet, "#1d4ed8") and not _ink(sheet, "#15803d")


def test_preference_rows_show_both_answers_and_a_long_one_makes_room(tmp_path: Path) -> None:
    scores = {"personalization": 1.0, "leakage": 0.0}
    row = {"row_id": "r1", "images": [RED], "prompt": [_turn("user", "hello")],
           "chosen": [_turn("assistant", "a long answer " * 80)],
           "rejected": [_turn("assistant", "no: never")],
           "chosen_scores": scores, "rejected_scores": scores}  # fmt: skip
    contact_sheet(_only(PREFERENCE, row), tmp_path / "sheet.png")
    sheet = PIL.Image.open(tmp_path / "sheet.png")
    assert sheet.width == WIDTH and sheet.height > 2 * PICTURE_PX
    assert _ink(sheet, "#15803d") and _ink(sheet, "#b91c1c")


def test_pictures_without_a_dialogue_show_attributes(tmp_path: Path) -> None:
    row = {"picture_id": "p", "image": RED, "attributes": {"gender": "woman"}}
    contact_sheet(_only(PICTURES, row), tmp_path / "sheet.png")
    assert _ink(PIL.Image.open(tmp_path / "sheet.png"), "#111827")


def test_trl_content_parts_and_no_picture(tmp_path: Path) -> None:
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "what is it?"}]
    content = List({"type": Value("string"), "text": Value("string")})
    turns = List({"role": Value("string"), "content": content})
    features = Features({"images": List(Image()), "messages": turns})
    row = {"images": [], "messages": [{"role": "user", "content": parts}]}
    contact_sheet(Dataset.from_list([row], features=features), tmp_path / "sheet.png")
    assert _ink(PIL.Image.open(tmp_path / "sheet.png"), "#1d4ed8")


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    none = _only(SUPERVISED, {"row_id": "r"}).select([])
    with pytest.raises(DataError, match="0 rows"):
        contact_sheet(none, tmp_path / "sheet.png")
