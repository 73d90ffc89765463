"""What is drawn to a person's rows is theirs alone: not another's batch, order or presence."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, concatenate_datasets

from conf.schema import SampleConfig
from data.dialogues.pairs import preference_rows
from data.dialogues.rows import instruct_rows
from data.errors import DataError
from data.preparing import encoded_set
from models import generate
from train import drawing, units
from train.drawing import Drawing, parts_of

WANTED = SampleConfig(answers=3, max_new_tokens=6, min_gap=0.2, min_reward=0.0)
Made = Callable[..., tuple[Drawing, list[list[int]]]]


def by_hash(rows: Sequence[Mapping[str, Any]], said: Sequence[str]) -> list[dict[str, float]]:
    """A score that is as good as drawn, and the same for the same text."""
    return [
        {"personalization": zlib.crc32(text.encode()) % 1000 / 1000, "leakage": 0.0}
        for text in said
    ]


@pytest.fixture
def made(
    tiny: Callable[..., Any], healthcare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Made:
    """Makes a Drawing of rows by a model that has learnt nothing; each answer counts as ended."""
    whole = generate._said
    model = tiny("private", policy=healthcare).eval()

    def closed(model: Any, *given: Any, **options: Any) -> list[list[int]]:
        return [[*r, model.parts.encoder.tokenizer.eos_token_id]
                for r in whole(model, *given, **options)]  # fmt: skip

    monkeypatch.setattr(generate, "_said", closed)

    def make(rows: Dataset, *, unit: str = "subject", alone: bool = True,
             wanted: SampleConfig = WANTED) -> Any:  # fmt: skip
        encoded = encoded_set(rows, model.parts.encoder, max_length=512, max_rejects=0.0,
                              rejects=tmp_path / "rejects", cache=tmp_path)  # fmt: skip
        drawn = Drawing(model, wanted, rows, encoded, name="sample", seed=0, unit=unit,
                        scorer=by_hash, most=4, alone=alone)  # fmt: skip
        return drawn, [*units.units_of(encoded.subjects, unit).values()]

    return make


@pytest.fixture(scope="module")
def rows(pictures: Any, healthcare: Any) -> Dataset:
    """Three rows of each of eight people."""
    some = sorted(set(pictures["subject_id"]))[:8]
    few = pictures.filter(lambda row: row["subject_id"] in some)
    return preference_rows(few, count=1, seed=0, policy=healthcare, rows_per_subject=3)


def pairs_of(drawn: Drawing, parts: Sequence[Sequence[Sequence[int]]]) -> dict[str, list[Any]]:
    """Person → their pairs, scores and all."""
    found: dict[str, list[Any]] = {}
    for part, said in zip(parts, drawn.answers(parts, threads=1), strict=True):
        for pair in drawn.pairs(part, said):
            row = drawn.rows[pair.row]
            found.setdefault(row["subject_id"], []).append(
                (row["row_id"], pair.chosen, pair.rejected)
            )
    return found


def test_a_persons_pairs_are_the_same_without_the_others(rows: Dataset, made: Made) -> None:
    drawn, people = made(rows)
    every = pairs_of(drawn, parts_of(people, least=7))
    assert len(every) == 8
    out = sorted(every)[0]
    drawn, people = made(rows.filter(lambda row: row["subject_id"] != out))
    fewer = pairs_of(drawn, parts_of(people[::-1], least=2))  # in other parts, and other order
    assert {**fewer, out: every[out]} == every


def test_two_people_are_never_in_one_batch_nor_scored_together(
    rows: Dataset, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, scored = [], []
    plain = drawing.sampled

    def seen(model: Any, prompts: Any, *given: Any, **options: Any) -> Any:
        sizes.append(len(prompts))
        return plain(model, prompts, *given, **options)

    def noted(rows: Any, said: Any) -> Any:
        scored.append({row["subject_id"] for row in rows})
        return by_hash(rows, said)

    monkeypatch.setattr(drawing, "sampled", seen)
    for alone, batches in ((True, [3] * 8), (False, [4] * 6)):
        sizes.clear()
        scored.clear()
        drawn, people = made(rows, alone=alone)
        drawn.scorer = noted
        pairs_of(drawn, [people])
        assert sizes == batches
        assert max(map(len, scored)) == (1 if alone else 8)


def test_a_person_has_a_pair_once_and_a_row_that_is_a_unit_has_its_own(
    rows: Dataset, made: Made
) -> None:
    one = rows.filter(lambda row: row["subject_id"] == rows[0]["subject_id"]).select([0])
    twice = concatenate_datasets([one, one.map(lambda row: {"row_id": row["row_id"] + "b"})])
    drawn, people = made(twice)
    kept = pairs_of(drawn, [people])
    assert len(drawn.rows) == 2 and people == [[0, 1]]
    drawn._seed = lambda row, before, number: number  # type: ignore[method-assign]
    ((_, same),) = pairs_of(drawn, [people]).items()  # both rows draw the same
    assert len(same) == 1 <= len(kept[one[0]["subject_id"]])
    drawn, single = made(twice, unit="row")
    ((_, both),) = pairs_of(drawn, [single]).items()
    assert single == [[0], [1]] and len(both) == 2
    assert both[0][1:] == both[1][1:]  # a row's draws are its own, whatever it is called


def test_the_seed_and_the_stage_decide_the_draws(rows: Dataset, made: Made) -> None:
    drawn, people = made(rows)
    first = pairs_of(drawn, [people])
    for change in ({"seed": 1}, {"name": "again"}):
        other, _ = made(rows)
        vars(other).update(change)
        assert pairs_of(other, [people]) != first
    assert pairs_of(drawn, [people]) == first


def test_a_row_of_whose_answers_no_pair_is_made_keeps_its_own(rows: Dataset, made: Made) -> None:
    drawn, people = made(rows)
    own = {row["row_id"]: (row["chosen"][0]["content"], row["rejected"][0]["content"])
           for row in rows}  # fmt: skip
    said = {i: [f"a {i}", f"b {i}", None] for unit in people for i in unit}
    said[0] = ["good", "bad", "bad"]

    def by_text(some: Any, said: Any) -> list[dict[str, float]]:
        good = [
            text in ("good", own[row["row_id"]][0]) for row, text in zip(some, said, strict=True)
        ]
        return [{"personalization": 0.9 if each else 0.1, "leakage": 0.0} for each in good]

    drawn.scorer = by_text
    (only,) = drawn.pairs(people, said)
    assert (only.row, only.chosen.text, only.rejected.text) == (0, "good", "bad")
    drawn.wanted = dataclasses.replace(WANTED, keep_own=True)
    found = {pair.row: (pair.chosen.text, pair.rejected.text) for pair in drawn.pairs(people, said)}
    expected = {i: own[row["row_id"]] for i, row in enumerate(drawn.rows)}
    assert found == {**expected, 0: ("good", "bad")} and len(found) == 24
    own[drawn.rows[5]["row_id"]] = ("another", "bad")  # the scorer thinks nothing of row 5's own
    assert {pair.row for pair in drawn.pairs(people, said)} == set(range(24)) - {5}


def test_rows_that_bring_no_pair_have_none_to_keep(
    pictures: Any, healthcare: Any, made: Made
) -> None:
    plain = instruct_rows(pictures, count=4, seed=0, policy=healthcare)
    assert made(plain)[0].rows
    with pytest.raises(DataError, match="keep_own=true: its rows bring no pairs"):
        made(plain, wanted=dataclasses.replace(WANTED, keep_own=True))
