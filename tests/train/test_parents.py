"""A child of a run with private stages: one account over both, or a refusal."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.compose import load
from export.run import export
from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder
from privacy import show, verify
from privacy.accounting import epsilon
from privacy.ledger import Ledger
from privacy.parents import foreseen
from privacy.plan import calibrated
from train.run import execute

pytestmark = pytest.mark.system
DP = [
    "privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
    "privacy.delta=1e-3", "privacy.physical_batch_rows=8",
    "+stage.instruct.rows.rows_per_subject=2", "stage.instruct.gradient_clip_norm=0",
    "+stage.prefer.rows.rows_per_subject=1", "stage.prefer.gradient_clip_norm=0",
    "stage.base_language.steps=2", "stage.instruct.steps=3", "stage.prefer.steps=3",
]  # fmt: skip
CHILD = ["parent=first", "run=child", "steps=[prefer]", "privacy.epsilon=14"]
Words = Callable[..., list[str]]


@pytest.fixture(scope="module")
def trained(short_in: Words, pictures: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``first`` (DP) and ``child`` of it."""
    folder = tmp_path_factory.mktemp("parents")
    execute(load(short_in(folder, *DP, "run=first", "steps=[base_language,instruct]")))
    execute(load(short_in(folder, *DP, *CHILD)))
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def verified(words: list[str], folder: Path, name: str = "child") -> Ledger:
    return verify.verified(load(words), RunFolder.existing(name, checkpoints=folder))


def rewrite(folder: Path, change: Callable[[Any], None]) -> None:
    """Change a ledger as somebody would who knows how its digest is made."""
    path = folder / "ledger.json"
    content = json.loads(path.read_text())
    del content["digest"]
    change(content)
    path.write_text(json.dumps({**content, "digest": files.content_sha256(content)}))


def test_the_account_is_of_both(runs: Path, short: Words) -> None:
    ledger = verified(short(*DP, *CHILD), runs)
    first = Ledger.read(runs / "first")
    [each] = ledger.plan.inherited
    state = RunFolder.existing("first", checkpoints=runs).read().stages[-1]
    assert (each.run, each.event.stage, each.weights_sha256) == (
        "first", "instruct", state.weights_sha256)  # fmt: skip
    assert [e.stage for e in ledger.events()] == ["instruct", "prefer"]
    both = epsilon([*first.events(), *ledger.charged()], delta=1e-3)
    assert ledger.epsilon() == both and 13.9 < both <= 14.0
    assert first.epsilon() <= 8.0 < both
    run = RunFolder.existing("child", checkpoints=runs)
    export(run)
    stated = json.loads((run.path / "export" / "privacy.json").read_text())["differential_privacy"]
    assert stated["epsilon"] == both and stated["inherited"][0]["run"] == "first"
    assert "those of first are counted in" in (run.path / "export" / "README.md").read_text()
    shown = show.charged(run, verify=True, quiet=True)
    assert shown["inherited"] == stated["inherited"] and shown["epsilon"] == both
    execute(load(short(*DP, *CHILD)))  # once more: nothing is left to do, nothing is charged
    assert Ledger.read(run.path).content == ledger.content


def test_it_is_foreseen(runs: Path, short: Words) -> None:
    words = [w if w != "run=child" else "run=next" for w in short(*DP, *CHILD)]
    plan = calibrated(foreseen(load(words)))
    assert plan == Ledger.read(runs / "child").plan
    table = show.planned(load([*words, "json=true"]))["stages"]
    assert [(row["run"], row["stage"]) for row in table] == [
        ("first", "instruct"),
        (None, "prefer"),
    ]
    assert not (runs / "next").exists()


@pytest.mark.parametrize("way", ["plan", "dry_run", "train"])
def test_a_budget_that_is_spent_is_refused(runs: Path, short: Words, way: str) -> None:
    config = load(short(*DP, *CHILD[:1], "run=poor", *CHILD[2:3], "privacy.epsilon=5",
                        f"dry_run={str(way == 'dry_run').lower()}"))  # fmt: skip
    spent = f"{Ledger.read(runs / 'first').epsilon():.4g}"
    with pytest.raises(TactError, match=rf"privacy.epsilon=5 is spent.* epsilon={spent} at"):
        show.planned(config) if way == "plan" else execute(config)
    assert not (runs / "poor" / "ledger.json").exists()


