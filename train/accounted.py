"""What ties a run's private stages to its key, its ledger and its units."""

from conf.schema import Config
from lineage import files
from lineage.errors import TactError
from lineage.run import INHERITED, RunFolder
from privacy import keys
from privacy.ledger import NAME, Ledger
from privacy.plan import plan, private_stages
from privacy.records import Records
from train.private import Mechanism
from train.rows import EncodedSet
from train.units import units_of


def begin(config: Config, run: RunFolder) -> None:
    """Have the run's ledger begun with its plan, once before its steps.

    Raises TactError where the budget can't be met, the ledger is of another plan, or an earlier
    stage read private rows without DP: then no ε holds.
    """
    for state in run.read().stages:
        if state.state == INHERITED and not state.public:
            raise TactError(
                f"parent={config.parent}: its stage {state.stage} may have read people who are not "
                "public, without DP or under a ledger that ended; epsilon is infinite whatever "
                "this run does. Start from a stage on public people (data.public)"
            )
    Ledger.begin(run.path, plan(config), key_known=config.privacy.fixed_key is not None)


def have_key(config: Config, run: RunFolder) -> None:
    """Have the run's key made, so that every process finds the same."""
    keys.open_key(run.private, fixed=config.privacy.fixed_key)


def mechanism(config: Config, name: str, run: RunFolder, encoded: EncodedSet) -> Mechanism:
    """The mechanism of a private stage: what was planned, the key, the units of its rows."""
    ledger = Ledger.read(run.path)
    wanted = config.privacy
    return Mechanism(
        event=ledger.plan.event(name),
        units=units_of(encoded.rows, wanted.unit),
        expected_units=wanted.expected_batch_units,
        rows_per_unit=wanted.rows_per_unit,
        physical_rows=wanted.physical_batch_rows,
        key=keys.open_key(run.private, fixed=wanted.fixed_key),
        ledger=ledger,
        records=Records(run.private, name),
        metrics=run.private / f"metrics-{name}.jsonl",
    )


def close(run: RunFolder, name: str) -> None:
    """Note the stage's weights in the ledger, and drop what tells its steps apart."""
    Ledger.read(run.path).close(name, files.sha256(run.weights(name)))
    Records(run.private, name).forget()


def forget(config: Config, run: RunFolder) -> None:
    """Once all private stages are done, remove the key."""
    if not (run.path / NAME).exists():
        return
    done = {s.stage for s in run.finished_stages()}
    if set(private_stages(config)) <= done:
        keys.forget(run.private)
