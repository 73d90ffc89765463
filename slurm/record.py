"""What is written of jobs into a run folder's ``slurm/``: which there are, and how each ended."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lineage import files
from lineage.door import told
from lineage.errors import TactError
from lineage.run import RunFolder, now
from slurm.code import Revision

RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped", "failed"
MOST_IDLE = 5  # restarts in a row that find a run where it was


@dataclass(frozen=True)
class Job:
    """One step of the run's list as a job."""

    number: int  # of the step, from 1
    step: str
    id: str

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.number}-{self.step}"


@dataclass
class Chain:
    """All jobs of one submit."""

    site: str
    submitted: str
    code: Revision
    jobs: list[Job] = field(default_factory=list)


def folder(run: RunFolder) -> Path:
    """Where it all lies."""
    return run.path / "slurm"


def write(run: RunFolder, chain: Chain) -> None:
    """Put the chain in place, whole."""
    files.write_json(folder(run) / "jobs.json", asdict(chain))


def read(run: RunFolder) -> Chain | None:
    """The last chain that was submitted; None where none was."""
    path = folder(run) / "jobs.json"
    if not path.exists():
        return None
    raw = files.read_json(path)
    jobs = [Job(**job) for job in raw.pop("jobs")]
    return Chain(**{**raw, "code": Revision(**raw["code"])}, jobs=jobs)


def state(run: RunFolder, job: Job) -> dict[str, Any] | None:
    """What the job last wrote of itself; None where it has not begun."""
    path = folder(run) / f"{job.name}.json"
    return files.read_json(path) if path.exists() else None  # type: ignore[no-any-return]


def node() -> str:
    """What Slurm calls the machine that this runs on."""
    return os.environ.get("SLURMD_NODENAME", "this machine")


@contextmanager
def noted(path: Path, *, reached: str, **known: Any) -> Iterator[dict[str, Any]]:
    """Write that a job runs, and how it ended: done, stopped by a signal, or failed and why.

    What is put into the mapping that it gives is written when the job ends. ``reached`` says how
    far the run is; TactError once so many restarts have found it there, or it would go on forever.
    """
    before = files.read_json(path) if path.exists() else {}
    restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    idle = before.get("idle", 0) + 1 if restarts and before.get("reached") == reached else 0
    note = {
        **known, "process": os.getpid(), "state": RUNNING, "began": now(), "restarts": restarts,
        "reached": reached, "idle": idle,
    }  # fmt: skip
    files.write_json(path, note)
    try:
        if idle >= MOST_IDLE:
            raise TactError(
                f"requeued {idle} times and no further than before: give jobs more time "
                "(site.time), and trainer.checkpoint_every_steps fewer steps"
            )
        yield note
    except BaseException as error:
        ended = STOPPED if getattr(error, "status", None) == os.EX_TEMPFAIL else FAILED
        said = told(error) or f"{type(error).__name__}: {error}".rstrip(": ")
        files.write_json(path, {**note, "state": ended, "ended": now(), "error": said})
        raise
    files.write_json(path, {**note, "state": DONE, "ended": now()})
