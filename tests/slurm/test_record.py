"""What a job writes of itself, and that none is requeued forever."""

from pathlib import Path
from typing import Any

import pytest

from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder
from slurm import record
from slurm.job import reached
from slurm.record import MOST_IDLE


def start(path: Path, restarts: int, at: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A start of a job that is then taken away without a word; what it had noted."""
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    with record.noted(path, reached=at):
        noted = files.read_json(path)
    files.write_json(path, noted)
    return noted


def test_a_job_that_gets_nowhere_is_not_requeued_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "job.json"
    for restarts in range(MOST_IDLE):
        assert start(path, restarts, "step 4", monkeypatch)["idle"] == restarts
    assert start(path, MOST_IDLE, "step 8", monkeypatch)["idle"] == 0
    for restarts in range(1, MOST_IDLE):
        start(path, MOST_IDLE + restarts, "step 8", monkeypatch)
    with pytest.raises(TactError, match=r"requeued 5 times.*site.time"):
        start(path, 2 * MOST_IDLE, "step 8", monkeypatch)
    assert files.read_json(path)["state"] == record.FAILED
    start(path, 0, "step 8", monkeypatch)  # submitted anew, by someone who has changed something


def test_how_far_a_run_is_changes_with_a_stage_and_a_part_of_a_report(
    tmp_path: Path,
) -> None:
    run = RunFolder(tmp_path / "new")
    found = [reached(run)]
    run = RunFolder.open("new", checkpoints=tmp_path)
    run.begin("instruct", trains=["lora"], steps=3)
    found.append(reached(run))
    part = run.path / "report" / "1-instruct" / "parts" / "text.json"
    part.parent.mkdir(parents=True)
    part.write_text("{}")
    found.append(reached(run))
    assert len(set(found)) == 3
