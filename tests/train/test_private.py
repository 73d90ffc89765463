"""Private stages by the real door: ledger, key, replays, and what stays in ``private/``."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from planted import killed_at
from safetensors.torch import load_file

from conf.compose import ConfigError, load
from data.policy import policy
from export.run import export
from lineage.errors import TactError
from lineage.run import RunFolder
from models import configured
from privacy import keys, verify
from privacy.ledger import Ledger
from train.private import PrivateStage
from train.run import execute

Words = Callable[..., list[str]]
DP = [
    "privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
    "privacy.delta=1e-3", "privacy.physical_batch_rows=4", "steps=[base_language,instruct]",
    "+stage.instruct.rows.rows_per_subject=2", "stage.instruct.gradient_clip_norm=0",
    "stage.instruct.steps=6", "stage.base_language.steps=3",
]  # fmt: skip


def test_a_private_stage_from_ledger_to_forgotten_key(
    short: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = short(*DP, "run=dp")
    secrets, forget = [], keys.forget

    def seen(private: Path) -> None:
        secrets.append((private / keys.NAME).read_bytes())
        forget(private)

    monkeypatch.setattr(keys, "forget", seen)
    execute(load(words))
    [secret] = secrets
    for path in (p for p in (tmp_path / "dp").rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert secret not in content and secret.hex().encode() not in content, path.name
    run = RunFolder.existing("dp", checkpoints=tmp_path)
    config = load(words)
    ledger = verify.verified(config, run)
    assert ledger.content["charged"] == {"instruct": 6}
    assert 0 < ledger.epsilon() <= 8.0
    stated = verify.stated(config, run)
    assert stated["unit"] == "subject" and "adding or removing" in stated["statement"]
    export(run)
    written = json.loads((run.path / "export" / "privacy.json").read_text())
    assert written["differential_privacy"] == stated
    card = (run.path / "export" / "README.md").read_text()
    assert stated["statement"] in card and "without differential privacy" not in card
    assert not (run.private / keys.NAME).exists()
    own = run.private / "metrics-instruct.jsonl"
    lines = [json.loads(line) for line in own.read_text().splitlines()]
    assert len(lines) == 6 and stat.S_IMODE(own.stat().st_mode) == 0o600
    public = (run.path / "stages" / "2-instruct").rglob("*")
    assert not any("loss" in p.read_text(errors="replace") for p in public if p.suffix == ".csv")


def test_a_fixed_key_gives_no_epsilon(short: Words, tmp_path: Path) -> None:
    words = short(*DP, "run=known", "privacy.fixed_key=x")
    execute(load(words))
    with pytest.raises(TactError, match="epsilon is not valid: key known"):
        export(RunFolder.existing("known", checkpoints=tmp_path))


def test_what_an_adapter_freezes_is_kept_with_what_it_trains(short: Words, tmp_path: Path) -> None:
    config = load(short(*DP, "run=b", "model.lora.freeze_a=true"))
    execute(config)
    run = RunFolder.existing("b", checkpoints=tmp_path)
    written = load_file(run.weights("instruct"))
    assert {name.split(".lora_")[1][0] for name in written} == {"A", "B"}
    begun = configured.model(config.model, policy(config.policy), seed=config.seed)
    stages = run.finished_stages()
    after = dict(
        configured.after(begun, config.model, run, stages, merge_last=False).named_parameters()
    )
    assert all(torch.equal(after[name], tensor) for name, tensor in written.items())
    assert all(tensor.any() for tensor in written.values())
    assert verify.verified(config, run).content["charged"] == {"instruct": 6}


@pytest.mark.system
def test_a_killed_stage_ends_with_the_same_weights_and_ledger(short: Words, tmp_path: Path) -> None:
    def run(name: str, *more: str) -> subprocess.CompletedProcess[str]:
        words = short(*DP, f"run={name}", "privacy.fixed_key=same", "stage.instruct.steps=9",
                      "trainer.checkpoint_every_steps=4", *more)  # fmt: skip
        command = [
            sys.executable,
            "-c",
            killed_at(6) if more else WHOLE,
            *words[: len(words) - len(more)],
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("whole").returncode == 0
    assert run("killed", "kill").returncode == -9
    folder = RunFolder.existing("killed", checkpoints=tmp_path)
    half = Ledger.read(folder.path).content["charged"]["instruct"]
    assert half >= 6  # six were released before it died
    done = run("killed")
    assert done.returncode == 0, done.stderr
    whole = RunFolder.existing("whole", checkpoints=tmp_path)
    assert Ledger.read(folder.path).content["charged"] == {"instruct": 9}
    weights = [r.read().stages[-1].weights_sha256 for r in (whole, folder)]
    assert weights[0] == weights[1]


WHOLE = "import sys; from conf.compose import load; from train.run import execute\n" \
        "execute(load(sys.argv[1:]))"  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["privacy.units=null"], "public number of units"),
        (["privacy.delta=0.04"], "below 1/privacy.units"),
        (["privacy.epsilon=-1"], "above 0"),
        (["stage.instruct.gradient_clip_norm=1"], "set stage.instruct.gradient_clip_norm=0"),
        (["model.lora.dropout=0.1"], "dropout"),
        (["+stage.instruct.losses.rate={_target_: train.terms.rate}"], "mixes rows"),
        (["privacy.unit=picture"], "choose subject or row"),
    ],
)
def test_what_dp_cannot_hold_for_is_refused(short: Words, words: list[str], says: str) -> None:
    with pytest.raises((ConfigError, TactError), match=says):
        load(short(*DP, "run=x", *words))


def test_rows_that_depend_on_others_are_refused(short: Words) -> None:
    words = [w for w in short(*DP, "run=mixed") if "rows_per_subject" not in w]
    with pytest.raises(ConfigError, match="depend on who else"):
        load(words)


def test_a_changed_ledger_is_named(short: Words, tmp_path: Path) -> None:
    words: list[Any] = short(*DP, "run=cheat", "privacy.fixed_key=x")
    execute(load(words))
    run = RunFolder.existing("cheat", checkpoints=tmp_path)
    path = run.path / "ledger.json"
    content = json.loads(path.read_text())
    content["charged"]["instruct"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(TactError, match="digest differs"):
        verify.verified(load(words), run)
    path.write_text("{")
    with pytest.raises(TactError, match="ledger.json"):
        verify.verified(load(words), run)


def test_physical_batches_change_nothing(short: Words, tmp_path: Path) -> None:
    weights = []
    for size in (1, 3, 8):
        words = short(*DP, f"run=of{size}", "privacy.fixed_key=x", "stage.instruct.steps=3",
                      f"privacy.physical_batch_rows={size}")  # fmt: skip
        execute(load(words))
        folder = RunFolder.existing(f"of{size}", checkpoints=tmp_path)
        weights.append(load_file(folder.weights("instruct")))
    for other in weights[1:]:
        for name, value in weights[0].items():
            assert torch.allclose(value, other[name], atol=2e-5)


@pytest.fixture
def stage(short: Words, tmp_path: Path, pictures: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the private stage with something of it changed."""

    def run(name: str, change: Callable[[PrivateStage], None], *more: str) -> None:
        prepare = PrivateStage.prepare

        def prepared(self: PrivateStage, *given: Any) -> None:
            prepare(self, *given)
            change(self)

        monkeypatch.setattr(PrivateStage, "prepare", prepared)
        execute(load(short(*DP, f"run={name}", *more)))

    return run


