"""Folders of weights that are not whole, and those that changed since a run began."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_families
import torch
from safetensors.torch import load_file, save_file

from conf.compose import load
from conf.schema import ModelConfig
from data.policy import policy
from export.run import export
from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder
from models import build, configured, origin
from train.run import execute

WEIGHTS = "model.safetensors"
LAYER = "layers.0.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny LLaVA as a folder."""
    folder = tmp_path_factory.mktemp("saved")
    for part in tiny_families.make("llava"):
        part.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may harm."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def stored(state: dict[str, Any]) -> str:
    """What the file calls a layer of the language model."""
    return next(name for name in state if name.endswith(LAYER))


def harmed(folder: Path, harm: str) -> None:
    path = folder / WEIGHTS
    if harm in ("cut off", "empty"):
        path.write_bytes(path.read_bytes()[: 2000 if harm == "cut off" else 0])
        return
    state = load_file(path)
    layer = stored(state)
    if harm == "missing":
        del state[layer]
    elif harm == "left over":
        state["model.adapter.weight"] = torch.zeros(2)
    else:
        state[layer] = state[layer][:, :3].contiguous()
    save_file(state, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("missing", rf"missing: model\S+{LAYER}"),
        ("left over", "left over: model.adapter.weight"),
        ("of another shape", rf"of another shape: model\S+{LAYER}"),
        ("cut off", "can't be loaded"),
        ("empty", rf"{WEIGHTS} is empty \(0 bytes\)"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_named(folder: Path, harm: str, said: str) -> None:
    harmed(folder, harm)
    options: dict[str, Any] = {"revision": None, "make": None, "dtype": "float32"}
    with pytest.raises(TactError, match=f"model.id={folder}: .*{said}"):
        build.whole_model(id=str(folder), attention="sdpa", **options)


def test_a_model_that_changed_since_a_run_or_its_parent_began_is_refused(
    short: Callable[..., list[str]], folder: Path, pictures: Any, tmp_path: Path
) -> None:
    words = ["model=pretrained", f"model.id={folder}", "trainer.validation_rows=0"]
    words += [f"stage.align.{n}" for n in ("steps=1", "rows.count=8", "batch_size_rows=4")]
    first = load(short(*words, "run=first", "steps=[align]"))
    child = [*words, "run=child", "steps=[align,instruct]", "parent=first@align"]
    execute(first)
    whole = (folder / WEIGHTS).read_bytes()
    state = load_file(folder / WEIGHTS)
    state[stored(state)] += 1e-3
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    named = rf"the model is not the one that %s began with; changed: model.id \({WEIGHTS}\)"
    with pytest.raises(TactError, match=f"run=first: {named % 'run=first'}"):
        execute(first)
    with pytest.raises(TactError, match=f"run=child: {named % 'parent=first'}"):
        execute(load(short(*child)))
    run = RunFolder.existing("first", checkpoints=tmp_path)
    with pytest.raises(TactError, match=named % "run=first"):
        configured.finished(first, run, policy(first.policy))
    (folder / WEIGHTS).write_bytes(whole)
    (folder / "README.md").write_text("not read by a model")
    assert execute(first)["stages"] == ["align"]


COMMITS = "a" * 40, "b" * 40


@pytest.fixture
def main(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the cache says that nobody/tiny stands for: the first of its two ``COMMITS``."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--nobody--tiny"
    for commit in COMMITS:
        shutil.copytree(folder, repository / "snapshots" / commit)
    state = load_file(folder / WEIGHTS)
    state[stored(state)] += 1.0
    save_file(state, repository / "snapshots" / COMMITS[1] / WEIGHTS, metadata={"format": "pt"})
    path = repository / "refs" / "main"
    path.parent.mkdir()
    path.write_text(COMMITS[0])
    return path


def test_a_run_keeps_to_the_commit_that_it_began_with(
    short: Callable[..., list[str]], main: Path, pictures: Any, tmp_path: Path
) -> None:
    words = ["model=pretrained", "model.id=nobody/tiny", "trainer.validation_rows=0"]
    words += [f"stage.{s}.{n}" for s in ("align", "instruct")
              for n in ("steps=1", "rows.count=8", "batch_size_rows=4")]  # fmt: skip
    execute(load(short(*words, "run=first", "steps=[align]")))
    main.write_text(COMMITS[1])
    first = load(short(*words, "run=first", "steps=[align,instruct]"))
    execute(first)
    execute(load(short(*words, "run=child", "parent=first@align", "steps=[align,instruct]")))
    began = load_file(main.parents[1] / "snapshots" / COMMITS[0] / WEIGHTS)
    for name in ("first", "child"):
        run = RunFolder.existing(name, checkpoints=tmp_path)
        assert run.read().model == {"model.id": {"commit": COMMITS[0]}}
        made = configured.begun(first, run, policy(first.policy)).parts.whole.state_dict()
        assert made[next(n for n in made if n.endswith(LAYER))].equal(began[stored(began)])
        configured.finished(first, run, policy(first.policy))
    export(RunFolder.existing("first", checkpoints=tmp_path), wanted={"form": "adapter"})
    said = files.read_json(tmp_path / "first" / "export" / "adapter" / "adapter_config.json")
    assert said["revision"] == COMMITS[0]
    other = short(*words, "run=other", "parent=first@align", "steps=[]", "model.id=nobody/else")
    with pytest.raises(TactError, match="model.id=nobody/else: it can't be loaded"):
        execute(load(other))


def test_parts_are_kept_to_their_commits_too() -> None:
    parts = {"_target_": "models.compose.llava", "language": "nobody/words", "tower": "nobody/eye"}
    began = {"model.parts.language": {"commit": COMMITS[0]}, "model.parts.tower": {"x": "y"}}
    found = origin.kept(ModelConfig(parts=parts), began)
    assert found.parts == {**parts, "revisions": {"language": COMMITS[0]}}
    assert origin.kept(found, {"model.parts.language": {"commit": COMMITS[1]}}) == found
    assert "language" not in str(origin.unpinned(found)) and "nobody/eye" in str(
        origin.unpinned(found)
    )
    own = ModelConfig(parts={**parts, "_target_": "mine.made"})
    assert origin.kept(own, began) == own and origin.kept(own, None) == own


def test_a_hub_id_is_known_by_its_commit(main: Path) -> None:
    found = []
    for commit in COMMITS:
        main.write_text(commit)
        found.append(origin.of(ModelConfig(id="nobody/tiny")))
    assert found == [{"model.id": {"commit": commit}} for commit in COMMITS]
    pinned = origin.of(ModelConfig(id="nobody/tiny", revision=COMMITS[0]))
    assert pinned == found[0]
    with pytest.raises(TactError, match=r"model.id \(commit\).*model.revision=COMMIT"):
        origin.same(found[0], found[1], run="x", since="run=x")
    with pytest.raises(TactError, match="model.id=nobody/else: it can't be loaded"):
        origin.of(ModelConfig(id="nobody/else"))


def test_a_hub_id_without_a_commit_is_told(folder: Path) -> None:
    loose = ModelConfig(id="nobody/tiny", revision="main")
    assert "model.id=nobody/tiny may be another model" in str(origin.unpinned(loose))
    assert "nobody/tiny" in str(origin.unpinned(ModelConfig(id="nobody/tiny", revision="a" * 39)))
    assert origin.unpinned(ModelConfig(id="nobody/tiny", revision="a" * 40)) is None
    assert origin.unpinned(ModelConfig(id=str(folder))) is None
    parts = ModelConfig(parts={"language": "nobody/words", "tower": {"model_type": "x"}})
    assert "model.parts.language=nobody/words" in str(origin.unpinned(parts))
    assert origin.unpinned(ModelConfig()) is None
