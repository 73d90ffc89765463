"""Where a person was, and keeping them out from now on (GDPR Art. 15 and 17)."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lineage import exclusion, forget, people
from lineage.run import RunFolder

SAID = (
    "Exclusion does not erase a person from weights that are out: whoever holds a copy of an "
    "export, or of a run, still has what it learnt. Under DP a retraining reads those who stay "
    "once more, and is charged to them. The source's own files are yours to delete."
)


def who(subject: str, checkpoints: Path, *, quiet: bool = False) -> dict[str, Any]:
    """In which runs, stages, reports and exports ``subject`` was, printed unless ``quiet``."""
    found, unknown = [], []
    for manifest in sorted(checkpoints.glob("*/manifest.json")):
        run = RunFolder(manifest.parent)
        noted = people.of(run)
        if noted is None:
            unknown.append(run.name)
            continue
        parts = [p for p in noted if subject in p.people]
        if parts:
            trained = any(p.kind == people.STAGE for p in parts)
            found.append(
                {
                    "run": run.name,
                    "parts": [{"stage": p.stage, "kind": p.kind, "split": p.split} for p in parts],
                    "exported": trained and (run.path / "export").exists(),
                }
            )
    since = exclusion.excluded(checkpoints).get(subject)
    result = {"subject": subject, "excluded": since, "runs": found, "unknown": unknown}
    if not quiet:
        _print(result)
    return result


def exclude(subject: str, checkpoints: Path, cache: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Keep ``subject`` out of every run from now on, and empty ``cache`` of them.

    Returns, and prints unless ``quiet``, the runs to train again, those whose reports show them,
    and what exclusion does not do.
    """
    since = exclusion.add(subject, checkpoints)
    there = who(subject, checkpoints, quiet=True)
    kinds = {run["run"]: {part["kind"] for part in run["parts"]} for run in there["runs"]}
    result = {
        "subject": subject,
        "excluded": since,
        "train_again": [name for name, own in kinds.items() if people.STAGE in own],
        "measure_again": [name for name, own in kinds.items() if people.REPORT in own],
        "exported": [run["run"] for run in there["runs"] if run["exported"]],
        "unknown": there["unknown"],
        "emptied": forget.forget(subject, cache),
        "pairs_removed": forget.pairs(subject, checkpoints),
        "said": SAID,
    }
    if not quiet:
        _tell(result)
    return result


def _print(found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    if found["runs"]:
        table = Table(title=f"where {found['subject']} was", title_justify="left")
        for column in ("run", "stage", "as", "split", "exported"):
            table.add_column(column)
        for run in found["runs"]:
            for part in run["parts"]:
                out = "yes" if run["exported"] and part["kind"] == people.STAGE else ""
                table.add_row(run["run"], part["stage"], part["kind"], part["split"], out)
        console.print(table)
    else:
        console.print(f"{found['subject']}: in no run that notes its people")
    if found["excluded"]:
        console.print(f"excluded since {found['excluded']}")
    if found["unknown"]:
        console.print(f"not known, their runs noted nobody: {', '.join(found['unknown'])}")


def _tell(result: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(f"{result['subject']}: excluded since {result['excluded']}")
    if not result["train_again"] and not result["measure_again"]:
        console.print("in no run that notes its people; check the id, as the source gives it")
    for key, words in (
        ("train_again", "train again, under another run="),
        ("measure_again", "measure again (again=true): their reports show them"),
        ("exported", "exported with what it learnt of them"),
        ("unknown", "not known, they noted nobody"),
        ("emptied", "emptied in the cache"),
        ("pairs_removed", "their pairs taken out of"),
    ):
        if result[key]:
            console.print(f"{words}: {', '.join(result[key])}", soft_wrap=True)
    console.print(result["said"], soft_wrap=True)