def test_an_empty_step_is_a_step(stage: Any, tmp_path: Path) -> None:
    def nobody(module: PrivateStage) -> None:
        module.mechanism = replace(module.mechanism, units={})
        module._moved = set(module.trainable)

    stage("empty", nobody)
    run = RunFolder.existing("empty", checkpoints=tmp_path)
    assert Ledger.read(run.path).content["charged"] == {"instruct": 6}
    lines = (run.private / "metrics-instruct.jsonl").read_text().splitlines()
    assert {json.loads(line)["units"] for line in lines} == {0}


def test_all_that_trains_is_clipped(stage: Any) -> None:
    seen = []

    def look(module: PrivateStage) -> None:
        seen.append((set(module.trainable), set(module.engine.weights)))

    stage("clipped", look)
    [(trains, clipped)] = seen
    assert trains == clipped
    assert any(name.startswith("answer_adversary") for name in clipped)
    assert any("lora_A" in name for name in clipped)


def test_a_tensor_without_a_gradient_stops_the_stage(stage: Any) -> None:
    def silence(module: PrivateStage) -> None:
        del module.terms["adversarial_answers"]

    with pytest.raises(TactError, match="answer_adversary.* have had no gradient in 6 steps"):
        stage("still", silence)


def test_a_loss_that_mixes_rows_is_found(stage: Any) -> None:
    def mix(module: PrivateStage) -> None:
        language = module.terms["language"]
        module.terms["language"] = lambda step: language(step) * language(step).mean()

    with pytest.raises(TactError, match="mixes rows"):
        stage("mixed-loss", mix, "privacy.expected_batch_units=20")
