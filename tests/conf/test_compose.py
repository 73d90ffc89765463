"""Every shipped config composes; what can't be run is refused with key, value and fix."""

import subprocess
import sys
from pathlib import Path

import pytest

from conf import compose
from conf.compose import ConfigError, fingerprint, load, normal, options, to_yaml, told
from conf.rules import harmless
from lineage.difference import difference
from lineage.errors import TactError
from lineage.run import RunFolder

ROOT = Path(compose.__file__).parent


@pytest.mark.parametrize("experiment", options("experiment"))
def test_each_experiment_composes_and_its_targets_exist(experiment: str) -> None:
    from conf import target

    config = load([f"experiment={experiment}", "run=x", *given(experiment)])
    assert config.description
    target.function(config.data.source, where="data.source")
    for name, stage in config.stage.items():
        target.function(stage.rows, where=f"stage.{name}.rows")
        for loss, settings in stage.losses.items():
            target.function(settings, where=loss, without=("weight",))


@pytest.mark.parametrize("experiment", options("experiment"))
def test_no_experiments_export_is_refused_for_what_it_never_measures(experiment: str) -> None:
    config = load([f"experiment={experiment}", "run=x", *given(experiment)])
    if "export" not in config.steps:
        return
    bounds, allowed = config.policy["bounds"], set(config.export.allow)
    assert allowed <= set(bounds)
    before = config.steps[: config.steps.index("export")]
    reported = before[-1] == "report"  # of the weights that are exported
    missed = set()
    if not reported or not config.report.behaviour:
        missed.add("leak_rate")
    open_ = config.model.interface.kind == "open"  # tokens that tell all: the bound is never met
    if not reported or not config.report.interface or open_:
        missed.add("attacker_auc")
    assert missed <= allowed


def given(experiment: str) -> list[str]:
    photos = ["data.source.path=folder", "model.parts.language=folder"]
    faces = ["data.source.path=folder", "model.id=folder"]
    own = {"photos": photos, "faces": faces}
    own |= dict.fromkeys(("user_vlm_360", "user_vlm_ours"), photos[:1])
    return own.get(experiment, [])


