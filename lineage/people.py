"""Who was in a run, by stage and report: noted in its ``private/`` (mode 600), never exported."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder

NAME = "people.json"
STAGE, VALIDATION, REPORT = "stage", "validation", "report"


@dataclass(frozen=True)
class Part:
    """What one part of a run had of whom."""

    stage: str  # trained, or after which the run was measured
    kind: str  # stage | validation | report
    split: str
    people: list[str]


def note(run: RunFolder, stage: str, *, kind: str, split: str, people: Iterable[str]) -> None:
    """Add ``people`` to those whom this part of the run had."""
    parts = {(p.stage, p.kind, p.split): p for p in of(run) or ()}
    before = parts.get((stage, kind, split))
    everyone = sorted({*people, *(before.people if before else ())})
    parts[stage, kind, split] = Part(stage, kind, split, everyone)
    _write(run, list(parts.values()))


def inherit(run: RunFolder, parent: RunFolder, stages: Iterable[str]) -> None:
    """Take over whom the parent's ``stages`` had: the child's weights come from them too."""
    taken, theirs = set(stages), of(parent)
    if theirs is not None:
        _write(run, [p for p in theirs if p.kind == STAGE and p.stage in taken])


def of(run: RunFolder) -> list[Part] | None:
    """The parts that are noted; None of a run of a version that noted nobody."""
    path = run.private / NAME
    if not path.exists():
        return None
    try:
        return [Part(**part) for part in files.read_json(path)["parts"]]
    except (TypeError, KeyError) as error:
        raise TactError(
            f"run={run.name}: private/{NAME} is not one that this version wrote ({error}); restore "
            "it: without it nobody can be told where they were"
        ) from None


def trained_on(run: RunFolder) -> set[str]:
    """All whom the run's stages had, those of its parents too."""
    return {who for p in of(run) or () if p.kind == STAGE for who in p.people}


def _write(run: RunFolder, parts: list[Part]) -> None:
    run.private.mkdir(mode=0o700, exist_ok=True)
    content = {"version": 1, "parts": [asdict(part) for part in parts]}
    files.write_json(run.private / NAME, content, mode=0o600)