CHANGES: list[tuple[Callable[[Any], None], str]] = [
    (lambda c: c["plan"]["inherited"].clear(), "of its parent the run has"),
    (lambda c: c["plan"]["inherited"][0]["event"].update(steps=1), "not what that run's"),
    (lambda c: c["plan"]["inherited"][0].update(weights_sha256="0"), "with other weights"),
    (lambda c: c["plan"]["events"][0].update(noise_multiplier=9.0), "meets the budget"),
    (lambda c: c["plan"]["events"][0].update(sample_rate=0.01), "another plan.* events"),
    (lambda c: c["plan"].update(delta=1e-2), "another plan.* delta"),
    (lambda c: c["charged"].update(prefer=1), "took 3 steps and 1 are charged"),
    (lambda c: c["charged"].clear(), "charges stages"),
    (lambda c: c.update(not_accounted=[]), "last private stage left it"),
    (lambda c: c["weights_sha256"].clear(), "other weights than those charged"),
]


def test_what_was_changed_is_named(runs: Path, short: Words) -> None:
    config, run = load(short(*DP, *CHILD)), RunFolder.existing("child", checkpoints=runs)
    path = run.path / "ledger.json"
    whole = path.read_text()
    for change, says in CHANGES:
        rewrite(run.path, change)
        with pytest.raises(TactError, match=says):
            verify.verified(config, run)
        path.write_text(whole)
        verify.verified(config, run)


def test_a_stage_whose_process_died_as_it_ended_is_closed(runs: Path, short: Words) -> None:
    config, run = load(short(*DP, *CHILD)), RunFolder.existing("child", checkpoints=runs)
    manifest = run.read()
    manifest.ledger_sha256, manifest.finished = None, False
    run.write(manifest)
    rewrite(run.path, lambda c: c["weights_sha256"].clear())
    with pytest.raises(TactError, match="other weights than those charged"):
        verify.verified(config, run)
    execute(config)
    assert run.read().ledger_sha256 == verify.verified(config, run).digest


def test_inherited_stages_keep_their_order(runs: Path, short: Words) -> None:
    words = short(*DP, "parent=child", "run=third", "steps=[]", "privacy.epsilon=14")
    execute(load(words))
    assert verified(words, runs, "third").epsilon() == Ledger.read(runs / "child").epsilon()
    rewrite(runs / "third", lambda c: c["plan"]["inherited"].reverse())
    with pytest.raises(TactError, match="of its parent the run has"):
        verified(words, runs, "third")


def test_parents_without_a_valid_charge_are_refused(runs: Path, short: Words) -> None:
    def child(name: str, *more: str) -> None:
        execute(load(short(*DP, f"parent={name}", f"run=of-{name}", *CHILD[2:], *more)))

    manifest = files.read_json(runs / "first" / "manifest.json")
    assert manifest.pop("ledger_sha256") == Ledger.read(runs / "first").digest
    files.write_json(runs / "first" / "manifest.json", manifest)
    rewrite(runs / "first", lambda c: c.update(key_known=True))
    with pytest.raises(TactError, match="key of its noise is known; epsilon is infinite"):
        child("first")
    (runs / "first" / "ledger.json").write_text('{"version": 1, "pl')
    with pytest.raises(TactError, match="ledger.json"):
        child("first")
    (runs / "first" / "ledger.json").unlink()
    with pytest.raises(TactError, match="instruct read people who are not public, without DP"):
        child("first")
    with pytest.raises(TactError, match="take privacy.unit=subject"):
        child("child", "privacy.unit=row")
    with pytest.raises(TactError, match="dealt the same source's people to other splits"):
        execute(load(short(*DP, "parent=first@base_language", "run=other", "steps=[instruct]",
                           "seed=1")))  # fmt: skip
    with pytest.raises(TactError, match="read public as public people, without DP; here"):
        execute(load(short(*DP, "parent=first@base_language", "run=otherwise", "steps=[instruct]",
                           "data.public=[validation]")))  # fmt: skip
    with pytest.raises(TactError, match="ledger.json is gone, and stage prefer"):
        (runs / "child" / "ledger.json").unlink()
        execute(load(short(*DP, *CHILD)))
