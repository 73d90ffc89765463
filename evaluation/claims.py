"""``python -m evaluation claims``: run what a claim needs, read its figures, write its result.

Whatever is done is kept: finished runs are not run again, an unfinished one goes on where it
stopped, a claim whose result stands for the present config is passed over, and seeds that a result
of the same config has of another machine stay in it.
"""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from evaluation import claim_file, claim_result, claim_runs, claim_table, claim_train, frontier
from evaluation.claim_file import Claim
from evaluation.claim_progress import Progress, console
from evaluation.claim_runs import Planned
from lineage import files
from lineage.door import options
from lineage.errors import TactError
from lineage.place import CHECKOUT, place

RESULTS = CHECKOUT / "docs" / "results"
KNOWN = (
    "only", "seeds", "threads", "dry_run", "readme", "checkpoints", "cache", "claims", "results",
    "json",
)  # fmt: skip

PLACES = {"cache": "cache", "threads": "trainer.threads"}  # an option → the word of a run


def door(words: Sequence[str]) -> dict[str, Any]:
    """Run, list (``dry_run=true``) or only rewrite README (``readme=true``); raises TactError."""
    given = options(words, KNOWN)
    folder = Path(given.get("claims", claim_file.FOLDER))
    results = Path(given.get("results", RESULTS))
    if given.get("readme") == "true":
        if (results / f"{frontier.CLAIM}.json").exists():
            frontier.draw(results / f"{frontier.CLAIM}.json")
        return {"changed": claim_table.rewrite(CHECKOUT / "README.md", results, folder)}
    names = [given["only"]] if "only" in given else claim_file.names(folder)
    claims = [claim_file.load(name, folder) for name in names]
    seeds = _seeds(given.get("seeds"), claims)
    checkpoints = place(given.get("checkpoints", "checkpoints"))
    places = [f"{key}={given[name]}" for name, key in PLACES.items() if name in given]
    jobs = [_Job(claim, seeds, results, checkpoints, places) for claim in claims]
    if given.get("dry_run") == "true":
        return _listed(jobs, quiet=given.get("json") == "true")
    made = {job.claim.name: job.run() for job in jobs}
    if results == RESULTS:
        claim_table.rewrite(CHECKOUT / "README.md", results, folder)
    return made


class _Job:
    """One claim with the seeds that are asked for and the places where things lie."""

    def __init__(
        self, claim: Claim, seeds: Sequence[int] | None, results: Path, checkpoints: Path,
        places: Sequence[str],
    ) -> None:  # fmt: skip
        self.claim, self.seeds = claim, tuple(seeds or claim.seeds)
        self.path = results / f"{claim.name}.json"
        self.checkpoints, self.places = checkpoints, places
        self.digest = claim_runs.config_sha256(claim)

    @property
    def plan(self) -> list[Planned]:
        """All runs of all the claim's seeds."""
        return claim_runs.planned(self.claim, places=self.places, checkpoints=self.checkpoints)

    def state(self) -> str:
        """What stands in the results: ``done``, ``partial``, ``stale`` or ``missing``."""
        if not self.path.exists():
            return "missing"
        if (there := self._there()) is None:
            return "stale"
        return "done" if set(self.seeds) <= set(there["seeds"]) else "partial"

    def run(self) -> str:
        """Bring the claim's result up to date; returns what was done."""
        name, there = self.claim.name, self._there()
        measured = set(there["seeds"]) if there else set()
        if measured >= set(self.seeds):
            console.print(f"{name}: done before, {self.path.name} is of the present config")
            return "done before"
        wanted = set(self.seeds) - measured
        with Progress(name, [one for one in self.plan if one.seed in wanted]) as progress:
            for one in progress.plan:
                if progress.begin(one):
                    spent = claim_train.train(one, progress.beat)
                    progress.end(one, spent)
        made = claim_result.result(
            self.claim, self._finished(wanted), digest=self.digest, before=there
        )
        files.write_json(self.path, made)
        if name == frontier.CLAIM:
            frontier.draw(self.path)
        missed = [f["label"] for f in made["figures"] if f["met"] is False]
        console.print(f"{name}: {self.path.name} written; missed: {', '.join(missed) or 'nothing'}")
        return "written"

    def _there(self) -> dict[str, Any] | None:
        """The result that stands, if it is of the present config."""
        there = files.read_json(self.path) if self.path.exists() else None
        return there if there and there["config_sha256"] == self.digest else None

    def _finished(self, wanted: Set[int]) -> list[Planned]:
        """The runs of those seeds that have all of them, wanted now or run before."""
        left = {one.seed for one in self.plan if claim_runs.state(one) != claim_runs.FINISHED}
        return [one for one in self.plan if one.seed in wanted or one.seed not in left]


def _seeds(given: str | None, claims: Sequence[Claim]) -> list[int] | None:
    if given is None:
        return None
    asked = yaml.safe_load(given)
    for claim in claims:
        if not isinstance(asked, list) or not asked or set(asked) - set(claim.seeds):
            raise TactError(
                f"seeds={given}: give some of claim {claim.name}'s seeds, {list(claim.seeds)}"
            )
    return sorted(set(asked))


def _listed(jobs: Sequence[_Job], *, quiet: bool) -> dict[str, Any]:
    """Print and return what is done, stale or missing, and each claim's runs."""
    table = Table("claim", "result", "run", "state", title="claims", title_justify="left")
    made = {}
    for job in jobs:
        result = job.state()
        runs = {o.folder.name: claim_runs.state(o) for o in job.plan if o.seed in job.seeds}
        made[job.claim.name] = {"result": result, "runs": runs}
        for number, (run, state) in enumerate(runs.items()):
            table.add_row(*(("", "") if number else (job.claim.name, result)), run, state)
    if not quiet:
        console.print(table)
    return made
