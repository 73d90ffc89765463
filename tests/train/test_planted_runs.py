"""Bugs that only a run has, each planted in one and caught by the tests of private stages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import module

from lineage.errors import TactError
from lineage.run import Manifest, RunFolder
from privacy import keys
from privacy.clipping import PerUnit

pytestmark = pytest.mark.system


HERE = Path(__file__).parent
TESTS = module(HERE / "test_private.py")
stage = TESTS.stage  # the fixture


def test_adversary_unclipped_is_caught(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PerUnit.__init__

    def init(self: PerUnit, model: Any, names: Any) -> None:
        real(self, model, {n: p for n, p in names.items() if "adversary" not in n})

    monkeypatch.setattr(PerUnit, "__init__", init)
    with pytest.raises((AssertionError, TactError), match="adversary"):
        TESTS.test_all_that_trains_is_clipped(stage)


def test_key_in_manifest_is_caught(
    short: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RunFolder.write

    def write(self: RunFolder, manifest: Manifest) -> None:
        key = self.private / keys.NAME
        if key.exists():
            manifest.packages["seed"] = key.read_bytes().hex()
        real(self, manifest)

    monkeypatch.setattr(RunFolder, "write", write)
    with pytest.raises(AssertionError, match="manifest.json"):
        TESTS.test_a_private_stage_from_ledger_to_forgotten_key(short, tmp_path, monkeypatch)
