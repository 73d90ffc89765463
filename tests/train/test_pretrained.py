"""A stage alone on a pretrained model, by folder, without a parent."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "references", [pytest.param("adapter_off", marks=pytest.mark.system), "cached"]
)
def test_prefer_alone_on_a_model_by_folder(
    short: Callable[..., list[str]],
    finished: Callable[[str], Path],
    pictures: Any,
    cache: Path,
    tmp_path: Path,
    references: str,
) -> None:
    words = short(
        f"run={references}",
        "model=pretrained",
        f"model.id={finished('open') / 'export' / 'model'}",
        "stages=[prefer]",
        "stage.prefer.steps=3",
        f"stage.prefer.references={references}",
    )

    def there() -> set[Path]:
        return set((cache / "references").glob("*.safetensors"))

    before = there()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-m", "train", *words], cwd=ROOT, env=environment, check=True)
    folder = tmp_path / references
    assert (folder / "stages" / "1-prefer" / "model.safetensors").exists()
    assert not [p for p in folder.rglob("*") if "references" in p.name]
    assert bool(there() - before) == (references == "cached")
