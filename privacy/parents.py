"""What a run takes over of its parent's account.

A child's weights depend on all that its parent's stages released. So their events stand first in
the child's ledger, and the child's own noise is calibrated so that all together meet its budget.
"""

from collections.abc import Sequence

from conf import compose
from conf.schema import Config
from lineage.errors import TactError
from lineage.place import place
from lineage.run import INHERITED, RunFolder, StageState
from privacy import verify
from privacy.ledger import NAME
from privacy.plan import Inherited, Plan, bare

INFINITE = (
    "epsilon is infinite whatever this run does. Start from a stage on public people "
    "(data.public), or from a run with privacy.epsilon"
)


def foreseen(config: Config) -> Plan:
    """The plan of a run that has not begun, without its noise; its parent is looked at alone."""
    run = RunFolder(place(config.checkpoints) / config.run)
    states = taken(run)
    if config.parent and not states:
        upto = config.parent.partition("@")[2]
        states = run.offered(folder(config), upto or None)
    return bare(config, charges(config, states), taken=[s.stage for s in states])


def taken(run: RunFolder) -> list[StageState]:
    """The stages that a run has from its parent."""
    return [state for state in run.read().stages if state.state == INHERITED]


def folder(config: Config) -> RunFolder:
    """The parent's. TactError where there is none."""
    assert config.parent is not None
    name = config.parent.partition("@")[0]
    return RunFolder.existing(name, checkpoints=place(config.checkpoints))


def charges(config: Config, states: Sequence[StageState]) -> list[Inherited]:
    """What the parent's ledger charges for those of its ``states`` that read private people.

    TactError where such a stage has no valid charge: then ε is infinite whatever a child does.
    """
    private = [state for state in states if not state.public]
    if not private:
        return []
    parent = folder(config)
    theirs = compose.from_yaml(parent.path / "config.yaml")
    where = f"parent={config.parent}: its stage {private[0].stage} read people who are not public"
    if theirs.privacy.epsilon is None or not (parent.path / NAME).exists():
        raise TactError(f"{where}, without DP; {INFINITE}")
    ledger = verify.verified(theirs, parent)
    if ledger.key_known:
        raise TactError(f"{where}, and the key of its noise is known; {INFINITE}")
    if ledger.plan.unit != config.privacy.unit:
        raise TactError(
            f"{where}, with privacy.unit={ledger.plan.unit}: its charges say nothing of a "
            f"{config.privacy.unit}; take privacy.unit={ledger.plan.unit}"
        )
    found = {each.event.stage: each for each in ledger.bequest(parent.name)}
    for state in private:
        each = found.get(state.stage)
        if each is None or each.weights_sha256 != state.weights_sha256:
            raise TactError(
                f"parent={config.parent}: its ledger has no charge for the weights of stage "
                f"{state.stage}; {INFINITE}"
            )
    return [found[state.stage] for state in private]
