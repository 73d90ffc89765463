"""Plans and ledgers as tables."""

from typing import Any

from rich.console import Console
from rich.table import Table

from conf import compose
from conf.schema import Config
from lineage.errors import TactError
from lineage.run import RunFolder
from privacy import verify as check
from privacy.accounting import RELATION
from privacy.ledger import Ledger
from privacy.parents import foreseen
from privacy.plan import NOT_ACCOUNTED, by_stage, calibrated


def planned(config: Config) -> dict[str, Any]:
    """Noise, steps and ε by stage of a config; nothing is loaded. TactError without DP."""
    if config.privacy.epsilon is None:
        raise TactError(
            "privacy.epsilon is null: no differential privacy, epsilon is infinite for everyone "
            "who is not public. Give privacy.epsilon=8 privacy.units=N"
        )
    made = calibrated(foreseen(config))
    rows = by_stage(made)
    if not config.json:
        _table(rows, title=f"σ = {made.noise_multiplier:.4g} · C, δ = {made.delta:g}, "
                           f"relation: {RELATION} ({made.unit})")  # fmt: skip
    return {"noise_multiplier": made.noise_multiplier, "delta": made.delta, "unit": made.unit,
            "relation": RELATION, "stages": rows, "not_accounted": list(NOT_ACCOUNTED)}  # fmt: skip


def charged(run: RunFolder, *, verify: bool, quiet: bool) -> dict[str, Any]:
    """What a run's ledger holds; with ``verify`` also whether all fits. TactError."""
    config = compose.from_yaml(run.path / "config.yaml")
    ledger = check.verified(config, run) if verify else Ledger.read(run.path)
    content, plan_ = ledger.content, ledger.plan
    found = {
        "run": run.name, "epsilon": None if ledger.key_known else ledger.epsilon(),
        "epsilon_rdp": None if ledger.key_known else ledger.epsilon(accountant="rdp"),
        "delta": plan_.delta, "unit": plan_.unit, "relation": RELATION,
        "charged": content["charged"], "inherited": content["plan"].get("inherited", []),
        "key_known": ledger.key_known, "verified": verify,
        "not_accounted": content["not_accounted"],
    }  # fmt: skip
    if not quiet:
        said = "not valid: key known" if ledger.key_known else f"{found['epsilon']:.4g}"
        console = Console()
        console.print(
            f"run={run.name}: epsilon {said} at delta {plan_.delta:g}, {RELATION} "
            f"({plan_.unit}); steps charged: {content['charged']}"
        )
        for each in plan_.inherited:
            console.print(
                f"of run={each.run}: stage {each.event.stage}, {each.event.steps} steps at σ = "
                f"{each.event.noise_multiplier:.4g} · C, weights {each.weights_sha256[:12]}"
            )
        console.print("not accounted: " + "; ".join(content["not_accounted"]))
    return found


def _table(rows: list[dict[str, Any]], *, title: str) -> None:
    table = Table(title=title)
    for name in ("stage", "steps", "sampling rate", "epsilon alone", "epsilon so far"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for row in rows:
        whose = f"{row['run']}: " if row["run"] else ""
        table.add_row(whose + row["stage"], str(row["steps"]), f"{row['sample_rate']:.4g}",
                      f"{row['epsilon_alone']:.3f}", f"{row['epsilon_so_far']:.3f}")  # fmt: skip
    Console().print(table)
