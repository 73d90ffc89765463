"""Whether a run's ledger, config, manifest and weights tell one story."""

from typing import Any

from conf.schema import Config
from lineage.errors import TactError
from lineage.run import RunFolder
from privacy.accounting import RELATION
from privacy.ledger import NAME, Ledger
from privacy.plan import private_stages


def verified(config: Config, run: RunFolder) -> Ledger:
    """The run's ledger. TactError names what doesn't fit: file, plan, steps or weights."""
    ledger = Ledger.read(run.path)
    charged, weights = ledger.content["charged"], ledger.content["weights_sha256"]
    wanted = private_stages(config)
    if sorted(charged) != sorted(wanted):
        raise TactError(f"{NAME} is of stages {sorted(charged)}, the config's are {wanted}")
    for state in run.finished_stages():
        if state.stage not in wanted:
            continue
        if charged[state.stage] < state.steps:
            raise TactError(
                f"{NAME}: stage {state.stage} took {state.steps} steps and {charged[state.stage]} "
                "are charged"
            )
        if weights.get(state.stage) != state.weights_sha256:
            raise TactError(f"{NAME}: stage {state.stage} has other weights than those charged")
    return ledger


def sentence(config: Config, run: RunFolder) -> str | None:
    """What a report says of ε so far; None without DP or where the key is known."""
    if config.privacy.epsilon is None:
        return None
    ledger = Ledger.read(run.path)
    return None if ledger.key_known else _sentence(ledger)


def _sentence(ledger: Ledger) -> str:
    plan = ledger.plan
    return (
        f"({ledger.epsilon():.3g}, {plan.delta:g})-DP with respect to adding or removing "
        f"one {plan.unit}, for the stages on people who are not public"
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
        "not_accounted": content["not_accounted"],
        "statement": _sentence(ledger),
    }
