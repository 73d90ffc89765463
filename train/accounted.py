"""What ties a run's private stages to its key, its ledger and its units."""

from collections.abc import Mapping, Sequence

from datasets import Dataset

from conf import compose
from conf.schema import Config
from data.encoded import EncodedSet
from lineage import files
from lineage.errors import TactError
from lineage.run import INHERITED, RunFolder, StageState
from privacy import keys, parents
from privacy.ledger import NAME, Ledger
from privacy.plan import Inherited, bare, calibrated, private_stages
from privacy.records import Records
from train.private import Mechanism
from train.units import check_named, units_of


def begin(config: Config, run: RunFolder, splits: Mapping[str, Dataset]) -> None:
    """Have the run's ledger begun with its plan, once before its steps.

    Raises TactError where the budget can't be met or is spent, the ledger is of another plan or
    gone, an earlier stage read private rows without DP, or rows name nobody.
    """
    states = parents.taken(run)
    taken = [state.stage for state in states]
    if config.privacy.unit == "subject":
        for split in {config.stage[name].people for name in private_stages(config, taken=taken)}:
            check_named(splits[split], split=split)
    if (run.path / NAME).exists():
        inherited: Sequence[Inherited] = Ledger.read(run.path).plan.inherited
    else:
        _check_fresh(run)
        _check_public(config, run, states)
        inherited = parents.charges(config, states)
    wanted = bare(config, inherited, taken=taken)
    ledger = Ledger.begin(run.path, wanted, key_known=config.privacy.fixed_key is not None)
    closed = ledger.content["weights_sha256"]
    for state in run.finished_stages():
        if state.stage in ledger.content["charged"] and state.stage not in closed:
            close(run, state.stage)  # the process died as it ended


def foresee(config: Config) -> None:
    """What ``begin`` can refuse before there is a run. Raises TactError."""
    calibrated(parents.foreseen(config))


def _check_public(config: Config, run: RunFolder, states: Sequence[StageState]) -> None:
    """TactError where somebody whom a parent read as public may be private here."""
    if not states or not private_stages(config, taken=[s.stage for s in states]):
        return
    parent = parents.folder(config)
    theirs = compose.from_yaml(parent.path / "config.yaml")
    if theirs.data.source != config.data.source:
        return  # other people, as far as can be told
    public = {theirs.stage[s.stage].people for s in states if s.public and s.stage in theirs.stage}
    if parent.read().data_fingerprint != run.read().data_fingerprint:
        raise TactError(
            f"parent={config.parent} dealt the same source's people to other splits: somebody whom "
            "it read as public may be private here. Take its seed and data.people"
        )
    if odd := sorted(public - set(config.data.public)):
        raise TactError(
            f"parent={config.parent} read {', '.join(odd)} as public people, without DP; here they "
            f"are private. Declare them in data.public, or start from another parent"
        )


def _check_fresh(run: RunFolder) -> None:
    """TactError where a stage was begun under a ledger that is gone: nobody knows its charges."""
    lost = [s.stage for s in run.read().stages if s.state != INHERITED and not s.public]
    if lost:
        raise TactError(
            f"{NAME} is gone, and stage {lost[0]} has read people who are not public: no epsilon "
            "can be told. Restore the file, or begin another run"
        )


def have_key(config: Config, run: RunFolder) -> None:
    """Have the run's key made, so that every process finds the same."""
    keys.open_key(run.private, fixed=config.privacy.fixed_key)


def mechanism(config: Config, name: str, run: RunFolder, encoded: EncodedSet) -> Mechanism:
    """The mechanism of a private stage: what was planned, the key, the units of its rows."""
    ledger = Ledger.read(run.path)
    wanted = config.privacy
    return Mechanism(
        event=ledger.plan.event(name),
        units=units_of(encoded.subjects, wanted.unit),
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
    """Once all private stages are done, remove the key and note what the ledger ended with."""
    if not (run.path / NAME).exists():
        return
    done, private = {s.stage for s in run.finished_stages()}, private_stages(config)
    if set(private) <= done:
        keys.forget(run.private)
        for name in private:
            Records(run.private, name).forget()
        manifest = run.read()
        manifest.ledger_sha256 = Ledger.read(run.path).digest
        run.write(manifest)
