"""Exports loaded by transformers, outside the repository and where Tact is not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import elsewhere
import pytest
import torch

from conf import compose
from data.encode import prompt_text
from data.pictures import listed
from data.policy import policy
from export.run import export
from lineage.errors import TactError
from lineage.run import RunFolder
from models import configured
from models.features import picture_features

QUESTION = [
    {"role": "system", "content": "nothing shared by the user."},
    {"role": "user", "content": "what colour is my hair?"},
]
OPEN = """
import sys, json, torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
folder, picture, out = sys.argv[1:4]
model = AutoModelForImageTextToText.from_pretrained(folder + "/model").eval()
processor = AutoProcessor.from_pretrained(folder + "/model")
turns = json.loads(sys.argv[4])
turns = [{"role": t["role"], "content": ([{"type": "image"}] if t["role"] == "user" else [])
          + [{"type": "text", "text": t["content"]}]} for t in turns]
text = processor.apply_chat_template(turns, add_generation_prompt=True)
inputs = processor(text=text, images=Image.open(picture).convert("RGB"), return_tensors="pt",
                   add_special_tokens=False)
with torch.no_grad():
    torch.save({"logits": model(**inputs).logits[0, -1], "ids": inputs["input_ids"]}, out)
"""
PRIVATE = """
import sys, json, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForCausalLM, AutoTokenizer
folder, picture, out = sys.argv[1:4]
device = AutoModel.from_pretrained(folder + "/device", trust_remote_code=True).eval()
processor = AutoImageProcessor.from_pretrained(folder + "/device")
pixels = processor(Image.open(picture).convert("RGB"), return_tensors="pt")["pixel_values"]
sent = device.encode(pixels)
words = device.words(pixels)[0]
tokenizer = AutoTokenizer.from_pretrained(folder + "/server")
server = AutoModelForCausalLM.from_pretrained(folder + "/server").eval()
turns = json.loads(sys.argv[4])
turns[1]["content"] = words + turns[1]["content"]
inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt",
                                       return_dict=True)
with torch.no_grad():
    torch.save({"logits": server(**inputs).logits[0, -1], "ids": inputs["input_ids"],
                "sent": sent, "read": list(device.read(pixels)[0])}, out)
"""


def loaded(script: str, export: Path, picture: str, folder: Path) -> dict[str, Any]:
    """What ``script`` finds where Tact is not."""
    out = folder / "out.pt"
    elsewhere.run(script, export, picture, out, json.dumps(QUESTION), folder=folder)
    found: dict[str, Any] = torch.load(out)
    return found


def trained(folder: Path) -> Any:
    run = RunFolder(folder)
    config = compose.from_yaml(folder / "config.yaml")
    model = configured.model(config.model, policy(config.policy), seed=config.seed)
    return configured.after(model, config.model, run, run.finished_stages()).eval()


def logits(model: Any, picture: dict[str, Any]) -> torch.Tensor:
    """The training model's logits for the next token after the question."""
    encoder = model.parts.encoder
    row = {"prompt": QUESTION, "images": [picture["image"]]}
    ids = torch.tensor(encoder.encode([prompt_text(row, encoder)]))
    with torch.no_grad():
        embeds = model.tokens(picture_features(model, [picture["image"]])).embeds
        hidden = model.hidden(ids, torch.zeros_like(ids), embeds)
        result: torch.Tensor = model.head(hidden[0, -1])
    return result


def test_open_export_gives_the_training_models_logits(
    finished: Callable[[str], Path], pictures: Any, tmp_path: Path
) -> None:
    folder = finished("open")
    picture = listed(pictures)[0]
    found = loaded(OPEN, folder / "export", picture["image"]["path"], tmp_path)
    assert torch.allclose(found["logits"], logits(trained(folder), picture), atol=1e-5)


