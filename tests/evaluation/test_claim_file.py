"""What a claim file may hold, how its grid fills in, and that the shipped ones can be run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation import claim_file, claim_runs, grid
from evaluation.claim_file import Claim
from lineage.errors import TactError

FIGURE = {"label": "x", "run": "a", "stage": "prefer", "suite": "behaviour",
          "name": "leak_rate", "group": "seen/all_unshared"}  # fmt: skip
RUN = {"run": "a-s{seed}", "words": ["experiment=demo", "seed={seed}"]}
GOOD: dict[str, Any] = {
    "question": "Is it so?",
    "seeds": [0, 1],
    "runs": {"a": RUN},
    "figures": [FIGURE],
}


def loaded(folder: Path, content: Any) -> Claim:
    (folder / "c.yaml").write_text(
        content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    )
    return claim_file.load("c", folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sedes": [0]}, "unknown key 'sedes'; there are: .*seeds"),
        ({"seeds": []}, r"seeds=\[\]: give whole numbers"),
        ({"seeds": [True]}, r"seeds=\[True\]: give whole numbers"),
        ({"seeds": "0"}, "seeds=0: give whole numbers"),
        ({"runs": {}}, "runs must be a mapping"),
        ({"runs": {"a": {"run": "a"}}}, "runs.a: words is missing"),
        ({"runs": {"a": {**RUN, "run": "a"}}}, r"runs.a.run=a: needs \{seed\}"),
        ({"runs": {"a": {**RUN, "words": ["x={bit}"]}}}, r"\{bit\} is nothing that can be filled"),
        ({"figures": []}, "figures must be a list"),
        ({"figures": [{"label": "x"}]}, "figure 1: group, name, run, stage, suite is missing"),
        ({"figures": [{**FIGURE, "best_of": 1}]}, "figure 1: unknown key 'best_of'"),
        ({"figures": [{**FIGURE, "name": "leaks"}]}, "measure 'leaks' is none of leak_rate"),
        ({"figures": [{**FIGURE, "run": "b"}]}, "run=b: no such run; there are: a"),
        ({"figures": [{**FIGURE, "minus": {"run": "b"}}]}, "run=b: no such run"),
        ({"figures": [{**FIGURE, "minus": {"at": 1}}]}, "minus: unknown key 'at'"),
        ({"figures": [{**FIGURE, "above": {"group": "x"}}]}, "above: at_most is missing"),
        ({"figures": [{**FIGURE, "at_most": "low"}]}, "at_most='low' is no number"),
        ({"figures": [{**FIGURE, "where": {"bits": [8]}}]}, "where.bits=.*no such axis"),
        ({"grid": {"on": 3}}, "grid.on: must be a mapping"),
        ({"grid": {"switch": {True: {}}}}, "quote it"),
        ({"grid": {"a": {1: {"b": 2}}, "b": {1: {}}}}, "grid.b: 'b' is already of a"),
        ({"grid": {"seed": {1: {}}}}, "'seed' is already of the seeds"),
    ],
)
def test_a_claim_that_cannot_be_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    loaded(tmp_path, GOOD)
    with pytest.raises(TactError, match=f"claim c: .*{said}"):
        loaded(tmp_path, {**GOOD, **change})


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "is no YAML"), ("- a", "must be a mapping"), ("", "mapping")]
)
def test_a_file_that_is_no_claim(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TactError, match=f"claim c: .*{said}"):
        loaded(tmp_path, text)


def test_an_unknown_claim_is_refused_with_those_there_are(tmp_path: Path) -> None:
    loaded(tmp_path, GOOD)
    with pytest.raises(TactError, match="claim d: there is none; there are: c"):
        claim_file.load("d", tmp_path)


def test_a_grid_fills_what_mentions_it_and_nothing_else(tmp_path: Path) -> None:
    claim = loaded(
        tmp_path,
        {
            **GOOD,
            "grid": {"bits": {8: {"k": 2}, 16: {"k": 4}}, "on": {"yes": {}, "no": {}}},
            "runs": {"a": RUN, "{bits}-{on}": {"run": "r{bits}-{on}-s{seed}", "words": ["t={k}"]}},
            "figures": [FIGURE, {**FIGURE, "label": "{bits}", "run": "{bits}-yes", "at_most": 0.5,
                                 "minus": {"run": "{bits}-no"}, "where": {"bits": [16]}}],
        },
    )  # fmt: skip
    assert list(claim.runs) == ["a", "8-yes", "8-no", "16-yes", "16-no"]
    assert claim.runs["16-no"].command(3) == ("t=4", "run=r16-no-s3")
    plain, filled = claim.figures
    assert plain.at == {} and filled.at == {"bits": "16"} and filled.label == "16"
    assert filled.minus is not None and filled.minus.run == "16-no" and filled.at_most == 0.5


def test_braces_that_are_hydras_own_are_left(tmp_path: Path) -> None:
    axes = grid.axes({}, where="here")
    word = "data.people={public: 60, private: 30}"
    assert list(grid.expanded([word], axes, where="here")) == [({}, [word])]


def test_above_is_a_second_figure_less_its_floor(tmp_path: Path) -> None:
    figure = {**FIGURE, "name": "attacker_auc", "group": "age", "best": True, "at_most": 0.54,
              "above": {"name": "attacker_floor", "at_most": 0.04}}  # fmt: skip
    itself, above = loaded(tmp_path, {**GOOD, "figures": [figure]}).figures
    assert itself.reading.best and itself.at_most == 0.54 and itself.minus is None
    assert above.reading == itself.reading and above.at_most == 0.04
    assert above.minus is not None
    assert (above.minus.name, above.minus.groups, above.minus.best) == (
        "attacker_floor", ("age",), False
    )  # fmt: skip


@pytest.mark.parametrize("name", claim_file.names(claim_file.FOLDER))
def test_each_shipped_claim_names_runs_that_compose_and_report(name: str) -> None:
    claim = claim_file.load(name)
    configs = claim_runs.configs(claim)
    assert set(configs) == set(claim.runs)
    assert all(run.folder(1) != run.folder(2) for run in claim.runs.values())
    what: dict[str, Any] = {}
    for key, run in claim.runs.items():  # one folder may be gone on with, of the same training
        trained = {k: v for k, v in claim_runs.identity(configs[key]).items()
                   if k not in (*claim_runs.PART, "report")}  # fmt: skip
        assert what.setdefault(run.folder(0), trained) == trained


def test_the_hash_is_of_what_a_run_is_not_of_where_it_lies(tmp_path: Path) -> None:
    def digest(*more: str, **changed: Any) -> str:
        run = {**RUN, "words": [*RUN["words"], *more]}
        return claim_runs.config_sha256(loaded(tmp_path, {**GOOD, "runs": {"a": run}, **changed}))

    base = claim_runs.identity(claim_runs.configs(loaded(tmp_path, GOOD))["a"])
    for place in ("checkpoints=elsewhere", "trainer.threads=1", "cache=else", "run=b",
                  "model.licence.name=gemma"):  # fmt: skip
        run = {**RUN, "words": [*RUN["words"], place]}
        claim = loaded(tmp_path, {**GOOD, "runs": {"a": run}})
        assert claim_runs.identity(claim_runs.configs(claim)["a"]) == base
    assert digest() == digest(seeds=[0]) == digest(question="Another?")
    others = [
        digest("stage.prefer.steps=7"),
        digest(figures=[{**FIGURE, "at_most": 0.1}]),
        digest(figures=[{**FIGURE, "group": "seen/insisting"}]),
    ]
    assert len({digest(), *others}) == 4
