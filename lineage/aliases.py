"""Who is one person under several names, in a file beside the run folders (mode 600).

A source that makes one person of all who share a picture knows their names; tables and runs have
the one that stands for them alone.
"""

from collections.abc import Iterable
from pathlib import Path

from lineage import files

NAME = "aliases.json"


def names(people: Iterable[str], checkpoints: Path) -> set[str]:
    """All names that are known of ``people``, those given among them."""
    found = set(people)
    return found.union(*(own for own in _noted(checkpoints) if not found.isdisjoint(own)))


def note(persons: Iterable[Iterable[str]], checkpoints: Path) -> None:
    """Add ``persons``, each by their names; where there are no runs, nothing."""
    before = after = _noted(checkpoints)
    for own in map(set, persons):
        if not any(own <= known for known in after):
            same = [known for known in after if not own.isdisjoint(known)]
            after = [*(known for known in after if known not in same), own.union(*same)]
    if after is not before and checkpoints.is_dir():
        told = sorted(map(sorted, after))
        files.write_json(checkpoints / NAME, {"version": 1, "people": told}, mode=0o600)


def _noted(checkpoints: Path) -> list[set[str]]:
    path = checkpoints / NAME
    return [set(own) for own in files.read_json(path)["people"]] if path.exists() else []
