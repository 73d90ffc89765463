"""Published sets in their own layout, made tiny, with real JPEGs and PNGs."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pillow

FAIRFACE = ("file", "age", "gender", "race", "service_test")
CELEBA = (
    "Black_Hair", "Blond_Hair", "Brown_Hair", "Eyeglasses", "Gray_Hair", "Male", "No_Beard",
    "Smiling", "Wearing_Lipstick", "Young",
)  # fmt: skip
SAID = [
    {"from": "human", "value": "What is it?\n<image>"},
    {"from": "gpt", "value": "A square."},
    {"from": "human", "value": "Of one colour?"},
    {"from": "gpt", "value": "Of many."},
]


def picture(path: Path, seed: int) -> Path:
    """A small picture of noise at ``path``, its own for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path)
    return path


def fairface(folder: Path, *, more: int = 0) -> Path:
    """``fairface_label_train.csv`` beside ``train/``: four people, one a child, and ``more``."""
    labels = (("50-59", "Male"), ("20-29", "Female"), ("3-9", "Female"), ("more than 70", "Male"))
    labels += (("30-39", "Female"),) * more
    folder.mkdir(exist_ok=True)
    with (folder / "fairface_label_train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(FAIRFACE)
        for i, (age, gender) in enumerate(labels, start=1):
            picture(folder / "train" / f"{i}.jpg", i)
            table.writerow((f"train/{i}.jpg", age, gender, "White", "True"))
    return folder


def utkface(folder: Path) -> Path:
    """Names as both the cropped and the wild pictures have them."""
    names = ["26_1_0_20170116231512359.jpg.chip.jpg", "61_0_2_20170116174525125.jpg",
             "9_1_4_20161219211452533.jpg.chip.jpg"]  # fmt: skip
    for i, name in enumerate(names):
        picture(folder / "part1" / name, i)
    return folder


def celeba(folder: Path) -> Path:
    """``Img/`` and ``Anno/``: three pictures of two people."""
    said = [{"Male", "Black_Hair", "Young"}, {"Brown_Hair", "Blond_Hair", "Wearing_Lipstick",
            "No_Beard"}, {"Male", "Eyeglasses", "Gray_Hair", "No_Beard"}]  # fmt: skip
    lines = [str(len(said)), " ".join(CELEBA)]
    for i, own in enumerate(said, start=1):
        picture(folder / "Img" / "img_align_celeba" / f"{i:06d}.jpg", i)
        values = " ".join(f"{1 if name in own else -1:2d}" for name in CELEBA)
        lines.append(f"{i:06d}.jpg {values}")
    (folder / "Anno").mkdir()
    (folder / "Anno" / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    people = "000001.jpg 2880\n000002.jpg 2937\n000003.jpg 2880\n"
    (folder / "Anno" / "identity_CelebA.txt").write_text(people)
    return folder


def llava(folder: Path, table: str, *, rows: int = 3) -> Path:
    """A JSON list and ``images/``; the last row is of text alone."""
    made: list[dict[str, Any]] = []
    for i in range(rows - 1):
        picture(folder / "images" / "00453" / f"{i:09d}.jpg", i)
        made.append({"id": f"{i:09d}", "image": f"00453/{i:09d}.jpg", "conversations": SAID})
    made.append({"id": "text", "conversations": SAID[2:]})
    (folder / table).write_text(json.dumps(made, indent=1))
    return folder


def parquet(folder: Path, *, seeds: tuple[int, ...], **columns: list[str]) -> Path:
    """``data/train-00000-of-00001.parquet`` with pictures inside, as the Hub keeps them."""
    pictures = []
    for seed in seeds:
        png = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
        Pillow.fromarray(pixels).save(png, "PNG")
        pictures.append({"bytes": png.getvalue(), "path": f"{seed}.png"})
    features = Features({"image": Image(), **{name: Value("string") for name in columns}})
    (folder / "data").mkdir(parents=True)
    table = Dataset.from_dict({"image": pictures, **columns}, features=features)
    table.to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return folder
