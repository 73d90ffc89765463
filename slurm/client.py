"""Slurm's own commands: each answers, or is one clear error."""

import getpass
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lineage.errors import TactError

WAIT_S = 30.0  # sbatch asks a full queue again and again before it gives up
PAUSES_S = (1.0, 2.0, 4.0)
UNLIMITED = ("infinite", "UNLIMITED")


class NoAnswer(TactError):
    """A command of Slurm failed; what only asks may ask again."""


@dataclass(frozen=True)
class Queued:
    """A job, or a task of an array, that Slurm has not forgotten yet."""

    id: str  # 12, or 12_3 in an array
    state: str  # PENDING, RUNNING, COMPLETING, …
    reason: str


def submit(script: Path, *, after: str | None = None, held: bool = False) -> str:
    """Hand a script in; returns the job's id. It starts when job ``after`` has ended well."""
    words = ["sbatch", "--parsable"]
    if after is not None:
        words += [f"--dependency=afterok:{after}", "--kill-on-invalid-dep=yes"]
    if held:
        words.append("--hold")
    return call([*words, str(script)]).strip().partition(";")[0]


def tried(script: Path) -> str:
    """What Slurm says of a script that it is only asked about, such as when it would start.

    TactError where it would refuse it.
    """
    return _said(_done(["sbatch", "--test-only", str(script)]).stderr).removeprefix("sbatch: ")


def release(job: str) -> None:
    """Let a held job start."""
    call(["scontrol", "release", job])


def cancel(jobs: Sequence[str]) -> None:
    """End jobs, or take them out of the queue; one that has ended is passed over."""
    if jobs:
        call(["scancel", *jobs])


def queue() -> dict[str, Queued]:
    """This user's jobs by their id, tasks of an array one by one; a busy controller is asked again.

    Raises TactError.
    """
    lines = _patiently(["squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r"])
    found = [Queued(*line.strip().split("|", 2)) for line in lines if line.strip()]
    return {job.id: job for job in found}


def accounts() -> set[str] | None:
    """The accounts that this user may charge; None where the cluster keeps no accounts."""
    words = ["sacctmgr", "--noheader", "--parsable2", "show", "associations"]
    try:
        return set(call([*words, f"user={getpass.getuser()}", "format=account"]).split())
    except TactError:
        return None


def most_tasks() -> int:
    """The most tasks that an array may have."""
    lines = call(["scontrol", "show", "config"]).splitlines()
    found = [line.split("=")[1] for line in lines if line.startswith("MaxArraySize")]
    return int(found[0]) if found else 1001


def call(words: Sequence[str]) -> str:
    """What a command prints; TactError where it isn't there, fails or takes too long."""
    return _done(words).stdout


def _done(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    english = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=WAIT_S, env=english
        )
    except FileNotFoundError:
        raise TactError(
            f"no Slurm on this machine ({words[0]} is not on PATH): give the command on a login "
            "node, or train here with python -m train"
        ) from None
    except subprocess.TimeoutExpired as error:
        said = _said(error.stderr) or "no message"
        raise TactError(
            f"{words[0]} has not answered in {WAIT_S:.0f} s ({said}): the queue is full or the "
            "controller is down; try again later"
        ) from None
    if done.returncode:
        said = _said(done.stderr) or f"status {done.returncode}"
        if "account" in said.lower():
            said += ": give site.account= one that you may use here (sacctmgr show associations)"
        raise NoAnswer(f"{words[0]} failed: {said}")
    return done


def _patiently(words: Sequence[str]) -> list[str]:
    """The lines that a command prints, which only asks: a restarting controller refuses a while."""
    for pause in PAUSES_S:
        try:
            return call(words).splitlines()
        except NoAnswer:
            time.sleep(pause)
    return call(words).splitlines()


def minutes(time: str) -> float:
    """Slurm's ``minutes``, ``[days-]hours:minutes:seconds`` and so on; inf where there is no limit.

    Raises ValueError.
    """
    if time in UNLIMITED:
        return float("inf")
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if not 1 <= len(parts) <= 3 or any(part < 0 for part in parts):
        raise ValueError(time)
    if dash:  # days-hours[:minutes[:seconds]]
        hours, minute, second = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minute, second = parts
    else:  # minutes[:seconds]
        hours, minute, second = 0, *[*parts, 0][:2]
    return (int(days or 0) * 24 + hours) * 60 + minute + second / 60


def _said(stderr: str | bytes | None) -> str:
    """The last line of what a command complained of, without its own name."""
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr or ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    useful = [line for line in lines if "Batch job submission failed" in line] or lines
    return useful[-1].partition("error: ")[2] or useful[-1] if useful else ""
