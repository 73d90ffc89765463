"""Rows are prepared in chunks: what is read back, what a break keeps, memory, who is taken out."""

import hashlib
import stat
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Image
from PIL import Image as Pillow

from data import preparing
from data.dialogues.pairs import preference_rows
from data.dialogues.rows import instruct_rows
from data.encode import encode
from data.encoded import EncodedSet
from data.pictures import undecoded
from lineage.forget import forget

CHUNK = 8


@pytest.fixture(scope="module")
def encoder(healthcare: Any, tiny: Any) -> Any:
    return tiny(policy=healthcare).parts.encoder


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "CHUNK_ROWS", CHUNK)


def encoded(rows: Dataset, encoder: Any, cache: Path, *, max_length: int = 200) -> EncodedSet:
    return preparing.encoded_set(
        rows, encoder, max_length=max_length, max_rejects=0.5, rejects=cache / "rejects",
        cache=cache,
    )  # fmt: skip


def talk(folder: Path, *, count: int, other: int = -1) -> Dataset:
    """Rows of pictures by path, two of a person, four of a picture; ``other``'s words differ."""
    folder.mkdir(exist_ok=True)
    for i in range(-(-count // 4)):
        if not (folder / f"{i}.png").exists():
            Pillow.new("RGB", (16, 16), (i % 250, 0, 0)).save(folder / f"{i}.png")
    rows = []
    for i in range(count):
        said = f"the top is red {i}." if i != other else "no."
        turns = [("user", f"what is at number {i} in the park?"), ("assistant", said)]
        rows.append(
            {
                "row_id": f"r{i}",
                "subject_id": f"p{i // 2}",
                "image": str(folder / f"{i // 4}.png"),
                "messages": [{"role": role, "content": text} for role, text in turns],
            }
        )
    return Dataset.from_list(rows).cast_column("image", Image())


def digests(cache: Path) -> dict[str, str]:
    found = (cache / preparing.FOLDER).glob("*.arrow")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize("kind", ["supervised", "preference", "own"])
def test_a_row_is_read_back_as_it_was_encoded(
    encoder: Any, pictures: Any, healthcare: Any, tmp_path: Path, kind: str
) -> None:
    if kind == "own":
        rows = talk(tmp_path / "set", count=30).select([*range(20), 3, 1])  # not as they lie
    else:
        make = instruct_rows if kind == "supervised" else preference_rows
        rows = make(pictures, count=30, seed=1, policy=healthcare)
    found = encoded(rows, encoder, tmp_path)
    wanted = [encode(row, encoder) for row in undecoded(rows)]
    assert list(found.rows) == wanted and len(found.rows) == len(rows)
    assert found.rows[-1] == wanted[-1] and found.rows[3:9] == wanted[3:9]
    assert found.rows.__getitems__([7, 2]) == [wanted[7], wanted[2]]
    assert found.subjects == [row.subject for row in wanted]
    assert found.longest == max(len(row) for row in wanted)
    distinct = list(dict.fromkeys(p["path"] for row in wanted for p in row.pictures))
    assert [p["path"] for p in found.pictures] == distinct
    assert [found.index(p) for p in found.pictures] == list(range(len(distinct)))
    with pytest.raises(IndexError):
        found.rows[len(rows)]


def test_bad_rows_are_left_out_wherever_they_stand(encoder: Any, tmp_path: Path) -> None:
    rows = talk(tmp_path / "set", count=24)
    cut = tmp_path / "set" / "2.png"  # rows 8 to 11
    whole = cut.read_bytes()
    cut.write_bytes(whole[:40])
    found = encoded(rows, encoder, tmp_path)
    ids = [row.row_id for row in found.rows]
    assert ids == [f"r{i}" for i in range(24) if i not in (8, 9, 10, 11)]
    assert found.rejected == 4 and [b["row_id"] for b in found.bad()] == ["r8", "r9", "r10", "r11"]
    assert [Path(p["path"]).stem for p in found.pictures] == ["0", "1", "3", "4", "5"]
    assert [found.index(row.pictures[0]) for row in found.rows[:12]] == [0] * 4 + [1] * 4 + [2] * 4
    cut.write_bytes(whole)  # mended
    assert encoded(rows, encoder, tmp_path).rejected == 0


def test_pictures_that_rows_hold_stay_there(encoder: Any, tmp_path: Path) -> None:
    rows = Dataset.from_list(
        [
            {**row, "image": {"bytes": Path(row["image"]["path"]).read_bytes(), "path": None}}
            for row in undecoded(talk(tmp_path / "set", count=20))
        ]
    ).cast_column("image", Image())
    found = encoded(rows, encoder, tmp_path)
    assert len(found.pictures) == 5 and found.index(found.pictures[3]) == 3
    png = found.pictures[3]["bytes"]
    assert png == found.rows[14].pictures[0]["bytes"]
    assert not any(png in path.read_bytes() for path in (tmp_path / "rows").iterdir())


class Broken(KeyboardInterrupt):
    """Ctrl-C."""


def test_what_was_prepared_before_a_break_is_kept(
    encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, made, real = talk(tmp_path / "set", count=50), [], encode
    whole = encoded(rows, encoder, tmp_path / "whole")

    def breaks(row: Any, encoder: Any) -> Any:
        made.append(row["row_id"])
        if len(made) == 29:
            raise Broken
        return real(row, encoder)

    monkeypatch.setattr(preparing.encode, "encode", breaks)
    with pytest.raises(Broken):
        encoded(rows, encoder, tmp_path / "cut")
    kept = digests(tmp_path / "cut")
    assert len(kept) == 3 and not list((tmp_path / "cut/rows").glob(".*"))
    made[:] = [""] * 29  # counts no more
    again = encoded(rows, encoder, tmp_path / "cut")
    assert made[29:] == [f"r{i}" for i in range(24, 50)]
    assert list(again.rows) == list(whole.rows) and again.subjects == whole.subjects
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")
    encoded(rows, encoder, tmp_path / "cut")
    assert len(made) == 55  # nothing is made twice


@pytest.mark.parametrize("changed", ["row", "picture", "template", "length", "processor", "words"])
def test_each_change_alone_is_prepared_again(
    tiny: Any, healthcare: Any, tmp_path: Path, changed: str
) -> None:
    own, rows = tiny(policy=healthcare).parts.encoder, talk(tmp_path / "set", count=3 * CHUNK)
    encoded(rows, own, tmp_path)
    before, length = set(digests(tmp_path)), 200
    if changed == "row":
        rows = talk(tmp_path / "set", count=3 * CHUNK, other=9)
    elif changed == "picture":
        Pillow.new("RGB", (17, 16)).save(tmp_path / "set" / "2.png")
    elif changed == "template":
        own = replace(own, chat_template=" " + own.chat_template)
    elif changed == "length":
        length = 199
    elif changed == "processor":
        own.image_processor.image_mean = [0.4, 0.4, 0.4]
    else:
        own.tokenizer.add_tokens(["number"])
    found = encoded(rows, own, tmp_path, max_length=length)
    assert list(found.rows) == [encode(row, own) for row in undecoded(rows)]
    new = len(set(digests(tmp_path)) - before)
    assert new == (1 if changed in ("row", "picture") else 3)


def peak(encoder: Any, folder: Path, *, count: int) -> int:
    rows = talk(folder / "set", count=count)
    tracemalloc.start()
    try:
        encoded(rows, encoder, folder)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_rows(
    encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "CHUNK_ROWS", 100)
    few, many = tmp_path / "few", tmp_path / "many"
    for folder in (few, many):
        folder.mkdir()
    encoded(talk(tmp_path / "set", count=100), encoder, tmp_path)  # imports and caches
    one, six = peak(encoder, few, count=400), peak(encoder, many, count=2400)
    assert six < one + 2000 * 400  # bytes a row; a row as a Python object takes thousands


def test_caches_are_the_owners_alone_and_lose_a_person(encoder: Any, tmp_path: Path) -> None:
    rows = talk(tmp_path / "set", count=3 * CHUNK)
    encoded(rows, encoder, tmp_path)
    folder = tmp_path / "rows"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert forget({"nobody"}, tmp_path) == [] and len(digests(tmp_path)) == 3
    assert forget({"p5"}, tmp_path) == ["rows"]
    left = digests(tmp_path)
    assert len(left) == 2 and not any(b"p5" in path.read_bytes() for path in folder.iterdir())
    encoded(rows, encoder, tmp_path)
    assert left.items() < digests(tmp_path).items()  # the others' chunks served again


def test_a_files_copy_is_the_owners_alone_and_goes_with_a_person(tmp_path: Path) -> None:
    from data.sources import conversations

    undecoded(talk(tmp_path / "set", count=4)).to_json(tmp_path / "rows.jsonl")
    rows = [*iter(_texts(tmp_path, conversations))]
    assert rows[3] == "the top is red 3."
    copies = tmp_path / "cache" / "conversations"
    assert stat.S_IMODE(copies.stat().st_mode) == 0o700 and list(copies.rglob("*.arrow"))
    assert forget({"p1"}, tmp_path / "cache") == ["conversations"] and not copies.exists()


def _texts(folder: Path, source: Any) -> Iterator[str]:
    for row in undecoded(source(path=str(folder / "rows.jsonl"), cache=folder / "cache")):
        yield row["messages"][1]["content"]
