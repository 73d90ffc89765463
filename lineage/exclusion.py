"""Who is kept out of all runs from some day on: a list beside the run folders (mode 600).

A cache has one of its own: what is built there holds nothing of those on it but their ids.
"""

from pathlib import Path

from lineage import aliases, files, people
from lineage.errors import TactError
from lineage.run import RunFolder, now

NAME = "excluded.json"


def excluded(folder: str | Path) -> dict[str, str]:
    """Each who is excluded → since when (UTC), by the list in a folder of runs or a cache."""
    path = Path(folder).expanduser() / NAME
    if not path.exists():
        return {}
    return {str(who): str(since) for who, since in files.read_json(path)["people"].items()}


def add(subject: str, checkpoints: Path) -> str:
    """Exclude ``subject``; returns since when. Who is excluded already stays so since then."""
    everyone = excluded(checkpoints)
    since = everyone.setdefault(subject, now())
    _write(everyone, checkpoints)
    return since


def ids(checkpoints: Path, *caches: Path) -> set[str]:
    """All ids that tables may have the excluded under, those that ``caches`` list too."""
    return aliases.names([who for f in (checkpoints, *caches) for who in excluded(f)], checkpoints)


def share(checkpoints: Path, cache: Path) -> None:
    """Put all who are excluded on the list of ``cache`` too."""
    there = excluded(cache)
    if new := ids(checkpoints) - there.keys():
        _write({**there, **dict.fromkeys(sorted(new), now())}, cache)


def check(run: RunFolder, *, goes_on: str) -> None:
    """TactError where the run, or a parent of it, was trained on somebody who is excluded since.

    ``goes_on`` says what would go on with such weights.
    """
    out = people.trained_on(run) & ids(run.path.parent)
    if out:
        raise TactError(
            f"{goes_on}: run={run.name} was trained on {len(out)} who are excluded since "
            "(python -m lineage who subject=ID says where). Train it again, from its first stage "
            "that had them, under another run="
        )


def _write(everyone: dict[str, str], folder: Path) -> None:
    files.write_json(folder / NAME, {"version": 1, "people": everyone}, mode=0o600)