@pytest.mark.parametrize(
    "option",
    [
        f"{group}={name}"
        for group in ("data", "model", "policy", "trainer", "logger", "site")
        for name in options(group)
    ],
)
def test_each_option_of_each_group_composes(option: str) -> None:
    more = {
        "model=pretrained": ["model.id=x"],
        "model=composed": ["model.parts.language=x"],
    }.get(option, [])
    if option.startswith("data=") and option != "data=portraits":
        more = ["data.source.path=x"]
    assert load([option, "run=x", *more], check=False).run == "x"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stag.prefer.steps=2"], "stag.prefer.steps"),
        (["stage.prefer.stepz=2"], "stage.prefer.stepz"),
        (["stage.prefer.steps=many"], "many"),
        (["experiment=nope"], "nope"),
        (["model.interface.bits=17"], "does not divide"),
        (["model.interface.kind=shut"], "open"),
        (["stage.base_tower.people=private"], "public people only"),
        (["stage.prefer.train=[lora,language_model]"], "exclude"),
        (["stage.prefer.train=[head]"], "unknown part"),
        (["stage.prefer.people=nobody"], "no such split"),
        (["steps=[prefer,nope]"], "unknown step"),
        (["steps=[prefer,prefer]"], "twice"),
        (["stage.instruct.losses.language._target_=null"], "_target_"),
        (["model.attention=flash_attention_2"], "refused until shown equal"),
        (["stage.base_tower.losses.reader.weight=0"], "none has a weight"),
        (["+stage.instruct.losses.adversarial_tokens._target_=train.terms.adversarial_tokens"],
         "interface trains"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_by_key_and_fix(words: list[str], said: str) -> None:
    base = [] if words[0].startswith("experiment") else ["experiment=demo"]
    with pytest.raises(ConfigError) as error:
        load([*base, *words])
    assert said in str(error.value)


def test_a_config_survives_its_own_yaml(tmp_path: Path) -> None:
    config = load(["experiment=demo", "run=x"])
    path = tmp_path / "config.yaml"
    path.write_text(compose.to_yaml(config))
    assert compose.from_yaml(path) == config


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trainer:\n", "trainer:\n  gone: 3\n", "key trainer.gone"),
        ("seed: 0\n", "seed: first\n", "key seed"),
        ("run: x\n", "", "key run"),
        ("run: x\n", "run: [x\n", "while parsing"),
    ],
)
def test_a_config_of_another_version_names_run_key_and_fix(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "old" / "config.yaml"
    path.parent.mkdir()
    text = compose.to_yaml(load(["experiment=demo", "run=x"]))
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(TactError) as error:
        compose.from_yaml(path)
    assert said in str(error.value)
    assert "run=old" in str(error.value) and "version that wrote it" in str(error.value)


@pytest.mark.parametrize("room", ["evaluation", "export"])
def test_doors_refuse_a_config_of_another_version(tmp_path: Path, room: str) -> None:
    run = RunFolder.open("old", checkpoints=tmp_path)
    run.write(run.read())
    text = compose.to_yaml(load(["experiment=demo", "run=old"]))
    (run.path / "config.yaml").write_text(text + "gone: 1\n")
    words = [sys.executable, "-m", room, "run=old", f"checkpoints={tmp_path}"]
    done = subprocess.run(words, cwd=ROOT.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "key gone" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_users_own_loss_source_and_stage_come_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conf import target

    code = "def loss(step, *, power=1.0):\n    return step.logps * power\n"
    code += "def people(*, cache, path):\n    raise NotImplementedError\n"
    (tmp_path / "mine.py").write_text(code)
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "quiet.yaml").write_text(
        "people: private\nrows: {_target_: data.sources.own_rows}\ntrain: [lora]\nsteps: 3\n"
        "losses: {own: {_target_: mine.loss, weight: 1.0, power: 2.0}}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = load(
        [
            f"hydra.searchpath=[file://{tmp_path}]",
            "+stage@stage.quiet=quiet",
            "steps=[quiet]",
            "data.source._target_=mine.people",
        ]
    )
    made = target.function(config.stage["quiet"].losses["own"], where="own", without=("weight",))
    assert made.keywords == {"power": 2.0}
    assert target.function({"_target_": "mine.people", "path": "x"}, where="data.source")
    with pytest.raises(Exception, match="powr"):
        target.function({"_target_": "mine.loss", "powr": 1}, where="own")


def test_a_fingerprint_is_of_what_is_told_and_not_of_defaults_names_or_places() -> None:
    words = ["experiment=portraits", "stage.align.steps=800"]
    first = load([*words, "run=a"])
    same = load([*words, "run=b", "cache=elsewhere", "trainer.threads=1"])
    assert fingerprint(first) == fingerprint(same)
    assert fingerprint(first) != fingerprint(load([*words, "run=a", "seed=1"]))
    stated = load([*words, "run=a", "model.licence.name=gemma", "model.licence.allows=much"])
    assert fingerprint(first) == fingerprint(stated)
    assert difference(to_yaml(first), to_yaml(stated), ignore=harmless(first)) == []
    plain = told(first)
    assert (
        "dropout" not in plain["model"].get("lora", {}) and plain["stage"]["align"]["steps"] == 800
    )
    first.report.people, other = 7, told(first)
    assert told(first)["report"]["people"] == 7 and "people" not in other.get("report", {})


def test_a_stored_config_without_a_later_key_is_the_same(tmp_path: Path) -> None:
    config = load(["experiment=demo", "run=a"])
    text = to_yaml(config)
    (tmp_path / "config.yaml").write_text(text.replace("  validate_every_steps: 0\n", ""))
    assert normal(tmp_path / "config.yaml") == text
