"""``data=folder`` and ``data=conversations``: pictures and rows as people have them."""

import json
from pathlib import Path

import pytest
from datasets import Dataset
from published import picture

from data.errors import DataError
from data.sources import conversations, folder


def made(tmp_path: Path, table: str, text: str) -> str:
    picture(tmp_path / "a.png", 0)
    picture(tmp_path / "b.png", 1)
    (tmp_path / table).write_text(text)
    return str(tmp_path)


def test_a_csv_is_read_with_its_own_column_names(tmp_path: Path) -> None:
    text = "picture,who,sex,hair\na.png,ann,woman,red\nb.png,,,black\n"
    table = folder(
        path=made(tmp_path, "people.csv", text),
        picture_column="picture",
        subject_column="who",
        columns={"gender": "sex"},
    )
    assert table["subject_id"] == ["ann", "b"]
    assert table["attributes"][0]["gender"] == "woman"
    assert table["attributes"][1] == {**dict.fromkeys(table["attributes"][1]), "hair": "black"}
    assert table[0]["image"].size == (16, 16)


def test_json_lines_are_read(tmp_path: Path) -> None:
    text = "\n".join(json.dumps({"file": f, "age": "senior"}) for f in ("a.png", "b.png"))
    assert len(folder(path=made(tmp_path, "people.jsonl", text))) == 2


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("people.csv", "file,gender\na.png,robot\n", "line 1: unknown class gender='robot'"),
        ("people.csv", "picture\na.png\n", "picture_column"),
        ("people.csv", "file\n", "no rows"),
        ("people.jsonl", "{cut", "can't be read"),
        ("people.txt", "", "one CSV or JSON-lines file"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(
    tmp_path: Path, table: str, text: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        folder(path=made(tmp_path, table, text))


def test_a_person_under_two_names_and_an_empty_picture_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path, "people.csv", "file,subject_id\na.png,ann\nb.png,bea\n")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    with pytest.raises(DataError, match=r"b\.png \(person bea\) and a\.png \(person ann\)"):
        folder(path=path)
    assert folder(path=path, same_picture="one_person")["subject_id"] == ["ann", "ann"]
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.png of .* has 0 bytes"):
        folder(path=path)


@pytest.mark.parametrize(("text", "said"), [("", "0 bytes.*write it again"), ("{cut", "JSON")])
def test_conversations_that_cannot_be_read_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(DataError, match=rf"rows\.jsonl: it can't be read \(.*{said}"):
        conversations(path=str(tmp_path / "rows.jsonl"), cache=tmp_path / "cache")


def test_ids_of_conversations_are_text(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "hi"}]
    rows = [{"images": [], "messages": said, "subject_id": who} for who in (7, 12, None)]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = conversations(path=str(tmp_path / "rows.jsonl"), cache=tmp_path / "cache")
    assert found["subject_id"] == ["7", "12", "r0000002"]
    assert found["messages"][0] == said


def test_copies_of_conversations_lie_in_the_cache_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "theirs")
    rows = [{"images": [], "messages": [{"role": "user", "content": "hi"}]}]
    (tmp_path / "set").mkdir()
    Dataset.from_list(rows).to_parquet(tmp_path / "set" / "train.parquet")
    assert len(conversations(path=str(tmp_path / "set"), cache=tmp_path / "cache")) == 1
    assert [*(tmp_path / "cache" / "conversations").rglob("*.arrow")]
    assert not [*(tmp_path / "theirs").rglob("*.arrow")]


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(DataError, match="no such folder"):
        folder(path="/nowhere/at/all")


def test_a_stored_config_deals_the_same_people(cache: Path, tmp_path: Path) -> None:
    from conf import compose
    from data.prepared import fingerprint, prepared

    words = ["experiment=demo", "run=x", f"cache={cache}", "data.source.people=150",
             "data.source.pictures_per_person=2"]  # fmt: skip
    words += ["data.people={public: 60, private: 30, validation: 10, attack: 25, test: 25}"]
    config = compose.load(words)
    (tmp_path / "config.yaml").write_text(compose.to_yaml(config))
    again = compose.from_yaml(tmp_path / "config.yaml")
    assert fingerprint(prepared(again)) == fingerprint(prepared(config))
