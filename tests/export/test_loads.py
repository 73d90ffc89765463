"""Exports of three families where Tact is not: by transformers, by peft, by its pipeline."""

import json
from pathlib import Path
from typing import Any

import elsewhere
import family_line
import pytest
import tiny_families
import torch
from family_rows import QUESTION, logits, own_inputs, pictures_of

from conf import compose
from conf.compose import load
from data.encode import prompt_text
from data.policy import policy
from export.run import export
from lineage.run import RunFolder
from models import configured
from train.run import execute

pytestmark = pytest.mark.system
BASE = "somebody/the-same-weights"
ASKED = [
    {"role": "system", "content": "nothing shared by the user."},
    {"role": "user", "content": "what colour is my hair?"},
]
STEPS = ("align", "instruct", "prefer")
LOADED = """
import sys, json, torch
from PIL import Image
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline
export, adapter, base, picture, given, out = sys.argv[1:7]
inputs = torch.load(given)
merged = AutoModelForImageTextToText.from_pretrained(export + "/model").eval()
laid = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), adapter).eval()
processor = AutoProcessor.from_pretrained(export + "/model")
turns = [{"role": "user", "content": [{"type": "image", "image": Image.open(picture)},
                                      {"type": "text", "text": sys.argv[7]}]}]
pipe = pipeline("image-text-to-text", model=export + "/model", processor=processor)
how = {"max_new_tokens": 4, "return_full_text": False, "do_sample": False}
image = Image.open(picture)
if processor.chat_template:
    said = pipe(text=turns, **how)
    prompt = processor.apply_chat_template(turns, add_generation_prompt=True)
    own = processor(text=prompt, images=[image], return_tensors="pt", add_special_tokens=False)
else:  # PaliGemma has none: it is given text and picture
    prompt = "<image>" + sys.argv[7]
    said = pipe(text=prompt, images=image, **how)
    own = processor(text=prompt, images=[image], return_tensors="pt")
with torch.no_grad():
    told = merged.generate(**own, max_new_tokens=4, do_sample=False)[0, own["input_ids"].shape[1]:]
    torch.save({"merged": merged(**inputs).logits[0], "adapter": laid(**inputs).logits[0],
                "pipeline": said[0]["generated_text"],
                "generated": processor.decode(told, skip_special_tokens=True)}, out)
"""


@pytest.mark.parametrize("name", ["llava", "paligemma2", "idefics3"])
def test_an_export_loads_without_tact(
    cache: Path, pictures: Any, tmp_path: Path, name: str
) -> None:
    words = family_line.words(name, "open", folder=tmp_path, cache=cache, steps=STEPS)
    config = load([*words, f"export.base={BASE}"])
    with family_line.settings_kept():
        execute(config)
    run = RunFolder.existing(config.run, checkpoints=tmp_path)
    adapter = Path(export(run, wanted={"form": "adapter"})["export"]).rename(tmp_path / "laid")
    export(run)
    found = without_tact(run, adapter / "adapter", tmp_path / name, tmp_path)
    expected = own_logits(run)
    assert expected.std() > 0.1
    assert torch.allclose(found["merged"], expected, atol=1e-4)
    assert torch.allclose(found["adapter"], expected, atol=1e-4)
    assert found["pipeline"].strip() == found["generated"].strip()
    named = json.loads((adapter / "adapter" / "adapter_config.json").read_text())
    assert named["base_model_name_or_path"] == BASE and named["r"] == 2 * config.model.lora.rank
    card = (adapter / "README.md").read_text()
    assert BASE in card and "nothing checked it" in card
    for folder in (run.path / "export", adapter):
        usage_reads_what_training_wrote(run, folder, tmp_path / name, tmp_path)


def finished(run: RunFolder) -> Any:
    config = compose.from_yaml(run.path / "config.yaml")
    return configured.finished(config, run, policy(config.policy))


def usage_reads_what_training_wrote(run: RunFolder, export: Path, base: Path, at: Path) -> None:
    """The card's lines run, and give the model the words that it was trained on."""
    usage = (export / "README.md").read_text().split("```python\n")[1].split("```")[0]
    assert len(usage.splitlines()) <= 10
    for part in ("model", "adapter"):
        (at / part).unlink(missing_ok=True)
        (at / part).symlink_to(export / part)
    read = 'import sys, torch\ntorch.save(inputs["input_ids"][0].tolist(), sys.argv[1])'
    elsewhere.run(usage.replace(BASE, str(base)) + read, at / "ids.pt", folder=at)
    encoder = finished(run).parts.encoder
    row = {"prompt": ASKED, "images": ["me.png"]}
    assert torch.load(at / "ids.pt") == encoder.encode([prompt_text(row, encoder)])[0]


def inputs(run: RunFolder, model: Any) -> dict[str, Any]:
    name = run.name.removesuffix("-open")
    given: dict[str, Any] = own_inputs(
        model, tiny_families.make(name)[1], pictures_of(model, count=1)
    )
    return given


def own_logits(run: RunFolder) -> torch.Tensor:
    """Those of the model as it was trained."""
    model = finished(run)
    ids = inputs(run, model)["input_ids"][0].tolist()
    pixels = model.parts.encoder.pixels(pictures_of(model, count=1))
    return logits(model, ids, pixels)


def without_tact(run: RunFolder, adapter: Path, base: Path, folder: Path) -> dict[str, Any]:
    model = finished(run)
    pictures_of(model, count=1)[0].save(folder / "me.png")
    torch.save(dict(inputs(run, model)), folder / "inputs.pt")
    words = [run.path / "export", adapter, base, folder / "me.png", folder / "inputs.pt"]
    elsewhere.run(LOADED, *words, folder / "out.pt", QUESTION, folder=folder)
    loaded: dict[str, Any] = torch.load(folder / "out.pt")
    return loaded
