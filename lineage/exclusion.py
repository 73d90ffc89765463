"""Who is kept out of all runs from some day on: a list beside the run folders (mode 600)."""

from pathlib import Path

from lineage import files, people
from lineage.errors import TactError
from lineage.run import RunFolder, now

NAME = "excluded.json"


def excluded(checkpoints: Path) -> dict[str, str]:
    """Each who is excluded → since when (UTC)."""
    path = checkpoints / NAME
    if not path.exists():
        return {}
    return {str(who): str(since) for who, since in files.read_json(path)["people"].items()}


def add(subject: str, checkpoints: Path) -> str:
    """Exclude ``subject``; returns since when. Who is excluded already stays so since then."""
    everyone = excluded(checkpoints)
    since = everyone.setdefault(subject, now())
    files.write_json(checkpoints / NAME, {"version": 1, "people": everyone}, mode=0o600)
    return since


def check(run: RunFolder, *, goes_on: str) -> None:
    """TactError where the run, or a parent of it, was trained on somebody who is excluded since.

    ``goes_on`` says what would go on with such weights.
    """
    out = people.trained_on(run) & excluded(run.path.parent).keys()
    if out:
        raise TactError(
            f"{goes_on}: run={run.name} was trained on {len(out)} who are excluded since "
            "(python -m lineage who subject=ID says where). Train it again, from its first stage "
            "that had them, under another run="
        )
