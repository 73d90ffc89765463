"""Who was in a run is noted as it trains; who is excluded is in nothing that comes after."""

import csv
from collections.abc import Callable
from pathlib import Path

import published
import pytest
from published import picture

from conf import compose
from conf.schema import Config
from data import prepared
from data.attributes import CLASSES
from evaluation.suites import Suites
from export.run import export
from lineage import exclusion, people
from lineage.errors import TactError
from lineage.run import RunFolder
from lineage.who import exclude
from train.run import execute

FAIRFACE = ["data=fairface", "+stage.align.rows.readback=0.5", "+stage.align.rows.captions=0.5",
            "+stage.instruct.rows.facts=0.0", "stage.instruct.steps=2",
            "stage.instruct.rows.count=12"]  # fmt: skip
LABELS = {"gender": "man", "age": "senior", "skin": "tan", "expression": "sad", "glasses": "no",
          "hair": "red", "top": "blue", "place": "park"}  # fmt: skip
Words = Callable[..., Config]


@pytest.fixture
def words(tmp_path: Path) -> Words:
    """The config of a run of two steps on ten people's noise."""
    with (tmp_path / "people.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["file", "subject_id", *LABELS])
        table.writeheader()
        for i in range(10):
            picture(tmp_path / f"{i}.png", i)
            table.writerow({"file": f"{i}.png", "subject_id": f"p{i}", **LABELS})

    def made(run: str, *more: str) -> Config:
        own = ["experiment=photos", "model=tiny", f"data.source.path={tmp_path}",
               "data.people={private: 6, validation: 2, test: 2}", "stage.align.steps=2",
               "stage.align.rows.count=12", "trainer.validation_rows=2", "trainer.threads=1",
               "trainer.progress=false", f"cache={tmp_path / 'cache'}",
               f"checkpoints={tmp_path / 'runs'}", f"run={run}", "steps=[align]"]  # fmt: skip
        return compose.load([*own, *more])

    return made


def test_who_was_trained_on_is_noted_and_kept_out_from_then_on(
    words: Words, tmp_path: Path
) -> None:
    execute(words("first"))
    run = RunFolder(tmp_path / "runs" / "first")
    noted = {p.kind: p for p in people.of(run) or ()}
    assert noted.keys() == {people.STAGE, people.VALIDATION}
    trained = noted[people.STAGE]
    assert (trained.stage, trained.split, len(trained.people)) == ("align", "private", 6)
    assert noted[people.VALIDATION].split == "validation"
    assert len({*trained.people, *noted[people.VALIDATION].people}) == 8

    out = trained.people[0]
    exclusion.add(out, tmp_path / "runs")
    for goes_on, said in (
        (lambda: execute(words("first", "steps=[align,instruct]")), "stage instruct"),
        (lambda: execute(words("child", "parent=first@align", "stages=[instruct]")),
         "parent=first"),
        (lambda: export(run), "export"),
    ):  # fmt: skip
        with pytest.raises(TactError, match=f"{said}: run=first was trained on 1 who are excluded"):
            goes_on()

    execute(words("second"))
    again = RunFolder(tmp_path / "runs" / "second")
    assert people.trained_on(again) == set(trained.people) - {out}


def test_a_report_after_an_exclusion_leaves_the_person_out_and_notes_the_others(
    words: Words, tmp_path: Path
) -> None:
    execute(words("first"))
    run, config = RunFolder(tmp_path / "runs" / "first"), words("first")
    before = Suites(config, run, run.finished_stages()).test["subject_id"]
    exclusion.add(before[0], tmp_path / "runs")
    after = Suites(config, run, run.finished_stages()).test["subject_id"]
    assert after == before[1:]
    reported = [p for p in people.of(run) or () if p.kind == people.REPORT]
    assert [(p.stage, p.split, p.people) for p in reported] == [("align", "test", sorted(before))]


def test_of_a_published_set_nobody_else_moves_and_the_run_goes_on_and_is_measured(
    words: Words, tmp_path: Path
) -> None:
    where = f"data.source.path={published.fairface(tmp_path / 'set', more=7)}"
    config = words("first", *FAIRFACE, where)
    execute(config)
    run = RunFolder(tmp_path / "runs" / "first")
    before = prepared.dealt(config)
    out, stays = before["test"]["subject_id"]
    exclude(out, tmp_path / "runs", tmp_path / "cache", quiet=True)
    after = prepared.dealt(config)
    assert prepared.fingerprint(after) == prepared.fingerprint(before)
    nothing = {"image": None, "attributes": dict.fromkeys(CLASSES)}
    assert after["test"][0] == {"picture_id": out, "subject_id": out, **nothing}
    assert after["private"].to_dict() == before["private"].to_dict()
    assert Suites(config, run, run.finished_stages()).test["subject_id"] == [stays]
    execute(words("first", *FAIRFACE, where, "steps=[align,instruct]"))
    assert [state.stage for state in run.finished_stages()] == ["align", "instruct"]
