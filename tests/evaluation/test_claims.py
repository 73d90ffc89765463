"""A claim that is run: what is done stays done, and a config that changed is found out."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conf import compose
from evaluation import claim_file, claim_table, claims
from lineage.errors import TactError
from lineage.place import CHECKOUT
from lineage.run import RunFolder

Words = Callable[..., list[str]]
LEAK = {
    "label": "leaks", "run": "tiny", "stage": "prefer", "suite": "behaviour",
    "name": "leak_rate", "group": "seen/nothing_shared", "at_most": 1.0,
}  # fmt: skip


class Bench:
    """A folder with claim files, results and run folders of its own."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.folder = folder
        self.places = ("cache=", "checkpoints=")
        self.experiment = [word for word in words if not word.startswith(self.places)]
        self.door = [f"claims={folder}", f"results={folder / 'results'}"]
        self.door += [word for word in words if word.startswith(self.places)]

    def claim(self, *figures: dict[str, Any], more: tuple[str, ...] = (), **changed: Any) -> None:
        """Write ``small.yaml``: one run of a short experiment, with two seeds."""
        words = [*self.experiment, "seed={seed}", *more]
        content = {
            "question": "Is it so?",
            "seeds": [0, 1],
            "runs": {"tiny": {"run": "tiny-s{seed}", "words": words}},
            "figures": list(figures),
        }
        (self.folder / "small.yaml").write_text(yaml.safe_dump({**content, **changed}))

    def run(self, *words: str) -> Any:
        """What the door says of the claim."""
        return claims.door([*self.door, *words])["small"]

    def result(self) -> Any:
        """What was written."""
        return json.loads((self.folder / "results" / "small.json").read_text())

    def table(self) -> str:
        """README's part."""
        return claim_table.section(self.folder / "results", self.folder)


@pytest.fixture
def bench(short: Words, tmp_path: Path) -> Bench:
    """An empty bench."""
    return Bench(tmp_path, short())


@pytest.fixture
def trained(bench: Bench, finished: Callable[[str], Path]) -> Bench:
    """A bench on which the run of seed 0 is done; figures: leaks, their bound just held."""
    shutil.copytree(finished("private"), bench.folder / "tiny-s0")
    bench.claim(LEAK, more=("model.interface.kind=private",))
    return bench


def test_a_finished_run_is_read_and_never_run_again(trained: Bench) -> None:
    listed = trained.run("dry_run=true", "seeds=[0]")
    assert listed == {"result": "missing", "runs": {"tiny-s0": "done"}}
    assert trained.run("seeds=[0]") == "written"
    assert not (trained.folder / "tiny-s0" / "claim.log").exists()
    result = trained.result()
    report = next((trained.folder / "tiny-s0" / "report").glob("*-prefer/report.json"))
    records = [
        {"run": "tiny", **record}
        for record in json.loads(report.read_text())["measures"]
        if [record[key] for key in ("suite", "name", "group")]
        == ["behaviour", "leak_rate", "seen/nothing_shared"]
    ]
    assert result["measures"] == records and len(records) == 1
    (figure,) = result["figures"]
    assert figure["values"] == [records[0]["value"]] and figure["met"] is True
    assert (figure["low"], figure["high"]) == (records[0]["low"], records[0]["high"])
    assert "within the one seed" in figure["interval"]
    before = (trained.folder / "results" / "small.json").stat().st_mtime_ns
    assert trained.run("seeds=[0]") == "done before"
    assert (trained.folder / "results" / "small.json").stat().st_mtime_ns == before


def test_the_result_says_where_it_comes_from_and_no_name(trained: Bench) -> None:
    trained.run("seeds=[0]")
    result, manifest = trained.result(), RunFolder(trained.folder / "tiny-s0").read()
    assert result["data_fingerprint"] == manifest.data_fingerprint
    assert result["revision"] == manifest.revision and result["dirty"] == manifest.dirty
    assert result["command"] == "python -m evaluation claims only=small seeds=[0]"
    assert result["runs"] == {"tiny": {"0": "tiny-s0"}}
    assert set(result["machine"]) == {"cpu", "cores", "python", "torch"}
    text = json.dumps(result)
    for name in (os.uname().nodename, str(trained.folder), str(Path.home())):
        assert len(name) < 4 or name not in text


def test_some_of_the_seeds_are_marked_as_such(trained: Bench) -> None:
    trained.run("seeds=[0]")
    assert trained.result()["seeds"] == [0] and trained.result()["seeds_claimed"] == [0, 1]
    assert "(seeds 0 of 0, 1 so far)" in trained.table()
    listed = trained.run("dry_run=true")
    assert listed == {"result": "partial", "runs": {"tiny-s0": "done", "tiny-s1": "not begun"}}
    with pytest.raises(TactError, match=r"seeds=\[7\]: give some of claim small's seeds, \[0, 1\]"):
        trained.run("seeds=[7]")


