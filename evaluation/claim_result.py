"""A claim's result, as ``docs/results/<claim>.json`` holds it (``docs/results/README.md``)."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from evaluation import claim_runs, claim_train
from evaluation.claim_figures import Reports, figure, records_used
from evaluation.claim_file import Claim
from evaluation.claim_runs import Planned
from lineage import provenance
from lineage.errors import TactError
from lineage.run import now


def result(
    claim: Claim, plan: Sequence[Planned], *, digest: str, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Read the reports of finished runs; TactError where one or a record of it is not there.

    Seeds that only ``before`` has, a result of the same config (of another machine, say), are kept
    with the records that it holds of them.
    """
    reports: dict[str, dict[int, dict[str, Any]]] = {}
    for one in plan:
        reports.setdefault(one.name, {})[one.seed] = claim_runs.reports(one.run)
    _whole(plan, reports)
    here = {one.seed for one in plan}
    kept = set(before["seeds"]) - here if before else set()
    if before:
        _keep(reports, before, kept)
    seeds = sorted(here | kept)
    return {
        "claim": claim.name,
        "question": claim.question,
        "command": _command(claim, seeds),
        "runs": {
            name: {str(seed): run.folder(seed) for seed in seeds}
            for name, run in claim.runs.items()
        },
        "config_sha256": digest,
        **_origin(plan, before if kept else None),
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


def _keep(
    reports: dict[str, dict[int, dict[str, Any]]], kept: Mapping[str, Any], seeds: Set[int]
) -> None:
    """Add the records of ``seeds`` as reports of the runs that they are of."""
    for record in kept["measures"]:
        if (seed := record["seed"]) in seeds:
            folder = kept["runs"][record["run"]][str(seed)]
            stages = reports.setdefault(record["run"], {}).setdefault(seed, {})
            report = stages.setdefault(record["stage"], {"run": folder, "measures": []})
            report["measures"].append({k: v for k, v in record.items() if k != "run"})


def _origin(plan: Sequence[Planned], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the runs were made of, and how long that took."""
    there = before or {"data_fingerprint": "", "revision": "", "dirty": False, "seconds": 0.0}
    manifests = [one.run.read() for one in plan]
    spent = sum({one.folder: claim_train.seconds(one) for one in plan}.values())
    prints = [*there["data_fingerprint"].split(", "), *(m.data_fingerprint for m in manifests)]
    return {
        "data_fingerprint": _distinct(prints),
        "revision": _distinct([*there["revision"].split(", "), *(m.revision for m in manifests)]),
        "dirty": there["dirty"] or any(m.dirty for m in manifests),
        "seconds": round(there["seconds"] + spent, 1),
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
