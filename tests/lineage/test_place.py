"""A relative folder is the checkout's for every door, wherever the command was given."""

from pathlib import Path

import pytest

from conf.compose import load
from data.prepared import cache_folder
from lineage.place import place

ROOT = Path(__file__).resolve().parents[2]


def test_relative_is_the_checkouts_absolute_stays_and_home_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert place("checkpoints") == ROOT / "checkpoints"
    assert place(str(tmp_path)) == tmp_path
    assert place("~/runs") == tmp_path / "me" / "runs"
    assert cache_folder(load(["experiment=demo", "cache=here"])) == ROOT / "here"


def test_no_other_file_makes_a_path_absolute_by_itself() -> None:
    rooms = ("conf", "data", "evaluation", "export", "lineage", "models", "train")
    files = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    own = [str(p.relative_to(ROOT)) for p in files if "is_absolute()" in p.read_text()]
    assert own == ["lineage/place.py"]
