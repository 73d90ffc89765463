"""``privacy.json`` is what its published schema says, and the card says what was let through."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from conf import compose
from conf.schema import Config
from data.policy import policy
from data.sets import terms
from export import card, licences, stated
from export.evidence import Evidence, evidence
from export.run import export
from lineage.errors import TactError
from lineage.run import INHERITED, Manifest, RunFolder, StageState
from train.run import enter

PORTRAITS = {"_target_": "data.portraits.table.portraits"}


def written(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "export" / "privacy.json").read_text())
    return content


@pytest.mark.parametrize("kind", ["private", "open"])
def test_privacy_json_is_by_the_schema_that_stands_beside_it(
    finished: Callable[[str], Path], kind: str
) -> None:
    folder = finished(kind)
    content, beside = written(folder), folder / "export" / "privacy.schema.json"
    schema = json.loads(beside.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)
    assert content["$schema"] == beside.name and content["version"] == 4
    assert set(content["files"]) == {
        p.relative_to(folder / "export").as_posix()
        for p in (folder / "export").rglob("*")
        if p.is_file() and p.name != "privacy.json"
    }
    [said] = content["data"]["terms"]
    assert said["licence"] == "CC0" and content["data"]["fingerprint"]
    assert said["stages"] == [s["stage"] for s in content["stages"]]
    assert ModelCard.load(folder / "export" / "README.md").data.license == "apache-2.0"


BOUNDED = {
    "epsilon": 7.9, "epsilon_rdp": 8.4, "delta": 1e-5, "unit": "subject",
    "relation": "add or remove one unit", "units": 8000,
    "events": [{"stage": "prefer", "sample_rate": 0.03, "noise_multiplier": 0.7,
                "max_grad_norm": 1.0, "steps": 100}],
    "charged_steps": {"prefer": 100}, "inherited": [], "not_accounted": ["seeds"],
    "statement": "(7.9, 1e-05)-DP",
}  # fmt: skip


PRETRAINED = {"part": "model.id", "hub_id": "a/b", "commit": None}


def broken(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What breaks it, each by the name of its place."""

    def but(where: str, value: Any, *, dp: dict[str, Any] | None = None) -> dict[str, Any]:
        made = copy.deepcopy(content)
        made["differential_privacy"] = copy.deepcopy(dp or made["differential_privacy"])
        *path, last = where.split(".")
        at: Any = made
        for key in path:
            at = at[int(key)] if isinstance(at, list) else at[key]
        if value is None:
            del at[last]
        else:
            at[last] = value
        return made

    dp = copy.deepcopy(BOUNDED)
    return {
        "version": but("version", 2),
        "the whole": but("attacks", None),
        "secret": but("secret", "x"),
        "differential_privacy": but("differential_privacy.unit", None),
        "epsilon": but("differential_privacy.epsilon", 8.0),
        "delta": but("differential_privacy.delta", None, dp=dp),
        "not_accounted": but("differential_privacy.not_accounted", [], dp=dp),
        "noise_multiplier": but("differential_privacy.events.0.noise_multiplier", 0.0, dp=dp),
        "weights_sha256": but("stages.0.weights_sha256", "abc"),
        "terms": but("data.terms", []),
        "stages": but("data.terms", [{"name": "CelebA"}]),
        "pinned": but("pretrained", [{**PRETRAINED, "licence": None}]),
        "licence": but("pretrained", [{**PRETRAINED, "pinned": True}]),
        "link": but("pretrained", [{**PRETRAINED, "pinned": True, "licence": {"name": "gemma"}}]),
        "attacker": but("attacks.0.attacker", None),
        "value": but("attacks.0.value", "low"),
        "a figure is not finite": but("attacks.0.high", float("nan")),
    }


def test_what_the_schema_does_not_say_is_refused(finished: Callable[[str], Path]) -> None:
    content = written(finished("private"))
    stated.check(content)
    stated.check({**content, "differential_privacy": copy.deepcopy(BOUNDED)})
    for where, made in broken(content).items():
        with pytest.raises(TactError, match=where):
            stated.check(made)


