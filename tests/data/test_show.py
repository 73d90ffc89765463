"""``python -m data show``: a source in figures and on a contact sheet."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import published
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def shown(words: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "data", "show", *words, "json=true"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_rendered_people_are_counted_and_drawn(
    short: Callable[..., list[str]], pictures: Any
) -> None:
    found = shown(short())
    assert found["pictures"] == 300 and found["people"]["test"] == 25
    assert found["rejects"] == []
    with Image.open(found["sheet"]) as sheet:
        assert sheet.width > 600 and len(set(sheet.convert("L").getdata())) > 50


def test_a_published_set_shows_its_terms(tmp_path: Path) -> None:
    from conf.compose import load
    from data.show import show

    said = {"question": ["q", "r", "s"], "answer": ["a", "b", "c"]}
    published.parquet(tmp_path / "set", seeds=(1, 2, 3), **said)
    words = ["data=user_vlm_instruct", f"data.source.path={tmp_path / 'set'}", "run=x"]
    words += [f"cache={tmp_path / 'cache'}", "data.people={private: 1, validation: 1, test: 1}"]
    found = show(load([*words, "json=true"], check=False))
    assert found["pictures"] == 3 and "check the set's own page" in found["terms"]
    assert Path(found["sheet"]).exists()


def test_a_picture_that_cannot_be_read_is_a_named_reject(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), "blue").save(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:50])
    (tmp_path / "people.csv").write_text(
        "file,gender,hair\ngood.png,woman,red\ncut.png,man,black\n"
    )
    found = shown(
        [
            "data=folder",
            f"data.source.path={tmp_path}",
            f"cache={tmp_path / 'cache'}",
            "data.people={private: 1, validation: 1, test: 0}",
        ]
    )
    assert [name for name, _ in found["rejects"]] == ["cut"]
