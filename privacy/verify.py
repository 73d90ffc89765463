"""Whether a run's ledger, config, manifest and weights tell one story."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from conf.schema import Config
from lineage.errors import TactError
from lineage.run import INHERITED, RunFolder, StageState
from privacy.accounting import RELATION
from privacy.calibration import TOLERANCE
from privacy.ledger import NAME, Ledger
from privacy.plan import Plan, bare, calibrated


def verified(config: Config, run: RunFolder) -> Ledger:
    """The run's ledger. TactError names what doesn't fit: file, plan, noise, steps or weights."""
    ledger, manifest = Ledger.read(run.path), run.read()
    taken = [state for state in manifest.stages if state.state == INHERITED]
    _check_inherited(ledger.plan, taken, run)
    _check_plan(config, ledger.plan, taken)
    _check_steps(ledger, run)
    if manifest.ledger_sha256 not in (None, ledger.digest):
        raise TactError(f"{NAME} is not as the run's last private stage left it")
    return ledger


def _check_plan(config: Config, made: Plan, taken: Sequence[StageState]) -> None:
    """The config's own plan is made again and compared, noise and all."""
    wanted = bare(config, made.inherited, taken=[state.stage for state in taken])
    if wanted != made.bare:
        odd = [f.name for f in fields(Plan)
               if getattr(wanted, f.name) != getattr(made.bare, f.name)]  # fmt: skip
        raise TactError(f"{NAME} is of another plan than the config's: {', '.join(odd)} differ")
    noise = {e.noise_multiplier for e in made.events}
    again = calibrated(wanted).noise_multiplier
    if any(abs(sigma - again) > 2 * TOLERANCE for sigma in noise):
        raise TactError(
            f"{NAME}: its noise multiplier is {max(noise):.4g}, and {again:.4g} meets the budget"
        )


def _check_steps(ledger: Ledger, run: RunFolder) -> None:
    charged, weights = ledger.content["charged"], ledger.content["weights_sha256"]
    own = [e.stage for e in ledger.plan.events]
    if sorted(charged) != sorted(own):
        raise TactError(f"{NAME} charges stages {sorted(charged)}, its plan is of {own}")
    for state in run.finished_stages():
        if state.stage not in own:
            continue
        if charged[state.stage] < state.steps:
            raise TactError(
                f"{NAME}: stage {state.stage} took {state.steps} steps and {charged[state.stage]} "
                "are charged"
            )
        if weights.get(state.stage) != state.weights_sha256:
            raise TactError(f"{NAME}: stage {state.stage} has other weights than those charged")


def _check_inherited(made: Plan, taken: Sequence[StageState], run: RunFolder) -> None:
    """Each stage from a parent stands once, in order, as its own run's ledger has it."""
    wanted = [(state.stage, state.weights_sha256) for state in taken if not state.public]
    if [(each.event.stage, each.weights_sha256) for each in made.inherited] != wanted:
        raise TactError(
            f"{NAME} inherits {[each.event.stage for each in made.inherited]}; of its parent the "
            f"run has {[stage for stage, _ in wanted]}, or with other weights"
        )
    for each in made.inherited:
        folder = run.path.parent / each.run
        if not (folder / NAME).exists():
            continue  # the parent is gone: what it was charged stands here alone
        theirs = {own.weights_sha256: own for own in Ledger.read(folder).bequest(each.run)}
        if theirs.get(each.weights_sha256, each) != each:
            raise TactError(
                f"{NAME}: what it inherits of run={each.run} stage {each.event.stage} is not what "
                "that run's ledger charged"
            )


def sentence(config: Config, run: RunFolder) -> str | None:
    """What a report says of ε so far; None without DP or where the key is known."""
    if config.privacy.epsilon is None:
        return None
    ledger = Ledger.read(run.path)
    return None if ledger.key_known else _sentence(ledger)


def _sentence(ledger: Ledger) -> str:
    plan = ledger.plan
    runs = ", ".join(dict.fromkeys(each.run for each in plan.inherited))
    return (
        f"({ledger.epsilon():.3g}, {plan.delta:g})-DP with respect to adding or removing "
        f"one {plan.unit}, for the stages on people who are not public"
        f"{f' (those of {runs} are counted in)' if runs else ''}"
    )


def stated(config: Config, run: RunFolder) -> dict[str, Any]:
    """What an export may say of ε. TactError where the key is known or the ledger doesn't fit."""
    ledger = verified(config, run)
    if ledger.key_known:
        raise TactError(
            "epsilon is not valid: key known (privacy.fixed_key is for tests); train without it"
        )
    content, plan = ledger.content, ledger.plan
    return {
        "epsilon": ledger.epsilon(),
        "epsilon_rdp": ledger.epsilon(accountant="rdp"),
        "delta": plan.delta,
        "unit": plan.unit,
        "relation": RELATION,
        "units": plan.units,
        "events": content["plan"]["events"],
        "charged_steps": content["charged"],
        "inherited": content["plan"].get("inherited", []),
        "not_accounted": content["not_accounted"],
        "statement": _sentence(ledger),
    }
