"""A claim's result, as ``docs/results/<claim>.json`` holds it (``docs/results/README.md``)."""

from collections.abc import Iterable, Sequence
from typing import Any

from evaluation import claim_runs, claim_train
from evaluation.claim_figures import Reports, figure, records_used
from evaluation.claim_file import Claim
from evaluation.claim_runs import Planned
from lineage import provenance
from lineage.errors import TactError
from lineage.run import now


def result(claim: Claim, plan: Sequence[Planned], *, digest: str) -> dict[str, Any]:
    """Read the reports of finished runs; TactError where one or a record of it is not there."""
    reports: dict[str, dict[int, dict[str, Any]]] = {}
    for one in plan:
        reports.setdefault(one.name, {})[one.seed] = claim_runs.reports(one.run)
    _whole(plan, reports)
    seeds = sorted({one.seed for one in plan})
    return {
        "claim": claim.name,
        "question": claim.question,
        "command": _command(claim, seeds),
        "runs": {
            name: {str(seed): run.folder(seed) for seed in seeds}
            for name, run in claim.runs.items()
        },
        "config_sha256": digest,
        **_origin(plan),
        "machine": provenance.machine(),
        "seeds": seeds,
        "seeds_claimed": list(claim.seeds),
        "figures": [figure(asked, reports, seeds) for asked in claim.figures],
        "measures": records_used(claim.figures, reports, seeds),
        "ended": now(),
    }


def _command(claim: Claim, seeds: Sequence[int]) -> str:
    some = "" if set(seeds) == set(claim.seeds) else f" seeds=[{','.join(map(str, seeds))}]"
    return f"python -m evaluation claims only={claim.name}{some}"


def _origin(plan: Sequence[Planned]) -> dict[str, Any]:
    """What the runs were made of, and how long that took."""
    manifests = [one.run.read() for one in plan]
    return {
        "data_fingerprint": _distinct(m.data_fingerprint for m in manifests),
        "revision": _distinct(m.revision for m in manifests),
        "dirty": any(m.dirty for m in manifests),
        "seconds": round(sum({one.folder: claim_train.seconds(one) for one in plan}.values()), 1),
    }


def _distinct(values: Iterable[str | None]) -> str:
    """The different values in one string; mostly there is one."""
    return ", ".join(sorted({value for value in values if value}))


def _whole(plan: Sequence[Planned], reports: Reports) -> None:
    for one in plan:
        if missing := one.reports - set(reports[one.name][one.seed]):
            raise TactError(
                f"run {one.folder.name} ended without a report of its present weights after "
                f"{', '.join(sorted(missing))}; make it: python -m evaluation "
                f"run={one.folder.name}"
            )
