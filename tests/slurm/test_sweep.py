"""A sweep's manifest, its states and its table; nothing is trained here but what others have."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.compose import ConfigError
from lineage import files
from lineage.errors import TactError
from slurm import manifest, record, sweep
from slurm.collect import collect
from slurm.manifest import Manifest
from slurm.sweep import Sweep, indices

Words = Callable[..., list[str]]


def made(words: list[str]) -> Manifest:
    return manifest.made("s", words, limit=2)


def test_axes_are_a_grid_in_the_order_they_stand_in() -> None:
    common, points = manifest.expanded(
        ["experiment=demo", "privacy.epsilon=null,8", "+stage.prefer.x=1", "seed=range(0,2)"]
    )
    assert common == ["experiment=demo", "+stage.prefer.x=1"]
    assert [point.words for point in points] == [
        ("privacy.epsilon=null", "seed=0"), ("privacy.epsilon=null", "seed=1"),
        ("privacy.epsilon=8", "seed=0"), ("privacy.epsilon=8", "seed=1"),
    ]  # fmt: skip
    assert [point.number for point in points] == [0, 1, 2, 3]


def test_points_may_be_listed(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("- [seed=0, policy=tutor]\n- [seed=1]\n")
    _, points = manifest.expanded(["experiment=demo"], tmp_path / "p.yaml")
    assert [point.words for point in points] == [("seed=0", "policy=tutor"), ("seed=1",)]
    (tmp_path / "p.yaml").write_text("- seed=0\n")
    with pytest.raises(TactError, match="give a list of points"):
        manifest.expanded(["experiment=demo"], tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment=demo", "seed=0"], "needs axes"),
        (["run=x", "seed=0,1"], "run=x: each point of a sweep has its own"),
        (["seed=0,1", "stage.prefer.losses={a"], "sweep: "),
    ],
)
def test_words_that_make_no_sweep_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(TactError, match=said):
        manifest.expanded(words)


def test_a_bad_point_stops_the_sweep_before_it_begins(short: Words, tmp_path: Path) -> None:
    words = [w for w in short("stage.prefer.steps=2,0") if not w.startswith("checkpoints=")]
    with pytest.raises(ConfigError, match=r"stage.prefer: steps"):
        sweep.begin(made(words), checkpoints=tmp_path, dirty=True)
    assert not (tmp_path / "sweeps").exists()


def test_a_manifest_is_read_as_it_was_written_and_not_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "s" / "manifest.json"
    with pytest.raises(TactError, match="sweep=s: no such sweep"):
        manifest.read(path)
    wanted = made(["experiment=demo", "seed=0,1"])
    manifest.write(path, wanted)
    assert manifest.read(path) == wanted
    path.write_text(path.read_text().replace("seed=1", "seed=7"))
    with pytest.raises(TactError, match="not as it was written"):
        manifest.read(path)


def test_a_thousand_points_are_told_in_no_time(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "s"
    manifest.write(folder / "manifest.json", made(["experiment=demo", "seed=range(0,1000)"]))
    found = Sweep.existing("s", tmp_path)
    for point in found.manifest.points[:500]:
        found.note(point).parent.mkdir(exist_ok=True)
        found.note(point).write_text('{"state": "done", "seconds": 20.0, "epsilon": 4.0}')
    last = found.note(found.manifest.points[500])
    with pytest.raises(TactError, match="out of memory"), record.noted(last, reached=""):
        raise TactError("out of memory")
    began = time.process_time()
    told = sweep.summary(Sweep.existing("s", tmp_path))
    assert time.process_time() - began < 2
    assert told["states"] == {"done": 500, "failed": 1, "missing": 499}
    assert told["failed"] == {500: "out of memory"} and len(told["epsilon"]) == 500
    assert told["minutes_left"] == pytest.approx(500 * 20 / 2 / 60)


def test_one_that_was_killed_is_told_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "s"
    manifest.write(folder / "manifest.json", made(["experiment=demo", "seed=0,1"]))
    found = Sweep.existing("s", tmp_path)
    dead = {"state": record.RUNNING, "process": 2**22 + 1}
    files.write_json(found.note(found.manifest.points[0]), dead)
    assert sweep.summary(found)["failed"] == {0: "it ended without a word"}


@pytest.mark.parametrize(
    ("numbers", "said"), [([0, 1, 2, 3, 7], "0-3,7"), ([5], "5"), ([2, 0], "0,2")]
)
def test_indices_are_written_short(numbers: list[int], said: str) -> None:
    assert indices(numbers) == said


def test_a_table_and_a_picture_of_what_was_measured(
    finished: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "sweeps" / "s"
    words = ["experiment=demo", "model.interface.bits=8,16", "seed=0,1"]
    manifest.write(folder / "manifest.json", made(words))
    found = Sweep.existing("s", tmp_path)
    for point in found.manifest.points[:3]:
        shutil.copytree(finished("private"), tmp_path / found.manifest.run(point))
        with record.noted(found.note(point), reached="") as note:
            note["seconds"] = 1.0
    assert collect(found)["frontier"] == "frontier.svg"
    rows = json.loads((folder / "table.json").read_text())
    assert [row["state"] for row in rows] == ["done", "done", "done", "missing"]
    assert rows[2]["model.interface.bits"] == "16" and rows[2]["seed"] == "0"
    report = sorted((finished("private") / "report").glob("*-prefer/report.json"))[0]
    measured = {
        f"{m['suite']} {m['name']} {m['group']}": m["value"]
        for m in json.loads(report.read_text())["measures"] if m["name"] == "fact_accuracy"
    }  # fmt: skip
    own = {k: v for k, v in measured.items() if k in rows[0]}
    assert own and {k: rows[0][k] for k in own} == own
    assert "missing" not in rows[3] and len((folder / "table.csv").read_text().splitlines()) == 5
    with pytest.raises(TactError, match="no point has both nothing"):
        collect(found, x="nothing")
