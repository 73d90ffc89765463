"""Where a person was, and keeping them out from now on (GDPR Art. 15 and 17)."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lineage import aliases, caches, exclusion, forget, people
from lineage.run import RunFolder

SAID = (
    "Exclusion does not erase a person from weights that are out: whoever holds a copy of an "
    "export, or of a run, still has what it learnt. Under DP a retraining reads those who stay "
    "once more, and is charged to them. The source's own files are yours to delete."
)


def who(subject: str, checkpoints: Path, *, quiet: bool = False) -> dict[str, Any]:
    """In which runs, stages, reports and exports ``subject`` was, printed unless ``quiet``."""
    names = aliases.names([subject], checkpoints)
    found, unknown = [], []
    for manifest in sorted(checkpoints.glob("*/manifest.json")):
        run = RunFolder(manifest.parent)
        noted = people.of(run)
        if noted is None:
            unknown.append(run.name)
            continue
        parts = [p for p in noted if not names.isdisjoint(p.people)]
        if parts:
            trained = any(p.kind == people.STAGE for p in parts)
            pushed = run.pushed() if trained else []
            found.append(
                {
                    "run": run.name,
                    "parts": [{"stage": p.stage, "kind": p.kind, "split": p.split} for p in parts],
                    "exported": bool(pushed) or trained and (run.path / "export").exists(),
                    "pushed": pushed,
                }
            )
    out = exclusion.excluded(checkpoints)
    result = {
        "subject": subject,
        "also": sorted(names - {subject}),
        "excluded": min((out[name] for name in names & out.keys()), default=None),
        "runs": found,
        "unknown": unknown,
    }
    if not quiet:
        _print(result)
    return result


def exclude(subject: str, checkpoints: Path, cache: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Keep ``subject`` out of every run from now on, and empty ``cache`` and all runs' caches.

    Returns, and prints unless ``quiet``, the runs to train again, those whose reports show them,
    what could not be emptied, and what exclusion does not do.
    """
    since = exclusion.add(subject, checkpoints)
    there = who(subject, checkpoints, quiet=True)
    names = {subject, *there["also"]}
    emptied, gone = _emptied(names, checkpoints, cache)
    removed, busy = forget.pairs(names, checkpoints)
    kinds = {run["run"]: {part["kind"] for part in run["parts"]} for run in there["runs"]}
    result = {
        "subject": subject,
        "also": there["also"],
        "excluded": since,
        "train_again": [name for name, own in kinds.items() if people.STAGE in own],
        "measure_again": [name for name, own in kinds.items() if people.REPORT in own],
        "exported": [run["run"] for run in there["runs"] if run["exported"]],
        "pushed": [to for run in there["runs"] for to in run["pushed"]],
        "unknown": there["unknown"],
        "emptied": emptied,
        "not_there": gone,
        "pairs_removed": removed,
        "in_use": busy,
        "copies": [str(folder) for folder in caches.of_others(checkpoints)],
        "said": SAID,
    }
    if not quiet:
        _tell(result)
    return result


def _emptied(names: set[str], checkpoints: Path, cache: Path) -> tuple[list[str], list[str]]:
    """What was emptied in ``cache`` and in those of all runs, and which of them aren't there."""
    emptied, gone = [], []
    for folder in dict.fromkeys([cache.resolve(), *caches.of_runs(checkpoints)]):
        own = folder == cache.resolve()
        if folder.is_dir():
            exclusion.share(checkpoints, folder)
            done = forget.forget(names, folder)
            emptied += done if own else [str(folder / name) for name in done]
        elif not own:
            gone.append(str(folder))
    return emptied, gone


def _print(found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    if found["runs"]:
        table = Table(title=f"where {found['subject']} was", title_justify="left")
        for column in ("run", "stage", "as", "split", "exported"):
            table.add_column(column)
        for run in found["runs"]:
            for part in run["parts"]:
                trained = part["kind"] == people.STAGE
                out = (", ".join(run["pushed"]) or "yes") if run["exported"] and trained else ""
                table.add_row(run["run"], part["stage"], part["kind"], part["split"], out)
        console.print(table)
    else:
        console.print(f"{found['subject']}: in no run that notes its people")
    _tell_names(found, console)
    if found["excluded"]:
        console.print(f"excluded since {found['excluded']}")
    if found["unknown"]:
        console.print(f"not known, their runs noted nobody: {', '.join(found['unknown'])}")


def _tell_names(found: dict[str, Any], console: Console) -> None:
    if found["also"]:
        console.print(f"{found['subject']} is one person with {', '.join(found['also'])}")


def _tell(result: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(f"{result['subject']}: excluded since {result['excluded']}")
    _tell_names(result, console)
    if not result["train_again"] and not result["measure_again"]:
        console.print("in no run that notes its people; check the id, as the source gives it")
    for key, words in (
        ("train_again", "train again, under another run="),
        ("measure_again", "measure again (again=true): their reports show them"),
        ("exported", "exported with what it learnt of them"),
        ("pushed", "on the Hub with what it learnt of them; take it down there"),
        ("unknown", "not known, they noted nobody"),
        ("emptied", "emptied in the cache"),
        ("not_there", "caches that runs name and that aren't here; exclude them where they lie"),
        ("pairs_removed", "their pairs taken out of"),
        ("in_use", "in use, their pairs stay; stop the run or let it end, then exclude them again"),
        ("copies", "copies that Hugging Face keeps of sets that runs read; delete these folders"),
    ):
        if result[key]:
            console.print(f"{words}: {', '.join(result[key])}", soft_wrap=True)
    console.print(result["said"], soft_wrap=True)
