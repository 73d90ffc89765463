"""``python -m privacy plan``: what a config would cost, with nothing loaded."""

import json
import subprocess
import sys

SEEN = """
import json, sys
from privacy.__main__ import main
made = main(sys.argv[1:])
print(json.dumps({"made": made, "loaded": sorted(sys.modules)}))
"""
STEPS = ["stage.instruct.steps=5", "stage.prefer.steps=3"]
WORDS = ["plan", "experiment=portraits_dp", *STEPS, "json=true"]


def test_it_loads_no_model_and_no_data() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEEN, *WORDS], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    heavy = {"torch", "transformers", "datasets", "pytorch_lightning", "opacus", "peft"}
    assert not heavy & set(found["loaded"])
    made = found["made"]
    assert [row["stage"] for row in made["stages"]] == ["instruct", "prefer"]
    assert made["stages"][-1]["epsilon_so_far"] <= 8.0 and made["noise_multiplier"] > 0
    assert (made["unit"], made["delta"], made["relation"]) == (
        "subject", 1e-5, "add or remove one unit")  # fmt: skip
    assert any("pretrained" in line for line in made["not_accounted"])
