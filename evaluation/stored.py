"""The reports that a run folder holds, each of the run's own weights."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conf import compose
from conf.schema import Config
from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder, StageState

VERSION = 2


def folder(run: RunFolder, stages: Sequence[StageState]) -> Path:
    """Where the report after these stages lies."""
    return run.path / "report" / f"{len(stages)}-{stages[-1].stage}"


def key(config: Config, stages: Sequence[StageState]) -> str:
    """What a report depends on: weights and config."""
    digest = hashlib.sha256(compose.fingerprint(config).encode())
    for state in stages:
        digest.update(str(state.weights_sha256).encode())
    return digest.hexdigest()[:24]


def paths(run: RunFolder) -> list[Path]:
    """Every ``report.json`` of the run, in the order they were made."""
    return sorted((run.path / "report").glob("*/report.json"), key=_number)


def load(run: RunFolder) -> list[dict[str, Any]]:
    """All reports of the run, in the order they were made.

    Raises TactError where there is none, and where one was made of other weights than the run's.
    """
    found = paths(run)
    if not found:
        raise TactError(
            f"run={run.name}: it has no report; make one: python -m evaluation run={run.name}"
        )
    own = run.finished_stages()
    made = [files.read_json(path) for path in found]
    for path, report in zip(found, made, strict=True):
        if not fits(report, own):
            raise TactError(
                f"run={run.name}: report/{path.parent.name} is of other weights than the run's; "
                f"remove that folder and measure again: python -m evaluation run={run.name}"
            )
    return made


def fits(report: Mapping[str, Any], stages: Sequence[StageState]) -> bool:
    """Whether the report is of the weights that a run has after one of these stages."""
    hashes = report["weights_sha256"]
    then = stages[: len(hashes)]
    same = [state.weights_sha256 for state in then] == hashes
    return bool(then) and same and then[-1].stage == report["stage"]


def _number(path: Path) -> tuple[int, str]:
    number = path.parent.name.partition("-")[0]
    return int(number) if number.isdigit() else 0, path.parent.name
