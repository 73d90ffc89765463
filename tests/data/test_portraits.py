"""The renderer: same bytes, independence, counterfactuals. The table: chunks, broken-off builds."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from datasets import Image

from data.attributes import CLASSES
from data.errors import DataError
from data.portraits import chunks
from data.portraits.person import (
    OF_A_PICTURE,
    Person,
    Picture,
    attributes,
    counterfactual,
    sample_person,
    sample_picture,
    twin,
)
from data.portraits.render import render
from data.portraits.table import portraits

SIZE = 48
PROXIES = {"hair_style", "beard", "lipstick"}


def _one(index: int = 3) -> tuple[Person, Picture]:
    person = sample_person(0, index, proxy_strength=0.5)
    return person, sample_picture(person, 0)


def _phi(people: list[Person], attribute: str, value: str) -> float:
    """Correlation of gender with ``attribute`` being ``value``."""
    gender = np.array([p.gender == "woman" for p in people], float)
    proxy = np.array([getattr(p, attribute) == value for p in people], float)
    return float(np.corrcoef(gender, proxy)[0, 1])


def _drawn(folder: Path) -> set[str]:
    return {p.name for p in folder.glob("portraits/*/*") if p.suffix != ".part"}


def test_render_gives_the_same_bytes_for_the_same_seed() -> None:
    first, again = render(*_one(), size=SIZE), render(*_one(), size=SIZE)
    assert first.shape == (SIZE, SIZE, 3) and first.dtype == np.uint8
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != render(*_one(4), size=SIZE).tobytes()


def test_attributes_are_uniform_and_independent_of_each_other() -> None:
    people = [sample_person(1, i, proxy_strength=1.0) for i in range(3000)]
    shown = [attributes(p, sample_picture(p, 0)) for p in people]
    free_of_gender = [name for name in CLASSES if name not in PROXIES | {"gender"}]
    for name in [*free_of_gender, "gender"]:
        shares = np.array([Counter(s[name] for s in shown)[c] for c in CLASSES[name]]) / 3000
        assert np.allclose(shares, 1 / len(CLASSES[name]), atol=0.04), name
    for name in free_of_gender:
        for value in CLASSES[name]:
            women = np.array([s["gender"] == "woman" for s in shown])
            has = np.array([s[name] == value for s in shown])
            assert abs(np.corrcoef(women, has)[0, 1]) < 0.07, (name, value)


def test_proxies_follow_gender_as_strongly_as_the_knob_says() -> None:
    def ties(strength: float) -> list[float]:
        people = [sample_person(2, i, proxy_strength=strength) for i in range(2000)]
        return [_phi(people, "hair_style", "buzz"), _phi(people, "beard", "yes"),
                _phi(people, "lipstick", "yes")]  # fmt: skip

    none, half, full = ties(0.0), ties(0.5), ties(1.0)
    assert max(map(abs, none)) < 0.07
    for weak, strong in zip(half, full, strict=True):
        assert 0.12 < abs(weak) < abs(strong) - 0.1
        assert abs(strong) > 0.3


def test_the_knob_changes_nothing_but_proxies() -> None:
    for index in range(20):
        low, high = (asdict(sample_person(0, index, proxy_strength=s)) for s in (0.0, 1.0))
        assert {k for k in low if low[k] != high[k]} <= PROXIES


@pytest.mark.parametrize("attribute", sorted(CLASSES))
def test_counterfactual_changes_one_attribute_and_the_picture(attribute: str) -> None:
    person, picture = _one()
    seen = {render(person, picture, size=SIZE).tobytes()}
    for value in CLASSES[attribute]:
        other, shown = counterfactual(person, picture, attribute=attribute, value=value)
        before, after = attributes(person, picture), attributes(other, shown)
        assert after == {**before, attribute: value}
        assert other.identity == person.identity and shown.noise == picture.noise
        assert (shown == picture) == (attribute not in OF_A_PICTURE or before == after)
        seen.add(render(other, shown, size=SIZE).tobytes())
    assert len(seen) == len(CLASSES[attribute])


def test_a_twin_keeps_attributes_and_changes_pixels() -> None:
    person, picture = _one()
    other = twin(person, picture)
    assert attributes(person, other) == attributes(person, picture)
    assert (other.yaw, other.noise) != (picture.yaw, picture.noise)
    assert not np.array_equal(render(person, other, size=SIZE), render(person, picture, size=SIZE))


def test_unknown_class_is_named() -> None:
    with pytest.raises(DataError, match="tiny.*known"):
        counterfactual(*_one(), attribute="gender", value="tiny")
    with pytest.raises(DataError, match="unknown attribute 'height'"):
        counterfactual(*_one(), attribute="height", value="tall")


@pytest.mark.parametrize(
    ("change", "named"),
    [({"people": 0}, "people=0"), ({"pictures_per_person": 0}, "pictures_per_person=0"),
     ({"proxy_strength": 1.5}, "proxy_strength=1.5"), ({"size_px": 4}, "size_px=4"),
     ({"workers": 0}, "workers=0")],
)  # fmt: skip
def test_bad_settings_name_the_setting(
    tmp_path: Path, change: dict[str, float], named: str
) -> None:
    with pytest.raises(DataError, match=named):
        portraits(**{"people": 1, "cache": tmp_path, **change})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_more_people_draw_only_the_missing_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)
    monkeypatch.setattr("data.portraits.table.CHUNK", 2)

    def build(people: int, **more: int) -> list[str]:
        table = portraits(people=people, cache=tmp_path, pictures_per_person=2, size_px=SIZE,
                          workers=1, progress=False, **more)  # fmt: skip
        return list(table["picture_id"])

    assert build(3) == [f"s{i:06d}-{k}" for i in range(3) for k in range(2)]
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}
    assert len(build(5)) == 10
    assert all(p.stat().st_mtime_ns == at for p, at in before.items())
    assert _drawn(tmp_path) == {"00000", "00001", "00002"}
    assert build(1, first_person=9) == ["s000009-0", "s000009-1"]
    assert _drawn(tmp_path) == {"00000", "00001", "00002", "00004"}


def test_table_is_lazy_and_what_workers_draw_is_what_one_process_draws(tmp_path: Path) -> None:
    options = {"people": 30, "pictures_per_person": 1, "size_px": 32, "progress": False}
    one = portraits(cache=tmp_path / "one", workers=1, **options)  # type: ignore[arg-type]
    two = portraits(cache=tmp_path / "two", workers=2, **options)  # type: ignore[arg-type]
    assert isinstance(one.features["image"], Image)
    raw = one.cast_column("image", Image(decode=False))[0]["image"]
    assert raw["bytes"] is None and Path(raw["path"]).exists()
    assert one.remove_columns("image")[:] == two.remove_columns("image")[:]
    pairs = zip(one["image"], two["image"], strict=True)
    assert all(a.tobytes() == b.tobytes() for a, b in pairs)
    person = sample_person(0, 7, proxy_strength=0.5)
    assert np.array_equal(one[7]["image"], render(person, sample_picture(person, 0), size=32))
    assert one[7]["attributes"] == attributes(person, sample_picture(person, 0))


def test_a_chunk_that_was_broken_off_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def failing(person: Person, picture: Picture, *, size: int) -> object:
        nonlocal calls
        calls += 1
        if calls == chunks.CHUNK + 10:
            raise KeyboardInterrupt
        return render(person, picture, size=size)

    monkeypatch.setattr("data.portraits.render.render", failing)
    options = {"people": 2 * chunks.CHUNK, "pictures_per_person": 1, "size_px": 32, "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        portraits(cache=tmp_path, progress=False, **options)
    assert _drawn(tmp_path) == {"00000"} and not list(tmp_path.rglob("*.part"))
    before, calls = chunks.CHUNK + 10, chunks.CHUNK + 10
    table = portraits(cache=tmp_path, progress=False, **options)
    assert calls == before + chunks.CHUNK and len(table) == 2 * chunks.CHUNK


def test_kill_9_leaves_only_whole_chunks(tmp_path: Path) -> None:
    script = tmp_path / "build.py"
    script.write_text(
        "from data.portraits.table import portraits\n"
        f"portraits(people=100, cache={str(tmp_path)!r}, pictures_per_person=2, size_px={SIZE},\n"
        "          workers=1, progress=False)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    build = subprocess.Popen([sys.executable, str(script)], env=environment)
    deadline = time.time() + 60
    while not (_drawn(tmp_path) and list(tmp_path.glob("portraits/*/*.part"))):
        assert build.poll() is None and time.time() < deadline
        time.sleep(0.01)
    build.send_signal(signal.SIGKILL)
    build.wait()
    whole = _drawn(tmp_path)
    assert 1 <= len(whole) < 4
    for name in whole:
        [folder] = tmp_path.glob(f"portraits/*/{name}")
        rows = json.loads((folder / "rows.json").read_text())
        assert len(rows) == 2 * chunks.CHUNK == len(list(folder.glob("*.png")))
    for left in tmp_path.glob("portraits/*/*.part"):
        os.utime(left, (0, 0))  # long dead
    table = portraits(people=100, cache=tmp_path, pictures_per_person=2, size_px=SIZE,
                      workers=1, progress=False)  # fmt: skip
    assert len(table) == 200 and not list(tmp_path.glob("portraits/*/*.part"))


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "build.py"
    script.write_text(
        "from data.portraits.table import portraits\n"
        "if __name__ == '__main__':\n"
        f"    portraits(people=1000, cache={str(tmp_path)!r}, size_px={SIZE}, progress=False)\n"
    )
    build = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": os.getcwd()},
        stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.time() + 60
    while not list(tmp_path.glob("portraits/*/*.part")):
        assert build.poll() is None and time.time() < deadline
        time.sleep(0.01)
    build.kill()
    build.communicate(timeout=20)  # returns when the last worker has closed its standard error


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    options = {"people": 1, "pictures_per_person": 1, "size_px": 32, "progress": False}
    portraits(cache=tmp_path, **options)  # type: ignore[arg-type]
    [rows] = tmp_path.rglob("rows.json")
    rows.write_text("[{")
    with pytest.raises(DataError, match="00000.*remove it"):
        portraits(cache=tmp_path, **options)  # type: ignore[arg-type]
    shutil.rmtree(rows.parent)
    assert len(portraits(cache=tmp_path, **options)) == 1  # type: ignore[arg-type]