def test_seeds_that_another_machine_measured_stay_in_the_result(trained: Bench) -> None:
    trained.run("seeds=[0]")
    path = trained.folder / "results" / "small.json"
    there = trained.result()
    for record in there["measures"]:
        record.update(seed=1, value=0.25)
    there.update(seeds=[1], runs={"tiny": {"1": "tiny-s1"}}, revision="a" * 40, seconds=7.0)
    path.write_text(json.dumps(there))
    trained.run("seeds=[0]")  # whose run is here; seed 1's is not
    result, own = trained.result(), RunFolder(trained.folder / "tiny-s0").read().revision
    (figure,) = result["figures"]
    assert result["seeds"] == [0, 1] and figure["values"][1] == 0.25
    assert figure["interval"] == "t over 2 seeds" and len(result["measures"]) == 2
    assert set(result["revision"].split(", ")) == {"a" * 40, own} and result["seconds"] >= 7.0
    assert trained.run() == "done before"
    trained.claim({**LEAK, "at_most": 0.5}, more=("model.interface.kind=private",))
    trained.run("seeds=[0]")
    assert trained.result()["seeds"] == [0]  # what is stale is not kept


@pytest.mark.parametrize("what", ["a config", "a bound", "a label", "the claim is gone"])
def test_a_result_whose_config_has_changed_is_marked_stale(trained: Bench, what: str) -> None:
    trained.run("seeds=[0]")
    assert "stale" not in trained.table()
    more = ("model.interface.kind=private",)
    if what == "a config":
        trained.claim(LEAK, more=(*more, "stage.prefer.steps=21"))
        assert trained.run("dry_run=true", "seeds=[0]") == {
            "result": "stale", "runs": {"tiny-s0": "began with another config"}
        }  # fmt: skip
    elif what == "a bound":
        trained.claim({**LEAK, "at_most": 0.02}, more=more)
        assert trained.run("dry_run=true", "seeds=[0]")["result"] == "stale"
    elif what == "a label":
        trained.claim({**LEAK, "label": "what leaks"}, more=more)
    else:
        (trained.folder / "small.yaml").unlink()
    assert ("(stale: the config has changed since)" in trained.table()) == (what != "a label")


def test_a_report_of_other_weights_does_not_count(trained: Bench) -> None:
    path = next((trained.folder / "tiny-s0" / "report").glob("*-prefer/report.json"))
    report = json.loads(path.read_text())
    report["weights_sha256"][-1] = "0" * 64
    path.write_text(json.dumps(report))
    assert trained.run("dry_run=true", "seeds=[0]")["runs"] == {"tiny-s0": "begun"}


@pytest.mark.system
def test_a_claim_that_is_killed_goes_on_and_then_runs_nothing(bench: Bench) -> None:
    facts = {**LEAK, "stage": "base_tower", "suite": "interface", "name": "fact_accuracy",
             "group": ["hair", "top"], "at_most": 0.0}  # fmt: skip
    bench.claim(facts, more=("steps=[base_tower,report]", "report.behaviour=false"), seeds=[0])
    run = bench.folder / "tiny-s0"
    door = [sys.executable, "-m", "evaluation", "claims", *bench.door, "threads=2"]
    killed = subprocess.Popen(door, cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": "."})
    until = time.monotonic() + 120
    while not (run / "manifest.json").exists() and time.monotonic() < until:
        time.sleep(0.05)
    killed.send_signal(signal.SIGTERM)
    assert killed.wait(300) != 0
    assert not (bench.folder / "results" / "small.json").exists()
    assert compose.from_yaml(run / "config.yaml").trainer.threads == 2
    with RunFolder(run).lock():  # nobody trains on
        pass
    spent = json.loads((run / "claim.json").read_text())["seconds"]
    assert bench.run() == "written"
    assert json.loads((run / "claim.json").read_text())["seconds"] > spent
    (figure,) = bench.result()["figures"]
    assert figure["met"] is False and figure["low"] is None
    assert bench.result()["seconds"] > spent and "**missed**" in bench.table()
    before = (run / "claim.log").read_bytes()
    assert bench.run() == "done before"
    (bench.folder / "results" / "small.json").unlink()
    assert bench.run() == "written" and (run / "claim.log").read_bytes() == before


def test_a_run_that_fails_says_why_and_what_to_do(bench: Bench) -> None:
    bench.claim({**LEAK}, more=("parent=nobody@base_tower",), seeds=[0])
    with pytest.raises(TactError, match="(?s)tiny-s0 failed.*nobody: no such run.*goes on where"):
        bench.run()
    assert not (bench.folder / "results").exists()


def test_a_stage_without_a_report_is_found_before_anything_runs(bench: Bench) -> None:
    bench.claim({**LEAK, "stage": "align"})
    with pytest.raises(TactError, match="no report after align.*after: instruct, prefer"):
        bench.run()
    assert not (bench.folder / "tiny-s0").exists()


def test_readme_holds_what_the_results_say() -> None:
    text = (CHECKOUT / "README.md").read_text()
    held = text.split(claim_table.BEGIN)[1].split(claim_table.END)[0].strip()
    said = claim_table.section(claims.RESULTS, claim_file.FOLDER)
    assert held == said, "run: python -m evaluation claims readme=true"


def test_only_what_is_between_the_marks_is_rewritten(trained: Bench) -> None:
    trained.run("seeds=[0]")
    readme, results = trained.folder / "README.md", trained.folder / "results"
    readme.write_text(f"before\n{claim_table.BEGIN}\nold\n{claim_table.END}\nafter\n")
    assert claim_table.rewrite(readme, results, trained.folder)
    assert not claim_table.rewrite(readme, results, trained.folder)
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| leaks | " in text and "| at most 1.00 | met |" in text
    readme.write_text("no marks")
    with pytest.raises(TactError, match="once each"):
        claim_table.rewrite(readme, results, trained.folder)