def test_private_halves_give_the_training_models_logits(
    finished: Callable[[str], Path], pictures: Any, tmp_path: Path
) -> None:
    folder = finished("private")
    model = trained(folder)
    for picture in listed(pictures)[:2]:
        found = loaded(PRIVATE, folder / "export", picture["image"]["path"], tmp_path)
        expected = logits(model, picture)
        assert torch.allclose(found["logits"][: len(expected)], expected, atol=1e-5)
        assert set(found["read"]) == set(policy_of(folder).readable)


def test_a_picture_leaves_as_k_words_and_nothing_else(
    finished: Callable[[str], Path], pictures: Any, tmp_path: Path
) -> None:
    folder = finished("private")
    config = compose.from_yaml(folder / "config.yaml").model.interface
    picture = listed(pictures)[0]["image"]["path"]
    found = loaded(PRIVATE, folder / "export", picture, tmp_path)
    sent = found["sent"]
    assert sent.dtype == torch.int64 and sent.shape == (1, config.tokens)
    words = json.loads((folder / "export/server/tokenizer.json").read_text())["added_tokens"]
    codes = [w for w in words if w["content"].startswith("<pic")]
    assert len(codes) == config.tokens * 2 ** (config.bits // config.tokens)
    server = json.loads((folder / "export/server/config.json").read_text())
    assert server["architectures"] == ["LlamaForCausalLM"] and "vision_config" not in server


def test_the_card_holds_each_figure_once_and_no_control(finished: Callable[[str], Path]) -> None:
    attacks = json.loads((finished("private") / "export/privacy.json").read_text())["attacks"]
    keys = [(m["suite"], m["name"], m["group"]) for m in attacks]
    assert len(keys) == len(set(keys)) and ("interface", "attacker_auc", "gender") in keys
    assert not any(suite.startswith(("control", "strength", "curve")) for suite, _, _ in keys)


def test_a_report_of_other_weights_is_not_exported(
    finished: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(finished("private"), tmp_path / "private")
    path = tmp_path / "private" / "report" / "5-prefer" / "report.json"
    report = json.loads(path.read_text())
    report["weights_sha256"][-1] = "0" * 64
    path.write_text(json.dumps(report))
    with pytest.raises(TactError, match="report is of other weights"):
        export(RunFolder(tmp_path / "private"))


def policy_of(folder: Path) -> Any:
    return policy(compose.from_yaml(folder / "config.yaml").policy)


@pytest.mark.parametrize("kind", ["open", "private"])
def test_the_cards_usage_runs(
    finished: Callable[[str], Path], pictures: Any, tmp_path: Path, kind: str
) -> None:
    export = finished(kind) / "export"
    card = (export / "README.md").read_text()
    usage = card.split("```python\n")[1].split("```")[0]
    assert len(usage.splitlines()) <= 10
    for part in export.iterdir():
        (tmp_path / part.name).symlink_to(part)
    (tmp_path / "me.png").symlink_to(listed(pictures)[0]["image"]["path"])
    elsewhere.run(usage, folder=tmp_path)


def test_nothing_of_this_machine_is_in_an_export(finished: Callable[[str], Path]) -> None:
    for kind in ("open", "private"):
        folder = finished(kind) / "export"
        assert not list(folder.rglob("*.bin")) and not list(folder.rglob("*.pt"))
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix not in (".safetensors", ".png"):
                text = path.read_text()
                assert str(folder.parents[1]) not in text and str(Path.home()) + "/" not in text
        stated = json.loads((folder / "privacy.json").read_text())
        assert stated["differential_privacy"]["epsilon"] is None
        assert [each["name"] for each in stated["data"]["terms"]] == ["rendered people"]


def test_a_run_that_never_finished_is_not_exported(
    short: Callable[..., list[str]], tmp_path: Path
) -> None:
    run = RunFolder.open("begun", checkpoints=tmp_path)
    run.keep_config(compose.to_yaml(compose.load(short("run=begun"))))
    run.write(run.read())
    done = subprocess.run(
        [sys.executable, "-m", "export", "run=begun", f"checkpoints={tmp_path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "never finished" in done.stderr and "Traceback" not in done.stderr
