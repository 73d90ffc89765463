"""``python -m slurm sweep``: many runs as one array of jobs, or on this machine's cores.

A sweep lies in ``checkpoints/sweeps/<name>/``, its runs beside all others. Whatever becomes of the
jobs, ``resume`` runs what is missing and nothing twice.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder, named
from slurm import client, code, limits, local, manifest, record, script
from slurm.manifest import Manifest, Point

WAITS, MISSING = "waits", "missing"


@dataclass(frozen=True)
class Sweep:
    """A sweep that was begun."""

    folder: Path
    manifest: Manifest

    @classmethod
    def existing(cls, name: str, checkpoints: Path) -> "Sweep":
        """The sweep of that name. Raises TactError."""
        folder = checkpoints / "sweeps" / name
        return cls(folder, manifest.read(folder / "manifest.json"))

    @property
    def checkpoints(self) -> Path:
        """Where its runs lie."""
        return self.folder.parents[1]

    @property
    def on_slurm(self) -> bool:
        """Whether its points are jobs."""
        return self.manifest.site.scheduler == "slurm"

    def note(self, point: Point) -> Path:
        """What a point writes of itself."""
        return self.folder / "points" / f"{point.number:04d}.json"

    def log(self, number: str) -> Path:
        """What a point prints."""
        return self.folder / "points" / f"{number}.log"

    def arrays(self) -> list[str]:
        """The jobs that were submitted for it, one a submit."""
        path = self.folder / "jobs.json"
        return list(files.read_json(path)) if path.exists() else []

    def states(self) -> dict[int, dict[str, Any]]:
        """Number → how far that point is: a state, and what it wrote."""
        queued = self._queued()
        found = {}
        for point in self.manifest.points:
            path = self.note(point)
            note = files.read_json(path) if path.exists() else {}
            state = note.get("state", MISSING)
            if state != record.DONE and point.number in queued:
                state = WAITS if queued[point.number] == "PENDING" else record.RUNNING
            elif state == record.RUNNING and (self.on_slurm or not files.alive(note["process"])):
                state, note = record.FAILED, {**note, "error": "it ended without a word"}
            found[point.number] = {**note, "state": state}
        return found

    def live(self) -> list[int]:
        """The points that wait or run as jobs."""
        return sorted(self._queued())

    def _queued(self) -> dict[int, str]:
        """Number → state in the queue."""
        arrays = self.arrays()
        if not arrays:
            return {}
        split = [(*job.id.partition("_")[::2], job.state) for job in client.queue().values()]
        return {int(task): state for array, task, state in split if array in arrays and task}


def begin(made: Manifest, *, checkpoints: Path, dirty: bool) -> dict[str, Any]:
    """Write the manifest and run its points. Raises TactError; then nothing was begun."""
    named(made.name, checkpoints)
    sweep = Sweep(checkpoints / "sweeps" / made.name, made)
    _check_new(sweep)
    found = code.revision(dirty=dirty)
    manifest.check(made, checkpoints=checkpoints)
    tightest = made.config(made.tightest, checkpoints=checkpoints)
    if sweep.on_slurm:
        limits.check(tightest)
        _check_array(made)
    limits.check_budget(tightest)
    (sweep.folder / "points").mkdir(parents=True, exist_ok=True)
    with RunFolder(sweep.folder).lock():
        _check_new(sweep)  # another command may have been faster
        code.keep(sweep.folder, found)
        manifest.write(sweep.folder / "manifest.json", made)
        try:
            return _run_missing(sweep)
        finally:
            if sweep.on_slurm and not sweep.arrays():  # Slurm refused it
                shutil.rmtree(sweep.folder)


def resume(sweep: Sweep) -> dict[str, Any]:
    """Run the points that are not done and not in the queue; on this machine until they end."""
    with RunFolder(sweep.folder).lock():
        return _run_missing(sweep)


def _run_missing(sweep: Sweep) -> dict[str, Any]:
    states = sweep.states()
    again = (WAITS, record.RUNNING) if sweep.on_slurm else ()
    todo = [p for p in sweep.manifest.points
            if states[p.number]["state"] not in (record.DONE, *again)]  # fmt: skip
    if not sweep.on_slurm:
        local.run(sweep.manifest, todo, folder=sweep.folder)
        return _all_done(sweep)
    if todo:
        job = client.submit(_script(sweep, todo), held=True)
        files.write_json(sweep.folder / "jobs.json", [*sweep.arrays(), job])
        client.release(job)
    return {"sweep": sweep.manifest.name, "submitted": len(todo)}


def cancel(sweep: Sweep) -> dict[str, Any]:
    """Take the sweep's points out of the queue and end those that run; what is saved stays."""
    live = sweep.live()
    if live:
        client.cancel(sweep.arrays())
    return {"sweep": sweep.manifest.name, "cancelled": len(live)}


def summary(sweep: Sweep) -> dict[str, Any]:
    """How many points are in which state, why some failed, ε, and the time that is left."""
    states = sweep.states()
    counts: dict[str, int] = {}
    for one in states.values():
        counts[one["state"]] = counts.get(one["state"], 0) + 1
    took = [one["seconds"] for one in states.values() if one["state"] == record.DONE]
    left = len(states) - counts.get(record.DONE, 0)
    minutes = sum(took) / len(took) * left / sweep.manifest.limit / 60 if took else None
    return {
        "sweep": sweep.manifest.name,
        "points": len(states),
        "states": counts,
        "failed": {n: one["error"] for n, one in states.items() if one["state"] == record.FAILED},
        "epsilon": {n: one["epsilon"] for n, one in states.items() if one.get("epsilon")},
        "minutes_left": 0.0 if not left else minutes,
    }


def _all_done(sweep: Sweep) -> dict[str, Any]:
    """The summary; TactError, with the reasons, where a point is not done."""
    told = summary(sweep)
    if told["states"] != {record.DONE: told["points"]}:
        why = [f"{number}: {reason}" for number, reason in told["failed"].items()]
        raise TactError(
            f"sweep={sweep.manifest.name}: {told['states']}; "
            + "\n  ".join([f"python -m slurm resume sweep={sweep.manifest.name} goes on", *why[:9]])
        )
    return told


def indices(numbers: Sequence[int]) -> str:
    """``0-3,7`` for 0, 1, 2, 3 and 7."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def _script(sweep: Sweep, todo: Sequence[Point]) -> Path:
    name, limit = sweep.manifest.name, sweep.manifest.limit
    path = sweep.folder / "array.sbatch"
    files.write_text(path, script.text(
        sweep.manifest.site, name=name, log=sweep.log("{task}"), code=sweep.folder / code.FOLDER,
        words=["point", f"sweep={name}", f"checkpoints={sweep.checkpoints}"],
        array=f"{indices([p.number for p in todo])}%{limit}",
    ))  # fmt: skip
    return path


def _check_new(sweep: Sweep) -> None:
    if (sweep.folder / "manifest.json").exists():
        name = sweep.manifest.name
        raise TactError(
            f"sweep={name} was begun before: python -m slurm resume sweep={name} runs what is "
            "missing of it; another manifest is another sweep"
        )


def _check_array(made: Manifest) -> None:
    most = client.most_tasks()
    if len(made.points) > most:
        raise TactError(
            f"sweep={made.name} has {len(made.points)} points and this cluster's arrays at most "
            f"{most} (MaxArraySize): make it several sweeps"
        )
