"""``data=folder``: pictures with a table as people have them."""

import json
from pathlib import Path

import pytest
from published import picture

from data.errors import DataError
from data.sources import folder


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
