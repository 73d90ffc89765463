"""What a config promises: the private stages, their sampling rates, one σ for all, and ε by stage.

Nothing is loaded: units are a public number of the config, never a count of private rows. What a
parent's private stages have spent is on the same account, whoever they read: people who are in both
runs are covered, and those who are in one are covered better than is said.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from conf import rules
from conf.schema import Config
from lineage.errors import TactError
from privacy.accounting import Event, epsilon
from privacy.calibration import noise_multiplier

NOT_ACCOUNTED = (
    "validation or any other figure on private rows",
    "choice of a checkpoint or of hyper-parameters by such figures",
    "the seed, where several were tried",
    "class weights and counts taken from private rows",
    "whether more than data.max_rejects of the rows are bad (pass or fail)",
    "whether each tensor's clipped gradient was ever other than zero (pass or fail)",
    "whether a stage kept any pair at all (pass or fail)",
    "whom a pretrained model saw, or a scorer of your own",
    "what the floating-point digits of a release tell (noise is not discrete)",
    "other runs on the same people: two children of one parent, the runs of a sweep",
)


@dataclass(frozen=True)
class Inherited:
    """What a parent's stage has released, and of whose weights that was."""

    run: str
    weights_sha256: str
    event: Event


@dataclass(frozen=True)
class Plan:
    """The mechanism of a whole run."""

    unit: str
    units: int
    delta: float
    epsilon: float
    max_grad_norm: float
    rows_per_unit: int
    events: tuple[Event, ...]
    inherited: tuple[Inherited, ...] = ()

    @property
    def spent(self) -> list[Event]:
        """What parents had released before this run began."""
        return [each.event for each in self.inherited]

    @property
    def bare(self) -> "Plan":
        """The same without its own noise: what the config alone decides."""
        return replace(self, events=tuple(replace(e, noise_multiplier=0.0) for e in self.events))

    @property
    def noise_multiplier(self) -> float:
        """σ/C, the same in all stages; 0 where no stage is private."""
        return self.events[0].noise_multiplier if self.events else 0.0

    def event(self, stage: str) -> Event:
        """The stage's own."""
        return next(e for e in self.events if e.stage == stage)


def private_stages(config: Config, *, taken: Collection[str] = ()) -> list[str]:
    """Stages whose people are not declared public, less those ``taken`` from a parent."""
    names = [s for s in config.steps if s not in rules.OTHER_STEPS]
    names += [s for s in config.stages or [] if s not in names]
    return [n for n in names if n not in taken and not rules.is_public(config, config.stage[n])]


def bare(
    config: Config, inherited: Sequence[Inherited] = (), *, taken: Collection[str] = ()
) -> Plan:
    """The plan without its noise. ``taken``: stages that a parent has trained, for free or not."""
    wanted = config.privacy
    assert wanted.epsilon is not None and wanted.units is not None
    rate = wanted.expected_batch_units / wanted.units
    return Plan(
        unit=wanted.unit,
        units=wanted.units,
        delta=wanted.delta,
        epsilon=wanted.epsilon,
        max_grad_norm=wanted.max_grad_norm,
        rows_per_unit=wanted.rows_per_unit,
        events=tuple(
            Event(name, rate, 0.0, wanted.max_grad_norm, config.stage[name].steps)
            for name in private_stages(config, taken=taken)
        ),
        inherited=tuple(inherited),
    )


def calibrated(made: Plan) -> Plan:
    """The plan with one noise for all its stages, so that they and what is spent meet the budget.

    Takes seconds. Raises TactError where the budget can't be met, or is spent already.
    """
    already = epsilon(made.spent, delta=made.delta)
    releases = any(event.steps for event in made.events)  # a stage that draws releases nothing
    if already > made.epsilon or (releases and already == made.epsilon):
        raise TactError(
            f"privacy.epsilon={made.epsilon:g} is spent: the parent's stages have taken "
            f"epsilon={already:.4g} at delta={made.delta:g}. Give a larger privacy.epsilon, or a "
            "parent that has spent less (parent=RUN@STAGE)"
        )
    if not releases:
        return made
    sigma = noise_multiplier(made.events, epsilon=made.epsilon, delta=made.delta, spent=made.spent)
    return replace(made, events=tuple(replace(e, noise_multiplier=sigma) for e in made.events))


def by_stage(made: Plan) -> list[dict[str, Any]]:
    """ε of each stage alone, and of all up to it; a parent's stages first."""
    found, so_far = [], list[Event]()
    runs = [each.run for each in made.inherited] + [None] * len(made.events)
    for run, event in zip(runs, [*made.spent, *made.events], strict=True):
        so_far.append(event)
        found.append(
            {**asdict(event), "run": run,
             "epsilon_alone": epsilon([event], delta=made.delta),
             "epsilon_so_far": epsilon(so_far, delta=made.delta)}
        )  # fmt: skip
    return found