def test_a_pretrained_model_without_a_commit_is_stated_and_a_folders_place_is_not(
    finished: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = finished("open")
    assert written(folder)["pretrained"] == []
    config, run = compose.from_yaml(folder / "config.yaml"), RunFolder(folder)
    rule = policy(config.policy)
    papers = evidence(config, run, rule)
    papers.manifest.model = {"model.id": {"commit": "c" * 40}}

    def told(id: str, revision: str | None) -> tuple[Any, str]:
        config.model.id, config.model.revision = id, revision
        content = stated.stated(config, rule, papers, folder=folder / "export")
        return content["pretrained"], card.card(
            config, rule, papers, picture_px=None, template=True
        )

    said, text = told("nobody/tiny", "main")
    assert said == [
        {
            **PRETRAINED,
            "hub_id": "nobody/tiny",
            "commit": "c" * 40,
            "pinned": False,
            "licence": None,
        }
    ]
    assert "`nobody/tiny` (`model.id`): its licence is not stated" in text
    assert "named without a commit (`nobody/tiny`)" in text
    said, text = told("nobody/tiny", "c" * 40)
    assert said[0]["pinned"] and "without a commit" not in text
    said, text = told(str(tmp_path), None)
    assert said == [{**PRETRAINED, "hub_id": None, "pinned": True, "licence": None}]
    assert "without a commit" not in text


def test_terms_are_those_of_all_sources_of_the_weights(
    finished: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(finished("private"), tmp_path / "child")
    run = RunFolder(tmp_path / "child")
    manifest = run.read()
    first, second, *own = manifest.stages
    celeba = terms.carried({"_target_": "data.sets.celeba.celeba", "accept_terms": True})
    assert [s.terms for s in own] == [terms.carried(PORTRAITS)] * len(own)
    first.state = second.state = INHERITED
    first.terms, second.terms = celeba, None  # the second is of a version that noted none
    run.write(manifest)
    export(run)
    found = written(run.path)["data"]["terms"]
    assert found == [
        {**celeba, "stages": [first.stage]},
        {**licences.UNNOTED, "stages": [second.stage]},
        {**terms.carried(PORTRAITS), "stages": [s.stage for s in own]},
    ]
    said = ModelCard.load(run.path / "export" / "README.md")
    assert (said.data.license, said.data.license_name) == ("other", licences.SEVERAL)
    for each in (celeba["forbids"], licences.UNNOTED["note"], "rendered people (stages"):
        assert each in said.text


CELEBA = ["data=celeba", "data.source.path=x"]
OWN_PEOPLE = ["data=folder", "data.source.path=x"]
PARTS = ["model=composed", "model.parts.language=google/gemma-2-2b",
         "model.parts.tower=google/siglip-base-patch16-224"]  # fmt: skip
QWEN, GEMMA = ["model=qwen2_5_vl_3b"], "https://ai.google.dev/gemma/terms"


@pytest.mark.parametrize(
    ("words", "name", "bases"),
    [
        ([], None, None),
        (CELEBA, "terms-of-celeba", None),
        (OWN_PEOPLE, "not-stated", None),
        (PARTS, "not-stated", ["google/siglip-base-patch16-224", "google/gemma-2-2b"]),
        ([*PARTS, "model.licence.name=gemma", f"model.licence.link={GEMMA}"], "gemma",
         ["google/siglip-base-patch16-224", "google/gemma-2-2b"]),
        (QWEN, "qwen-research", ["Qwen/Qwen2.5-VL-3B-Instruct"]),
        ([*QWEN, *CELEBA], licences.SEVERAL, ["Qwen/Qwen2.5-VL-3B-Instruct"]),
        (["model=smolvlm_256m"], None, ["HuggingFaceTB/SmolVLM-256M-Instruct"]),
        (["model.parts={_target_: mine.made}"], "not-stated", None),
    ],
)  # fmt: skip
def test_the_cards_licence_is_that_of_what_the_weights_come_from(
    words: list[str], name: str | None, bases: list[str] | None
) -> None:
    config = compose.load(["experiment=demo", "run=x", *words], check=False)
    papers = Evidence(Manifest(stages=[StageState("align", "done", [], 1)]), None, (), None, {})
    text = card.card(config, policy(config.policy), papers, picture_px=None, template=True)
    data = ModelCard(text).data
    assert (data.license, data.license_name) == (("other" if name else "apache-2.0"), name)
    assert data.base_model == bases
    if name in ("gemma", "qwen-research"):
        assert data.license_link in (GEMMA, config.model.licence.link) and name in text


def test_a_parents_model_is_named_where_parts_of_it_were_taken_alone(tmp_path: Path) -> None:
    def entered(name: str, *words: str) -> tuple[Config, RunFolder]:
        given = ["experiment=demo", f"run={name}", f"checkpoints={tmp_path}", *words]
        config, run = compose.load(given, check=False), RunFolder.open(name, checkpoints=tmp_path)
        run.keep_config(compose.to_yaml(config))
        enter(config, run)
        return config, run

    _, parent = entered("parent", "model=gemma3_4b")
    parent.begin("align", trains=["tower"], steps=1)
    parent.weights("align").write_bytes(b"tower")
    parent.end("align")
    entered("child", "parent=parent@align", "parent_parts=[tower]")
    config, run = entered("grandchild", "parent=child@align")
    [found] = licences.of_models(config, run.read())
    assert found["hub_id"] == "google/gemma-3-4b-it" and found["licence"]["name"] == "gemma"
    papers = Evidence(run.read(), None, (), None, {})
    rule = policy(config.policy)
    data = ModelCard(card.card(config, rule, papers, picture_px=None, template=True)).data
    assert data.base_model == ["google/gemma-3-4b-it"] and data.license == "other"


def test_the_card_says_first_what_was_let_through(finished: Callable[[str], Path]) -> None:
    folder = finished("private")
    missed = written(folder)["policy"]["not_met"]
    assert "leak_rate" in missed  # twenty steps align nobody
    lines = (folder / "export" / "README.md").read_text().split("\n---\n")[1].splitlines()
    first = lines[: lines.index(f"# {folder.name}")]
    for bound, found in missed.items():
        assert any(f"`{bound}` at most" in line and found in line for line in first)


def test_the_card_has_a_model_index_and_a_picture(finished: Callable[[str], Path]) -> None:
    folder = finished("private") / "export"
    data = ModelCard.load(folder / "README.md").data
    attacks = written(folder.parent)["attacks"]
    assert data.eval_results is not None and len(data.eval_results) == len(attacks)
    one = next(r for r in data.eval_results if r.metric_type == "attacker_auc")
    same = next(m for m in attacks if m["name"] == "attacker_auc")
    assert one.metric_value == round(same["value"], 4) and one.metric_args["n"] == same["n"]
    text = (folder / "README.md").read_text()
    assert "](frontier.png)" in text and "## Intended use" in text and "## Where it fails" in text
    drawn = Image.open(folder / "frontier.png")
    assert drawn.width > 800 and len(drawn.convert("RGB").getcolors(1 << 20) or []) > 50
    assert "matplotlib" not in str(drawn.info).lower()


def measure(name: str, group: str, value: float) -> dict[str, Any]:
    told = {"suite": "behaviour", "unit": "person", "attacker": None, "chosen_on": None, "n": 5}
    return {**told, "name": name, "group": group, "value": value, "low": value, "high": value}


def test_the_card_names_the_groups_on_which_it_fails() -> None:
    rule = policy(compose.load(["experiment=demo", "run=x"]).policy)
    measures = [
        measure("leak_rate", "seen/insisting", 0.2), measure("leak_rate", "held_out/other", 0.3),
        measure("leak_rate", "seen/nothing", 0.01), measure("fact_accuracy", "seen/facts", 0.9),
        measure("fact_accuracy", "held_out/facts", 0.6),
    ]  # fmt: skip
    said = card.fails({"warnings": ["It repeats itself."], "measures": measures}, rule)
    assert said[0] == "It repeats itself."
    assert "held_out/other" in said[1] and "bound: 0.05" in said[1] and "insisting" in said[2]
    assert "held_out/facts" in said[3] and "worst group" in said[3] and len(said) == 4
    assert card.fails(None, rule) == []


def test_bfloat16_halves_the_server_and_leaves_the_codes_alone(
    finished: Callable[[str], Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    shutil.copytree(finished("private"), tmp_path / "run")
    before = {half: load_file(tmp_path / "run/export" / half / "model.safetensors")
              for half in ("server", "device")}  # fmt: skip
    export(RunFolder(tmp_path / "run"), wanted={"dtype": "bfloat16"})
    server, device = (load_file(tmp_path / "run/export" / h / "model.safetensors") for h in before)
    for name, tensor in before["server"].items():
        assert server[name].dtype.itemsize == 2
        assert tensor.bfloat16().equal(server[name])
    assert all(tensor.equal(device[name]) for name, tensor in before["device"].items())
    assert "rounded to bfloat16" in (tmp_path / "run/export/README.md").read_text()
    assert not any("vision" in name or "tower" in name for name in server)
