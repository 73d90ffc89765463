"""A model is saved without a word on standard output, where ``json=true`` prints its object."""

import subprocess
import sys
from pathlib import Path

from lineage.place import CHECKOUT

SAVES = """
import logging, sys
from pathlib import Path
from export.saving import save
from models.tiny import llava
save(llava()[0], Path(sys.argv[1]))
assert "deepspeed" in sys.modules
logging.getLogger("DeepSpeed").warning("something else")
logging.getLogger("DeepSpeed").warning("Setting accelerator to CPU")
"""


def test_deepspeeds_line_on_a_missing_gpu_is_left_out_and_no_other(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAVES, str(tmp_path)],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (tmp_path / "model.safetensors").stat().st_size > 1e6
    said = done.stdout.splitlines()
    assert [line.rsplit("] ")[-1] for line in said] == [
        "something else", "Setting accelerator to CPU",
    ]  # fmt: skip
