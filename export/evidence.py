"""What an export may state of a run: each thing checked against the run's own weights, or refused.

Each refusal has a reason of its own: a stage or report that is missing, weights, ledger or report
that are not the run's, a config that is not the one that was trained and measured, a bound of the
policy that is not met.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf import compose, rules
from conf.schema import Config
from data.policy import Policy
from lineage import files
from lineage.errors import TactError
from lineage.run import DONE, Manifest, RunFolder, StageState
from privacy import verify

Content = dict[str, Any]
SUITES = ("behaviour", "paraphrases", "text", "flips", "interface", "codes")


@dataclass(frozen=True)
class Evidence:
    """A finished run's papers: ``ledger`` is what it states of ε (None without DP).

    ``not_met``: bound of the policy that was let through → what was found instead.
    """

    manifest: Manifest
    report: Content | None
    earlier: tuple[Content, ...]  # reports after earlier stages
    ledger: Content | None
    not_met: dict[str, str]


def evidence(config: Config, run: RunFolder, policy: Policy) -> Evidence:
    """The run's papers, checked. TactError names what is missing, of other weights or not met."""
    stages = _finished(config, run)
    ledger = verify.stated(config, run) if config.privacy.epsilon is not None else None
    *earlier, last = _reports(config, run, stages)
    if last is not None:
        _same_config(last, config, policy, run=run.name, again=_again(run, stages))
    not_met = _not_met(policy, last, ledger, allow=config.export.allow, run=run.name)
    return Evidence(run.read(), last, tuple(r for r in earlier if r), ledger, not_met)


def headline(report: Content | None) -> list[Content]:
    """A report's own figures, of several attackers the chosen one; its controls stay there."""
    return [
        m
        for m in (report or {}).get("measures", [])
        if m["suite"] in SUITES and (m["chosen_on"] or not m["attacker"])
    ]


def _finished(config: Config, run: RunFolder) -> list[StageState]:
    stages = run.finished_stages()
    done = [s.stage for s in stages]
    missing = [name for name in rules.stage_names(config) if name not in done]
    if missing or not stages:
        raise TactError(
            f"run={run.name} never finished: {', '.join(missing) or 'all stages'} missing. Run the "
            f"same command again (it resumes), then export"
        )
    for s in stages:
        now = s.stage in config.stage and rules.is_public(config, config.stage[s.stage])
        if s.state == DONE and s.stage in config.stage and s.public != now:
            told = ("not public", "public") if now else ("public", "not public")
            raise TactError(
                f"run={run.name}: the people of stage {s.stage} were {told[0]} as it trained, and "
                f"the config has them {told[1]}; restore data.public and stage.{s.stage}.people in "
                "config.yaml"
            )
    return stages


def _reports(config: Config, run: RunFolder, stages: Sequence[StageState]) -> list[Content | None]:
    """Each stage's report, the last stage's last; TactError where a step's own is missing."""
    due = _after(config)
    found: list[Content | None] = []
    for number, state in enumerate(stages, start=1):
        path = run.path / "report" / f"{number}-{state.stage}" / "report.json"
        if path.exists():
            found.append(_whole(path, stages[:number], run))
        elif state.stage in due:
            raise TactError(
                f"run={run.name}: the step report after {state.stage} is missing; measure, then "
                f"export: python -m evaluation run={run.name} stage={state.stage}"
            )
        else:
            found.append(None)
    return found


def _after(config: Config) -> set[str]:
    """The stages after which the config's steps have a report."""
    steps = config.stages or config.steps
    before = [s for s in steps if s not in rules.OTHER_STEPS]
    return {
        [s for s in steps[:at] if s in before][-1]
        for at, step in enumerate(steps)
        if step == "report" and set(steps[:at]) & set(before)
    }


def _whole(path: Path, stages: Sequence[StageState], run: RunFolder) -> Content:
    report: Content = files.read_json(path)
    again = _again(run, stages)
    if report.get("weights_sha256") != [s.weights_sha256 for s in stages]:
        raise TactError(f"run={run.name}: its report is of other weights than its own; {again}")
    digest = report.pop("digest", None)
    if digest != files.content_sha256(report):
        raise TactError(
            f"run={run.name}: its report is not as it was measured (its digest differs); {again}"
        )
    return report


def _same_config(report: Content, config: Config, policy: Policy, *, run: str, again: str) -> None:
    """TactError where the last report was made, and its bounds judged, under another config."""
    then, now = report.get("bounds", {}), policy.bounds
    if then != now:
        raise TactError(
            f"run={run}: its report was judged by the bounds {_bounds(then)}, and the "
            f"policy now has {_bounds(now)}; restore policy.bounds in config.yaml, or {again}"
        )
    if report.get("config_sha256") != compose.fingerprint(config):
        raise TactError(
            f"run={run}: config.yaml is not the one that its report was made with; restore "
            f"it, or {again}"
        )


def _bounds(bounds: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={bound:g}" for name, bound in bounds.items()) or "none"


def _again(run: RunFolder, stages: Sequence[StageState]) -> str:
    return (
        f"measure again, then export: python -m evaluation run={run.name} "
        f"stage={stages[-1].stage} again=true"
    )


def _not_met(
    policy: Policy,
    report: Content | None,
    ledger: Content | None,
    *,
    allow: Sequence[str],
    run: str,
) -> dict[str, str]:
    """Bounds that are not met, though allowed, with what was found; TactError on any other."""
    for name in allow:
        if name not in policy.bounds:
            raise TactError(
                f"export.allow: policy={policy.name} has no bound {name!r}; it has: "
                f"{', '.join(policy.bounds) or 'none'}"
            )
    found = {}
    for name, bound in policy.bounds.items():
        said = _epsilon(ledger, bound) if name == "epsilon" else _measured(report, name)
        if said is not None:
            found[name] = said
    refused = [name for name in found if name not in allow]
    if refused:
        name = refused[0]
        raise TactError(
            f"run={run}: policy={policy.name} bounds {name} by {policy.bounds[name]:g} and that is "
            f"not met. {found[name]} Train on, or let it through by allow=[{','.join(refused)}]: "
            "the card then says so in its first lines"
        )
    return found


def _measured(report: Content | None, name: str) -> str | None:
    """What a report found that doesn't meet the bound; None where it is met."""
    mine = [f for f in (report or {}).get("findings", []) if f.get("bound") == name]
    if not mine:
        return "Nothing measured it."
    missed = [f for f in mine if f["status"] != "met"]
    if not missed:
        return None
    warned = " ".join((report or {})["warnings"]) if missed[0]["status"] == "open" else ""
    return f"{missed[0]['found']} {warned}".strip()


def _epsilon(ledger: Mapping[str, Any] | None, bound: float) -> str | None:
    if ledger is None:
        return "There was no differential privacy: ε is infinite."
    return None if ledger["epsilon"] <= bound else f"The ledger states {ledger['statement']}."
