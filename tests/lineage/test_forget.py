"""Whom a cache is emptied of: under every name, in every cache, and in whatever is built again."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import published
import pytest
from datasets import Dataset, Features

from conf.compose import load, to_yaml
from conf.schema import Config
from data import prepared, table_files
from data.dialogues.features import TEXT
from data.errors import DataError
from data.sets import chunks
from data.sets.llava import llava_pretrain
from data.sets.user_vlm import user_vlm_instruct
from lineage import people
from lineage.errors import TactError
from lineage.forget import PAIRS
from lineage.run import RunFolder
from lineage.who import exclude, who

Words = Callable[..., Config]


@pytest.fixture
def words(tmp_path: Path) -> Words:
    """The config of three grown people of FairFace, one in each split."""
    path = published.fairface(tmp_path / "set")
    (tmp_path / "runs").mkdir()
    own = [f"data.source.path={path}", f"cache={tmp_path / 'cache'}", "run=x",
           f"checkpoints={tmp_path / 'runs'}"]  # fmt: skip
    own += ["data.people={private: 1, validation: 1, test: 1, attack: 0}"]

    def made(*more: str, data: str = "fairface") -> Config:
        return load([f"data={data}", *own, *more], check=False)

    return made


def out_of(tmp_path: Path, subject: str) -> dict[str, Any]:
    return exclude(subject, tmp_path / "runs", tmp_path / "cache", quiet=True)


def began(tmp_path: Path, config: Config) -> RunFolder:
    """A run of the config that notes its private people."""
    run = RunFolder.open(config.run, checkpoints=tmp_path / "runs")
    run.write(run.read())
    run.keep_config(to_yaml(config))
    people.note(run, "instruct", kind=people.STAGE, split="private",
                people=prepared.prepared(config)["private"]["subject_id"])  # fmt: skip
    return run


def shown(table: Dataset) -> list[str]:
    """Whose rows hold more than ids."""
    return [row["subject_id"] for row in table if row["image"] is not None]


@pytest.mark.parametrize("source", ["fairface", "folder"])
def test_who_is_one_person_with_another_is_found_and_goes_by_each_name(
    source: str, words: Words, tmp_path: Path
) -> None:
    train = tmp_path / "set" / "train"
    (train / "4.jpg").write_bytes((train / "1.jpg").read_bytes())
    named = "file,subject_id\ntrain/1.jpg,train/1\ntrain/2.jpg,train/2\ntrain/4.jpg,train/4\n"
    (tmp_path / "set" / "people.csv").write_text(named)
    more = ["data.people={private: 2, validation: 0, test: 0, attack: 0}"]
    more += ["data.source.table=people.csv"] if source == "folder" else []
    config = words(*more, "data.source.same_picture=one_person", data=source)
    ann, bea = "train/1", "train/4"
    began(tmp_path, config)
    found = who(bea, tmp_path / "runs", quiet=True)
    assert found["also"] == [ann]
    assert [run["run"] for run in found["runs"]] == ["x"]
    assert out_of(tmp_path, bea)["train_again"] == ["x"]
    told = who(ann, tmp_path / "runs", quiet=True)
    assert told["excluded"] and told["also"] == [bea]
    kept = prepared.prepared(config)["private"]
    assert not {ann, bea} & {*kept["subject_id"], *kept["picture_id"]} and len(kept)
    assert len(prepared.dealt(config)["private"]) == len(kept) + 2


def test_the_caches_of_all_runs_are_emptied_and_those_elsewhere_are_named(
    words: Words, tmp_path: Path
) -> None:
    other = words(f"cache={tmp_path / 'other'}", "run=other")
    began(tmp_path, other)
    began(tmp_path, words(f"cache={tmp_path / 'far'}", "run=far"))
    (tmp_path / "far").rename(tmp_path / "away")
    (tmp_path / "other" / "features").mkdir()
    (subject,) = prepared.prepared(other)["private"]["subject_id"]
    found = out_of(tmp_path, subject)
    (table,) = (tmp_path / "other" / "sets").iterdir()
    assert found["emptied"] == [str(tmp_path / "other" / "features"), str(table)]
    assert found["not_there"] == [str(tmp_path / "far")]
    assert subject not in shown(chunks.read(table))
    (tmp_path / "runs" / "other" / "config.yaml").write_text("cache: [cut")
    with pytest.raises(TactError, match="run=other: config.yaml is no whole YAML"):
        out_of(tmp_path, subject)


def test_what_was_half_built_is_emptied_and_finished_without_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)
    table = "blip_laion_cc_sbu_558k.json"
    (tmp_path / "set").mkdir()
    where = {"path": str(published.llava(tmp_path / "set", table, rows=8)),
             "cache": tmp_path / "cache"}  # fmt: skip
    first, last = (f"00453/{i:09d}.jpg" for i in (0, 6))
    lost = tmp_path / "set" / "images" / last
    lost.rename(tmp_path / "away.jpg")
    with pytest.raises(DataError, match="not there"):
        llava_pretrain(**where)
    for out in (first, last):  # one in a chunk that is there, one in what is not built yet
        out_of(tmp_path, out)
    made = llava_pretrain(**where)
    assert made["subject_id"] == [f"00453/{i:09d}.jpg" for i in range(7)]
    assert shown(made) == made["subject_id"][1:-1]
    assert [row["row_id"] for row in made if row["messages"] is None] == ["r0000000", "r0000006"]


def test_a_set_that_is_built_again_has_of_the_person_only_ids(words: Words, tmp_path: Path) -> None:
    before = prepared.dealt(words())
    (subject,) = before["private"]["subject_id"]
    out_of(tmp_path, subject)
    csv = tmp_path / "set" / "fairface_label_train.csv"
    os.utime(csv, (0, 0))
    (tmp_path / "set" / f"{subject}.jpg").unlink()
    after = prepared.dealt(words())
    assert prepared.fingerprint(after) == prepared.fingerprint(before)
    tables = [chunks.read(folder) for folder in (tmp_path / "cache" / "sets").iterdir()]
    assert len(tables) == 2 and all(subject not in shown(table) for table in tables)
    again = words(f"cache={tmp_path / 'other'}")  # one that no run had when they were excluded
    assert not len(prepared.prepared(again)["private"])
    (table,) = (tmp_path / "other" / "sets").iterdir()
    assert len(shown(chunks.read(table))) == 2
    elsewhere = words("checkpoints=none")  # its cache knows who is out
    assert not len(prepared.prepared(elsewhere)["private"])


def test_a_picture_that_lay_in_the_set_is_not_laid_again(tmp_path: Path) -> None:
    said = {"question": ["q", "r"], "answer": ["a", "b"]}
    where = {"path": str(published.parquet(tmp_path / "set", seeds=(1, 2), **said)),
             "cache": tmp_path / "cache"}  # fmt: skip
    out, stays = user_vlm_instruct(**where)["subject_id"]
    out_of(tmp_path, out)
    os.utime(next((tmp_path / "set").rglob("*.parquet")), (0, 0))
    assert user_vlm_instruct(**where)["subject_id"] == [out, stays]
    assert [p.stem for p in (tmp_path / "cache" / "sets" / "pictures").iterdir()] == [stays]


def test_copies_that_others_keep_of_a_set_are_named(
    words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.open("hub", checkpoints=tmp_path / "runs")
    run.keep_config(to_yaml(words("data.source.path=me/faces", data="conversations")))
    hub, copies = tmp_path / "hub" / "datasets--me--faces", tmp_path / "copies" / "me___faces"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub.parent))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", copies.parent)
    assert out_of(tmp_path, "ann")["copies"] == []
    hub.mkdir(parents=True)
    copies.mkdir(parents=True)
    assert out_of(tmp_path, "ann")["copies"] == [str(hub), str(copies)]


def test_pairs_of_a_run_in_use_stay_and_it_is_named(tmp_path: Path) -> None:
    run = RunFolder.open("run", checkpoints=tmp_path / "runs")
    rows = [{"row_id": who, "subject_id": who} for who in ("ann", "bea")]
    part = run.private / f"{PAIRS}sample" / "part-00000.arrow"
    table_files.write(part, rows, Features({"row_id": TEXT, "subject_id": TEXT}))
    with run.lock():
        found = out_of(tmp_path, "ann")
    assert (found["in_use"], found["pairs_removed"]) == (["run"], [])
    assert table_files.read([part])["subject_id"] == ["ann", "bea"]
    found = out_of(tmp_path, "ann")
    assert (found["in_use"], found["pairs_removed"]) == ([], ["run"])
    assert table_files.read([part])["subject_id"] == ["bea"]


def test_who_is_excluded_by_a_number_is_left_out_of_conversations(
    words: Words, tmp_path: Path
) -> None:
    said = [{"role": "user", "content": "hi"}]
    rows = [{"images": [], "messages": said, "subject_id": who} for who in (1, 2, 3)]
    Dataset.from_list(rows).save_to_disk(tmp_path / "talk")
    config = words(f"data.source.path={tmp_path / 'talk'}", data="conversations")
    (out,) = prepared.prepared(config)["private"]["subject_id"]
    before = prepared.fingerprint(prepared.dealt(config))
    out_of(tmp_path, out)
    assert not len(prepared.prepared(config)["private"])
    assert prepared.fingerprint(prepared.dealt(config)) == before
