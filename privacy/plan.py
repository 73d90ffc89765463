"""What a config promises: the private stages, their sampling rates, one σ for all, and ε by stage.

Nothing is loaded: units are a public number of the config, never a count of private rows.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from conf import rules
from conf.schema import Config
from privacy.accounting import Event, epsilon, noise_multiplier

NOT_ACCOUNTED = (
    "validation or any other figure on private rows",
    "choice of a checkpoint or of hyper-parameters by such figures",
    "the seed, where several were tried",
    "class weights and counts taken from private rows",
    "whether each tensor's clipped gradient was ever other than zero (pass or fail)",
    "whom a pretrained model saw",
)


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

    @property
    def noise_multiplier(self) -> float:
        """σ/C, the same in all stages; 0 where no stage is private."""
        return self.events[0].noise_multiplier if self.events else 0.0

    def event(self, stage: str) -> Event:
        """The stage's own."""
        return next(e for e in self.events if e.stage == stage)


def private_stages(config: Config) -> list[str]:
    """Stages whose people are not declared public."""
    names = [s for s in config.steps if s not in rules.OTHER_STEPS]
    return [name for name in names if not rules.is_public(config, config.stage[name])]


def plan(config: Config) -> Plan:
    """The plan of ``config``, its noise calibrated over all private stages together.

    Takes seconds. Raises TactError where the budget can't be met.
    """
    wanted = config.privacy
    assert wanted.epsilon is not None and wanted.units is not None
    rate = wanted.expected_batch_units / wanted.units
    bare = [
        Event(name, rate, 0.0, wanted.max_grad_norm, config.stage[name].steps)
        for name in private_stages(config)
    ]
    sigma = 0.0
    if bare:
        sigma = noise_multiplier(bare, epsilon=wanted.epsilon, delta=wanted.delta)
    return Plan(
        unit=wanted.unit,
        units=wanted.units,
        delta=wanted.delta,
        epsilon=wanted.epsilon,
        max_grad_norm=wanted.max_grad_norm,
        rows_per_unit=wanted.rows_per_unit,
        events=tuple(replace(e, noise_multiplier=sigma) for e in bare),
    )


def by_stage(made: Plan) -> list[dict[str, Any]]:
    """ε of each stage alone, and of all up to it."""
    return [
        {**asdict(event), "epsilon_alone": epsilon([event], delta=made.delta),
         "epsilon_so_far": epsilon(made.events[: i + 1], delta=made.delta)}
        for i, event in enumerate(made.events)
    ]  # fmt: skip
