"""USER-VLM 360's recipe and ours beside it, on sets in their own layout and a tiny PaliGemma 2."""

import json
from pathlib import Path

import family_line
import published
import pytest

from conf.compose import load
from lineage.run import RunFolder
from train.run import execute

pytestmark = pytest.mark.system
PEOPLE = tuple(range(1, 17))


def sets(folder: Path) -> Path:
    several = [f"say {i}" for i in PEOPLE]
    published.parquet(folder / "pt", seeds=PEOPLE, text=several)
    published.parquet(folder / "instruct", seeds=PEOPLE, question=several, answer=several)
    published.parquet(folder / "dpo", seeds=PEOPLE, prompt=several, chosen=several,
                      rejected=["no"] * 16, category=["sexist"] * 16)  # fmt: skip
    return folder


@pytest.mark.parametrize("name", ["user_vlm_360", "user_vlm_ours"])
def test_a_recipe_trains_its_epochs_and_exports(tmp_path: Path, name: str) -> None:
    config = load([
        f"experiment={name}", "run=own", f"data.source.path={sets(tmp_path / 'sets')}",
        f"model.id={family_line.save('paligemma2', tmp_path / 'model')}", "model.revision=null",
        "model.attention=eager", "model.dtype=float32", "trainer.accelerator=cpu",
        "trainer.precision=32-true", "trainer.progress=false", "trainer.threads=1",
        "data.people={private: 12, validation: 2, test: 2, attack: 0}",
        *[f"stage.{stage}.batch_size_rows=4" for stage in ("align", "instruct", "prefer")],
        f"cache={tmp_path / 'cache'}", f"checkpoints={tmp_path}",
    ])  # fmt: skip
    with family_line.settings_kept():
        execute(config)
    run = RunFolder.existing("own", checkpoints=tmp_path)
    stages = {state.stage: state for state in run.finished_stages()}
    assert {s: state.steps for s, state in stages.items()} == {
        "align": 3,
        "instruct": 6,
        "prefer": 3,
    }
    assert (stages["align"].trains, stages["prefer"].trains) == (["interface"], ["lora"])
    stated = json.loads((run.path / "export" / "privacy.json").read_text())
    (terms,) = stated["data"]["terms"]
    assert "USER-VLM" in terms["name"] and terms["stages"] == ["align", "instruct", "prefer"]
