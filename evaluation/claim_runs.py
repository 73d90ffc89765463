"""The runs of a claim: what each is, by which hash, and how far it is."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from conf import compose, rules
from conf.schema import Config
from evaluation import stored
from evaluation.claim_file import Claim
from lineage import files
from lineage.errors import TactError
from lineage.run import DONE, INHERITED, RunFolder

# Where and how a run is made, not what it is.
PLACE = (
    "run", "checkpoints", "cache", "dry_run", "json", "description", "logger", "site",
    "export", "model.licence",
    "trainer.threads", "trainer.progress",
)  # fmt: skip
PART = ("steps", "stages")  # a run may have gone further than a claim asks
FINISHED, BEGUN, MISSING, OTHER = "done", "begun", "not begun", "began with another config"


@dataclass(frozen=True)
class Planned:
    """One run of a claim with one seed."""

    name: str  # as the claim calls it
    seed: int
    folder: Path
    words: tuple[str, ...]  # what it is
    places: tuple[str, ...]  # where things lie on this machine
    reports: frozenset[str]  # after which stages one must be there

    @property
    def run(self) -> RunFolder:
        """Its run folder, which need not be there yet."""
        return RunFolder(self.folder)

    @property
    def config(self) -> Config:
        """What its words compose to."""
        return _composed(self.words)


def configs(claim: Claim) -> dict[str, Config]:
    """Each run's config at the claim's first seed; raises ConfigError or TactError."""
    made = {name: _composed(run.command(claim.seeds[0])) for name, run in claim.runs.items()}
    for name, config in made.items():
        there = _reported(config)
        if missing := claim.stages_read(name) - there:
            raise TactError(
                f"claim {claim.name}: run {name} has no report after {', '.join(sorted(missing))}; "
                f"its steps report after: {', '.join(sorted(there)) or 'none'}"
            )
    return made


def config_sha256(claim: Claim) -> str:
    """Hash of what the claim's runs are and of what is read from them, whatever the seeds.

    The configs are those of one seed: only the seed tells the others from it. Labels are left out.
    Raises ConfigError or TactError where a run cannot be.
    """
    figures = [asdict(replace(f, label="", shown=True, at={})) for f in claim.figures]
    runs = {name: [claim.runs[name].words, identity(c)] for name, c in configs(claim).items()}
    text = json.dumps({"runs": runs, "figures": figures}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def identity(config: Config) -> dict[str, Any]:
    """The config without names of places, and without what is at its default."""
    tree: dict[str, Any] = compose.told(config, without=PLACE)
    return tree


def planned(claim: Claim, *, places: Sequence[str], checkpoints: Path) -> list[Planned]:
    """All runs of all seeds in order; ``places`` are words of this machine, such as cache=…."""
    return [
        Planned(
            name,
            seed,
            checkpoints / run.folder(seed),
            run.command(seed),
            (*places, f"checkpoints={checkpoints}"),
            frozenset(claim.stages_read(name)),
        )
        for seed in claim.seeds
        for name, run in claim.runs.items()
    ]


def state(one: Planned) -> str:
    """How far a run is; ``done`` only with every report that the claim reads."""
    path = one.folder / "config.yaml"
    if not path.exists():
        return MISSING
    began, asked = (compose.told(config, without=(*PLACE, *PART))
                    for config in (compose.from_yaml(path), one.config))  # fmt: skip
    if began != asked:
        return OTHER
    stages = {s.stage for s in one.run.read().stages if s.state in (DONE, INHERITED)}
    wanted = set(rules.stage_names(one.config))
    return FINISHED if wanted <= stages and one.reports <= set(reports(one.run)) else BEGUN


def reports(run: RunFolder) -> dict[str, dict[str, Any]]:
    """Stage → the report after it, of those that are of the weights which the run now has."""
    stages = run.read().stages
    made = [files.read_json(path) for path in stored.paths(run)]
    return {report["stage"]: report for report in made if stored.fits(report, stages)}


@cache
def _composed(words: tuple[str, ...]) -> Config:
    return compose.load(words)


def _reported(config: Config) -> set[str]:
    """The stages after which the config's steps have a report."""
    stage, found = "", set()
    for step in config.stages or config.steps:
        if step == "report":
            found.add(stage)
        elif step not in rules.OTHER_STEPS:
            stage = step
    return found
