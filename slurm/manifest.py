"""A sweep's manifest: its points, each a run, as the words that make it.

``key=1,2,4`` and Hydra's ``range(…)`` and ``choice(…)`` are axes of a grid; ``points=FILE`` lists
points instead, one list of words each. A manifest is written once and never changed.
"""

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from conf import compose
from conf.schema import Config, SiteConfig
from lineage import files
from lineage.errors import TactError

CHECKED = 4  # points that are composed before a sweep begins
OWN = ("run", "checkpoints", "dry_run", "json")  # not a point's to say


@dataclass(frozen=True)
class Point:
    """One run of a sweep: what tells it from the others."""

    number: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """A whole sweep."""

    name: str
    words: tuple[str, ...]  # what all points have
    points: tuple[Point, ...]
    limit: int  # points that run at once
    site: SiteConfig

    def run(self, point: Point) -> str:
        """The name of a point's run folder."""
        return f"{self.name}-{point.number:04d}"

    @property
    def tightest(self) -> Point:
        """The point with the least budget; the first where they don't differ in it."""
        return min(self.points, key=_budget)

    def config(self, point: Point, *, checkpoints: Path) -> Config:
        """What a point's words compose to. Raises ConfigError."""
        own = [f"run={self.run(point)}", f"checkpoints={checkpoints}"]
        return compose.load([*self.words, *point.words, *own])


def expanded(words: Sequence[str], listed: Path | None = None) -> tuple[list[str], list[Point]]:
    """The words that all points have, and the points: a grid, or those of a file.

    Raises TactError where there is no axis and no file, or both.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(words))
    except HydraException as error:
        raise TactError(f"sweep: {str(error).splitlines()[0]}") from None
    if odd := [o.input_line for o in parsed if (o.key_or_group or "") in OWN]:
        raise TactError(f"{odd[0]}: each point of a sweep has its own; leave it out")
    axes = [o for o in parsed if o.is_sweep_override()]
    common = [o.input_line for o in parsed if not o.is_sweep_override()]
    if bool(axes) == (listed is not None):
        raise TactError("a sweep needs axes (such as seed=0,1,2), or points=FILE, and not both")
    if listed is not None:
        chosen = _listed(listed)
    else:
        each = [[f"{o.get_key_element()}={v}" for v in o.sweep_string_iterator()] for o in axes]
        chosen = list(itertools.product(*each))
    return common, [Point(number, own) for number, own in enumerate(chosen)]


def made(name: str, words: Sequence[str], *, limit: int, listed: Path | None = None) -> Manifest:
    """The manifest of a sweep by its words; its site is that of the first point.

    Raises TactError or ConfigError.
    """
    common, points = expanded(words, listed)
    config = compose.load([*common, *points[0].words, f"run={name}"])
    if config.trainer.nodes > 1:
        raise TactError(
            f"trainer.nodes={config.trainer.nodes}: a point of a sweep runs on one node; set it to "
            "1, or submit such runs one by one"
        )
    return Manifest(name, tuple(common), tuple(points), limit, config.site)


def check(manifest: Manifest, *, checkpoints: Path) -> None:
    """Compose points until each word was in one, a few at most. Raises ConfigError."""
    seen: set[str] = set()
    chosen = []
    for point in manifest.points:
        if set(point.words) - seen:
            chosen.append(point)
            seen |= set(point.words)
    for point in chosen[:CHECKED]:
        manifest.config(point, checkpoints=checkpoints)


def write(path: Path, manifest: Manifest) -> None:
    """Put it in place, whole."""
    content = json.loads(json.dumps(asdict(manifest)))
    files.write_json(path, {**content, "digest": files.content_sha256(content)})


def read(path: Path) -> Manifest:
    """A manifest as it was written; TactError where it is missing, cut off or changed by hand."""
    if not path.exists():
        raise TactError(
            f"sweep={path.parent.name}: no such sweep; python -m slurm sweep begins one"
        )
    content = files.read_json(path)
    if content.pop("digest", None) != files.content_sha256(content):
        raise TactError(
            f"sweep={path.parent.name}: {path.name} is not as it was written (its digest differs): "
            "restore it, or begin another sweep with the points that you want"
        )
    return Manifest(
        content["name"],
        tuple(content["words"]),
        tuple(Point(p["number"], tuple(p["words"])) for p in content["points"]),
        content["limit"],
        SiteConfig(**content["site"]),
    )


def _budget(point: Point) -> float:
    """The ε that the point's own words give."""
    given = dict(word.lstrip("+").split("=", 1) for word in point.words if "=" in word)
    try:
        return float(given.get("privacy.epsilon", math.inf))
    except ValueError:  # null: none
        return math.inf


def _listed(path: Path) -> list[tuple[str, ...]]:
    try:
        raw: Any = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise TactError(f"points={path}: it can't be read ({error})") from None
    good = isinstance(raw, list) and raw and all(isinstance(one, list) and one for one in raw)
    if not good or not all(isinstance(w, str) and "=" in w for one in raw for w in one):
        raise TactError(
            f"points={path}: give a list of points, each such as [seed=0, policy=tutor]"
        )
    return [tuple(one) for one in raw]
