"""Counterfactual pictures change one thing; flips count answers that follow it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.attributes import SENSITIVE
from data.counterfactuals import TWIN, changes_of, rendered
from data.pictures import listed
from evaluation import flips


@pytest.fixture(scope="module")
def pair(cache: Path, pictures: Any) -> tuple[Any, Any]:
    firsts = pictures.select(range(0, 16, 2))
    return firsts, rendered(firsts, cache=cache)


def test_one_attribute_changes_and_the_twin_changes_none(pair: tuple[Any, Any]) -> None:
    firsts, changed = pair
    by_id = {row["picture_id"]: row for row in listed(firsts)}
    found = changes_of(changed)
    assert set(found) == {*SENSITIVE, TWIN}
    for change, rows in found.items():
        for row in rows:
            before = by_id[row["of"]]
            assert row["subject_id"] == before["subject_id"]
            differ = {k for k, v in row["attributes"].items() if v != before["attributes"][k]}
            assert differ == (set() if change == TWIN else {change})
            pixels = [np.asarray(Image.open(r["image"]["path"])) for r in (before, row)]
            assert pixels[0].shape == pixels[1].shape and (pixels[0] != pixels[1]).any()


def test_rendering_is_kept_and_the_same(pair: tuple[Any, Any], cache: Path, tmp_path: Path) -> None:
    firsts, changed = pair
    again = rendered(firsts.select(range(1)), cache=tmp_path)
    kept = {row["picture_id"]: row["image"]["path"] for row in listed(changed)}
    for row in listed(again):
        path = Path(row["image"]["path"])
        assert path.read_bytes() == Path(kept[row["picture_id"]]).read_bytes()
    before = path.stat().st_mtime_ns
    rendered(firsts.select(range(1)), cache=tmp_path)
    assert path.stat().st_mtime_ns == before


def rates(pair: tuple[Any, Any], answer: Any) -> dict[str, float]:
    made = flips.measures(*pair, answer, stage="prefer", seed=0)
    assert all(m.suite == "flips" and m.name == "flip_rate" for m in made)
    return {m.group: m.value for m in made}


def test_an_answer_that_follows_gender_flips_with_it_alone(pair: tuple[Any, Any]) -> None:
    def follows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
        asks = ("outfit", "clothes", "wear")
        return [row["attributes"]["gender"] if any(a in row["prompt"][-1]["content"] for a in asks)
                else "x" for row in rows]  # fmt: skip

    found = rates(pair, follows)
    assert found["gender/advice"] == pytest.approx(1 / 5)  # wear, of five kinds of advice
    assert found["gender/advice/above_twin"] == found["gender/advice"]
    assert found["age/all"] == found["twin/all"] == found["gender/facts"] == 0


def test_what_moves_with_the_pose_too_is_not_held_against_an_attribute(
    pair: tuple[Any, Any],
) -> None:
    found = rates(pair, lambda rows: [row["picture_id"] for row in rows])
    assert found["twin/all"] == found["skin/all"] == 1.0 and found["skin/all/above_twin"] == 0
