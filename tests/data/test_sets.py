"""Published sets: each read from its own layout, its terms stated, what is wrong refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import published
import pytest

from conf.compose import load, options
from data.dialogues.pairs import preference_rows
from data.dialogues.rows import base_rows, instruct_rows
from data.errors import DataError
from data.pictures import undecoded
from data.sets import chunks, terms
from data.sets.celeba import celeba
from data.sets.fairface import fairface
from data.sets.llava import llava_instruct, llava_pretrain, objects
from data.sets.user_vlm import part_rows, user_vlm, user_vlm_dpo
from data.sets.utkface import utkface
from data.sources import own_rows, splits
from train.run import execute

Made = Callable[[Path], Path]


def at(folder: Path, make: Made) -> dict[str, Any]:
    """Where a made set lies, and a cache beside it."""
    (folder / "set").mkdir()
    return {"path": str(make(folder / "set")), "cache": folder / "cache"}


def test_fairface_gives_gender_and_age_of_grown_people_and_no_race(tmp_path: Path) -> None:
    table = fairface(**at(tmp_path, published.fairface))
    assert table["picture_id"] == table["subject_id"] == ["train/1", "train/2", "train/4"]
    told = [{k: v for k, v in row.items() if v} for row in table["attributes"]]
    assert told == [
        {"gender": "man", "age": "middle-aged"},
        {"gender": "woman", "age": "young adult"},
        {"gender": "man", "age": "senior"},
    ]
    assert table[0]["image"].size == (16, 16)
    kept = undecoded(table)[0]["image"]
    assert kept == {"bytes": None, "path": str(tmp_path / "set" / "train" / "1.jpg")}


def test_utkface_is_read_from_its_names(tmp_path: Path) -> None:
    table = utkface(accept_terms=True, **at(tmp_path, published.utkface))
    told = [(row["gender"], row["age"]) for row in table["attributes"]]
    assert told == [("woman", "young adult"), ("man", "senior")]


def test_celeba_has_people_and_only_what_one_class_says(tmp_path: Path) -> None:
    table = celeba(accept_terms=True, **at(tmp_path, published.celeba))
    assert table["subject_id"] == ["2880", "2937", "2880"]
    first, second, third = table["attributes"]
    assert (first["gender"], first["hair"], first["beard"], first["glasses"]) == (
        "man", "black", "yes", "no",
    )  # fmt: skip
    assert second["hair"] is None and second["lipstick"] == "yes" and second["gender"] == "woman"
    assert third["glasses"] == "yes" and third["hair"] == "grey"
    assert {row["age"] for row in table["attributes"]} == {None}
    parted = splits(table, {"private": 1, "test": 1}, seed=0)
    assert {len(part) for part in parted.values()} == {1, 2}


@pytest.mark.parametrize("rows", [base_rows, instruct_rows, preference_rows])
def test_labelled_faces_make_dialogues_by_the_usual_templates(
    rows: Any, tmp_path: Path, healthcare: Any
) -> None:
    table = fairface(**at(tmp_path, published.fairface))
    own = {"readback": 0.5, "captions": 0.5} if rows is base_rows else {"facts": 0.0}
    made = rows(table, count=40, seed=0, policy=healthcare, **own)
    assert len(made) == 40 and {*made["asks"]} <= {"", "gender", "age"}
    with pytest.raises(DataError, match="facts: 0"):
        rows(table, count=40, seed=0, policy=healthcare)


@pytest.mark.parametrize(
    ("read", "table"),
    [
        (llava_pretrain, "blip_laion_cc_sbu_558k.json"),
        (lambda **where: llava_instruct(accept_terms=True, **where), "llava_instruct_150k.json"),
    ],
)
def test_llava_conversations_lose_their_image_word_and_rows_of_text(
    read: Any, table: str, tmp_path: Path, healthcare: Any
) -> None:
    found = read(**at(tmp_path, lambda folder: published.llava(folder, table)))
    rows = own_rows(found, seed=0, policy=healthcare)
    assert len(rows) == 2 and rows[0]["image"].size == (16, 16)
    roles = [turn["role"] for turn in rows[0]["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]
    assert rows[0]["messages"][0]["content"] == "What is it?"


def user_vlm_sets(folder: Path) -> Path:
    published.parquet(folder / "pt", seeds=(1, 2), text=["a man", "a woman"])
    published.parquet(folder / "instruct", seeds=(1, 1), question=["q", "r"], answer=["a", "b"])
    published.parquet(folder / "dpo", seeds=(2,), prompt=["p"], chosen=["yes"], rejected=["no"],
                      category=["sexist"])  # fmt: skip
    return folder


def test_user_vlm_sets_are_one_source_with_people_by_picture(
    tmp_path: Path, healthcare: Any
) -> None:
    found = user_vlm(**at(tmp_path, user_vlm_sets))
    parts = {p: part_rows(found, seed=0, policy=healthcare, part=p) for p in ("pt", "instruct")}
    assert parts["pt"][0]["messages"][1] == {"role": "assistant", "content": "a man"}
    assert parts["instruct"]["subject_id"] == [parts["pt"]["subject_id"][0]] * 2
    pair = part_rows(found, seed=0, policy=healthcare, part="dpo")[0]
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == ("yes", "no")
    assert pair["prompt"] == [{"role": "user", "content": "p"}] and pair["category"] == "sexist"
    assert pair["image"].size == (16, 16) and len(set(found["subject_id"])) == 2


def emptied(make: Made, name: str) -> Made:
    def made(folder: Path) -> Path:
        make(folder)
        (folder / name).write_bytes(b"")
        return folder

    return made


def replaced(make: Made, name: str, old: str, new: str) -> Made:
    def made(folder: Path) -> Path:
        make(folder)
        (folder / name).write_text((folder / name).read_text().replace(old, new))
        return folder

    return made


def instruct(folder: Path) -> Path:
    return published.llava(folder, "llava_instruct_150k.json")


def pretrain(folder: Path) -> Path:
    return published.llava(folder, "blip_laion_cc_sbu_558k.json")


def dpo_without_category(folder: Path) -> Path:
    return published.parquet(folder, seeds=(2,), prompt=["p"], chosen=["y"], rejected=["n"])


UTK = "part1/26_1_0_20170116231512359.jpg.chip.jpg"
CSV, ANNO = "fairface_label_train.csv", "Anno/list_attr_celeba.txt"
JSON = "blip_laion_cc_sbu_558k.json"
AGREED = {"accept_terms": True}


@pytest.mark.parametrize(
    ("read", "make", "more", "said"),
    [
        (fairface, emptied(published.fairface, "train/2.jpg"), {}, "2.jpg of train/ has 0 bytes"),
        (utkface, emptied(published.utkface, UTK), AGREED, "has 0 bytes"),
        (llava_pretrain, emptied(pretrain, "images/00453/000000000.jpg"), {}, "has 0 bytes"),
        (llava_pretrain, emptied(pretrain, JSON), {}, "no JSON list"),
        (user_vlm_dpo, emptied(dpo_without_category, "data/train-00000-of-00001.parquet"), {},
         "can't be read"),
        (fairface, replaced(published.fairface, CSV, "gender,", "sex,"), {}, "lacks gender"),
        (fairface, replaced(published.fairface, CSV, "50-59", "old"), {}, "line 2: age 'old'"),
        (celeba, replaced(published.celeba, ANNO, "Male", "Man"), AGREED, "lacks Male"),
        (llava_pretrain, replaced(pretrain, JSON, "conversations", "turns"), {}, "row 0: it lacks"),
        (llava_pretrain, replaced(pretrain, JSON, '"gpt"', '"human"'), {}, "human and gpt in turn"),
        (user_vlm_dpo, dpo_without_category, {}, "lacks category"),
        (utkface, published.celeba, AGREED, "3 of 3 pictures have no UTKFace"),
        (fairface, published.utkface, {}, "holds no fairface_label_train.csv"),
        (utkface, published.utkface, {}, "data.source.accept_terms=true"),
        (celeba, published.celeba, {}, "forbid any commercial use"),
        (llava_instruct, instruct, {}, "data.source.accept_terms=true"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_set_is_one_error_with_its_fix(
    read: Any, make: Made, more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        read(**at(tmp_path, make), **more)


def test_one_person_under_two_names_is_found_by_hash(tmp_path: Path) -> None:
    where = at(tmp_path, published.fairface)
    train = Path(where["path"]) / "train"
    (train / "4.jpg").write_bytes((train / "1.jpg").read_bytes())
    with pytest.raises(DataError, match=r"4\.jpg .* and 1\.jpg .* one person under two names"):
        fairface(**where)
    table = fairface(same_picture="one_person", **where)
    assert table["subject_id"] == ["train/1", "train/2", "train/1"]


def test_a_build_that_was_broken_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)
    where = at(tmp_path, lambda folder: published.llava(folder, JSON, rows=8))
    last = Path(where["path"]) / "images" / "00453" / "000000006.jpg"
    last.rename(tmp_path / "away.jpg")
    with pytest.raises(DataError, match="not there"):
        llava_pretrain(**where)
    (cached,) = (tmp_path / "cache" / "sets").iterdir()
    before = {path.name: path.stat().st_ino for path in cached.iterdir()}
    assert sorted(before) == ["00000.arrow", "00001.arrow", "00002.arrow"]
    (tmp_path / "away.jpg").rename(last)
    table = llava_pretrain(**where)
    assert table["row_id"] == [f"r{i:07d}" for i in range(7)]
    assert {n: (cached / n).stat().st_ino for n in before} == before


def test_a_list_longer_than_what_is_read_at_once_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.sets.llava.READ_CHARACTERS", 7)
    rows = [{"id": str(i), "text": "a ] , } \u00e9" * i} for i in range(20)]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows, indent=2))
    assert list(objects(file)) == rows
    file.write_text(json.dumps(rows)[:-5])
    with pytest.raises(DataError, match="cut off"):
        list(objects(file))


SETS = [name for name in options("data") if name not in ("portraits", "folder", "conversations")]


NOT_KNOWN = ("user_vlm_pt", "user_vlm_instruct")


@pytest.mark.parametrize("name", SETS)
def test_each_set_states_its_terms_and_an_export_carries_them(name: str) -> None:
    source = load([f"data={name}", "data.source.path=x", "run=x"], check=False).data.source
    found = terms.of(source)
    assert found is not None and found.consent
    assert (found.licence is None) == (name in NOT_KNOWN)
    assert bool(found.forbids) == ("accept_terms" in source)
    told = terms.told(source)
    assert told is not None and terms.CHECK in told
    assert (found.licence or "licence not known here, read the dataset's page") in told
    carried = terms.carried(source)
    assert carried["licence"] == found.licence and carried["accepted"] is False
    assert terms.carried({**source, "accept_terms": True})["accepted"] is True


def test_terms_are_told_as_a_run_begins_whether_or_not_progress_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "experiment=photos",
        "model=tiny",
        "data=celeba",
        f"data.source.path={tmp_path}",
        "run=x",
    ]
    words += [f"checkpoints={tmp_path}", f"cache={tmp_path}", "trainer.progress=false"]
    with pytest.raises(DataError, match="forbid any commercial use"):
        execute(load([*words, "data.public=[private]"], check=False))
    assert capsys.readouterr().err.count("CelebA: the CelebA agreement") == 1


def test_sources_without_terms_are_said_to_have_none() -> None:
    assert terms.told({"_target_": "data.sources.folder"}) is None
    assert "not known" in terms.carried({"_target_": "mine.people"})["note"]
    assert "nobody" in terms.carried({"_target_": "data.portraits.table.portraits"})["consent"]
