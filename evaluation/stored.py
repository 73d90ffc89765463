"""The reports that a run folder holds, each of the run's own weights."""

import hashlib
from collections.abc import Sequence
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
    own = [(s.stage, s.weights_sha256) for s in run.finished_stages()]
    made = [files.read_json(path) for path in found]
    for path, report in zip(found, made, strict=True):
        _check(run, path, report, own)
    return made


def _check(
    run: RunFolder, path: Path, report: dict[str, Any], own: list[tuple[str, str | None]]
) -> None:
    hashes = report["weights_sha256"]
    then = own[: len(hashes)]
    if not then or [digest for _, digest in then] != hashes or then[-1][0] != report["stage"]:
        raise TactError(
            f"run={run.name}: report/{path.parent.name} is of other weights than the run's; "
            f"remove that folder and measure again: python -m evaluation run={run.name}"
        )


def _number(path: Path) -> tuple[int, str]:
    number = path.parent.name.partition("-")[0]
    return int(number) if number.isdigit() else 0, path.parent.name
