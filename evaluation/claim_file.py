"""A claim: a question, the runs that answer it, and which of their measures are its figures.

``conf/claim/<name>.yaml`` is plain YAML. ``{seed}`` in a run is filled with each seed. An axis of
``grid`` gives names to points and each point its own variables; a run or a figure that mentions an
axis or one of its variables in braces stands for one at each point.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from conf.compose import ROOT
from evaluation import grid
from evaluation.measure import NAMES
from lineage.errors import TactError

FOLDER = ROOT / "claim"
FIGURE = {
    "label", "run", "stage", "suite", "name", "group", "best", "at_most", "at_least", "above",
    "minus", "shown", "where",
}  # fmt: skip
OTHER = {"run", "stage", "suite", "name", "group", "best"}


@dataclass(frozen=True)
class Run:
    """``python -m train <words>``, once a seed."""

    run: str  # the run folder's name, with {seed}
    words: tuple[str, ...]

    def folder(self, seed: int) -> str:
        """The run folder of a seed."""
        return self.run.replace("{seed}", str(seed))

    def command(self, seed: int) -> tuple[str, ...]:
        """The words of a seed's command."""
        words = [word.replace("{seed}", str(seed)) for word in self.words]
        return (*words, f"run={self.folder(seed)}")


@dataclass(frozen=True)
class Reading:
    """Which records of which report; of several groups, the mean."""

    run: str
    stage: str
    suite: str
    name: str
    groups: tuple[str, ...]
    best: bool = False  # of several attackers the one that validation people chose


@dataclass(frozen=True)
class Figure:
    """One number over the seeds, less another one if ``minus`` is given, and what it must hold."""

    label: str
    reading: Reading
    minus: Reading | None = None
    at_most: float | None = None
    at_least: float | None = None
    shown: bool = True  # in README's table; one that misses its bound is always shown
    at: Mapping[str, str] = field(default_factory=dict)  # axis -> point

    def readings(self) -> list[Reading]:
        """All that it reads."""
        return [self.reading] + ([self.minus] if self.minus else [])


@dataclass(frozen=True)
class Claim:
    """A whole claim, its grid filled in."""

    name: str
    question: str
    seeds: tuple[int, ...]
    runs: Mapping[str, Run]
    figures: tuple[Figure, ...]

    def stages_read(self, run: str) -> set[str]:
        """After which stages of a run a report must be there."""
        read = [r for figure in self.figures for r in figure.readings()]
        return {reading.stage for reading in read if reading.run == run}


def names(folder: Path) -> list[str]:
    """The claims there are."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load(name: str, folder: Path = FOLDER) -> Claim:
    """Read and check a claim; TactError names the file, the key and the fix."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise TactError(f"claim {name}: there is none; there are: {', '.join(names(folder))}")
    try:
        raw = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise TactError(f"claim {name}: {path.name} is no YAML: {error}") from None
    where = f"claim {name}"
    keys(raw, where, needs={"question", "seeds", "runs", "figures"}, may={"grid"})
    axes = grid.axes(raw.get("grid") or {}, where=where)
    runs = _runs(raw["runs"], axes, where=where)
    figures = _figures(raw["figures"], axes, where=where)
    seeds = raw["seeds"]
    if not isinstance(seeds, list) or not seeds or not all(type(s) is int for s in seeds):
        raise TactError(f"{where}: seeds={seeds}: give whole numbers, such as [0, 1, 2]")
    claim = Claim(name, str(raw["question"]), tuple(seeds), runs, tuple(figures))
    _check(claim, where=where)
    return claim


def keys(raw: Any, where: str, *, needs: set[str], may: set[str]) -> None:
    """TactError unless ``raw`` is a mapping that has all of ``needs`` and nothing past ``may``."""
    if not isinstance(raw, dict):
        raise TactError(f"{where}: must be a mapping with {', '.join(sorted(needs))}")
    if missing := needs - set(raw):
        raise TactError(f"{where}: {', '.join(sorted(missing))} is missing")
    if odd := [str(key) for key in raw if key not in needs | may]:
        known = ", ".join(sorted(needs | may))
        raise TactError(f"{where}: unknown key {odd[0]!r}; there are: {known}")


def _runs(raw: Any, axes: grid.Axes, *, where: str) -> dict[str, Run]:
    if not isinstance(raw, dict) or not raw:
        raise TactError(f"{where}: runs must be a mapping of names to {{run, words}}")
    made: dict[str, Run] = {}
    for name, run in raw.items():
        here = f"{where}: runs.{name}"
        keys(run, here, needs={"run", "words"}, may=set())
        for _, (key, one) in grid.expanded((str(name), run), axes, where=here):
            made[key] = Run(str(one["run"]), tuple(str(word) for word in one["words"]))
    return made


def _figures(raw: Any, axes: grid.Axes, *, where: str) -> list[Figure]:
    if not isinstance(raw, list) or not raw:
        raise TactError(f"{where}: figures must be a list of mappings")
    made: list[Figure] = []
    for number, figure in enumerate(raw, start=1):
        here = f"{where}: figure {number}"
        keys(figure, here, needs={"label", "run", "stage", "suite", "name", "group"}, may=FIGURE)
        here += f" ({figure['label']})"
        rest = {key: value for key, value in figure.items() if key != "where"}
        for at, one in grid.expanded(rest, axes, where=here, only=figure.get("where")):
            made += _figure(one, at, where=here)
    return made


def _figure(raw: dict[str, Any], at: dict[str, str], *, where: str) -> list[Figure]:
    """The figure, and a second one, less what it must not be ``above``."""
    reading = _reading(raw, where=where)
    bounds = _bounds(raw, where=where)
    shown = raw.get("shown", True)
    minus = None
    if "minus" in raw:
        keys(raw["minus"], f"{where}: minus", needs=set(), may=OTHER)
        minus = _reading({**raw, **raw["minus"]}, where=where)
    made = [Figure(raw["label"], reading, minus, *bounds, shown, at)]
    if "above" in raw:
        above = raw["above"]
        keys(above, f"{where}: above", needs={"at_most"}, may={*OTHER, "label"})
        label = above.get("label", f"{raw['label']}, above its floor")
        other = _reading({**raw, "best": False, **above}, where=where)
        made.append(Figure(label, reading, other, *_bounds(above, where=where), shown, at))
    return made


def _reading(raw: dict[str, Any], *, where: str) -> Reading:
    if raw["name"] not in NAMES:
        raise TactError(f"{where}: measure {raw['name']!r} is none of {', '.join(NAMES)}")
    groups = raw["group"] if isinstance(raw["group"], list) else [raw["group"]]
    best = raw.get("best", False)
    return Reading(raw["run"], raw["stage"], raw["suite"], raw["name"], tuple(groups), bool(best))


def _bounds(raw: dict[str, Any], *, where: str) -> tuple[float | None, float | None]:
    found: list[float | None] = []
    for key in ("at_most", "at_least"):
        try:
            found.append(float(raw[key]) if key in raw else None)
        except (TypeError, ValueError):
            raise TactError(f"{where}: {key}={raw[key]!r} is no number") from None
    return found[0], found[1]


def _check(claim: Claim, *, where: str) -> None:
    for name, run in claim.runs.items():
        if len(claim.seeds) > 1 and "{seed}" not in run.run:
            raise TactError(f"{where}: runs.{name}.run={run.run}: needs {{seed}}, or one seed only")
    for figure in claim.figures:
        for reading in figure.readings():
            if reading.run not in claim.runs:
                raise TactError(
                    f"{where}: figure ({figure.label}): run={reading.run}: no such run; there "
                    f"are: {', '.join(claim.runs)}"
                )
