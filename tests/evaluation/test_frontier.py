"""The picture of the bit budget: drawn from the result alone, the same bytes each time."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evaluation import claim_file, frontier
from evaluation.claim_figures import figure
from lineage.errors import TactError


def record(suite: str, name: str, group: str, value: float) -> dict[str, Any]:
    chosen = "validation" if name == "attacker_auc" else None
    return {"suite": suite, "name": name, "group": group, "value": value, "low": value - 0.01,
            "high": value + 0.01, "n": 2000, "unit": "person", "attacker": None,
            "chosen_on": chosen, "note": ""}  # fmt: skip


def result(folder: Path, seeds: list[int]) -> Path:
    """A result of the shipped claim, made of invented records of each of its runs."""
    claim = claim_file.load("bits")
    reports: dict[str, Any] = {}
    for number, run in enumerate(claim.runs):
        measures = [record("interface", "fact_accuracy", g, 0.98)
                    for g in ("glasses", "hair", "top", "place")]  # fmt: skip
        for group in ("gender", "age", "skin", "expression"):
            measures.append(record("interface", "attacker_auc", group, 0.5 + number * 0.02))
            measures.append(record("interface", "attacker_floor", group, 0.51))
        measures.append(record("codes", "code_entropy", "", 3.25 + number))
        reports[run] = {s: {"align": {"run": run, "measures": measures}} for s in seeds}
    path = folder / "bits.json"
    figures = [figure(asked, reports, seeds) for asked in claim.figures]
    path.write_text(json.dumps({"figures": figures}))
    return path


@pytest.mark.parametrize("seeds", [[0], [0, 1], [0, 1, 2]])
def test_the_picture_shows_every_budget_and_attribute(tmp_path: Path, seeds: list[int]) -> None:
    path = result(tmp_path, seeds)
    picture = frontier.draw(path)
    first = picture.read_bytes()
    assert frontier.draw(path).read_bytes() == first
    text = first.decode()
    assert "<dc:date>" not in text and str(tmp_path) not in text
    words = re.findall(r"<text[^>]*>([^<]+)</text>", text)
    for word in ("8", "256", "open", "gender", "skin tone", "floor", "chance", "without it"):
        assert word in words
    bars = "the two seeds" if len(seeds) == 2 else "95 % intervals"
    assert any(word.endswith(f"bars: {bars}") for word in words)
    assert "4.2" in words  # the entropy of the first budget's codes
    widths = [float(each) for each in re.findall(r'<svg[^>]* width="([\d.]+)pt"', text)]
    assert widths and widths[0] < 600


def test_a_result_without_budgets_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bits.json"
    path.write_text(json.dumps({"figures": [{"minus": None, "at": {}}]}))
    with pytest.raises(TactError, match="bits.json: no figure of it has bits and adversary"):
        frontier.draw(path)
