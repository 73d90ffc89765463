"""Rules of ``trainer``: devices, nodes, strategy, precision, how a step is split."""

from collections.abc import Iterator

from conf.schema import Config, StageConfig, TrainerConfig

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true")
WHOLE = ("auto", "ddp")  # each process has all weights and all gradients
SHARDED = ("fsdp2", "zero2", "zero3")
STRATEGIES = (*WHOLE, *SHARDED)
MIXING = ("train.terms.rate",)  # losses in which a row's value depends on other rows


def world(trainer: TrainerConfig) -> int:
    """Processes of a run, one a device."""
    return trainer.devices * trainer.nodes


def problems(config: Config) -> Iterator[str]:
    """One message for each thing that is wrong with ``trainer`` itself."""
    trainer = config.trainer
    for name in ("devices", "nodes", "accumulate"):
        if (value := getattr(trainer, name)) < 1:
            yield f"trainer.{name}={value}: it must be at least 1"
    if trainer.precision not in PRECISIONS:
        yield f"trainer.precision={trainer.precision}: choose {', '.join(PRECISIONS)}"
    yield from _strategy(config)


def _strategy(config: Config) -> Iterator[str]:
    trainer = config.trainer
    strategy, count = trainer.strategy, world(trainer)
    if config.privacy.epsilon is not None and strategy not in WHOLE:
        yield (
            f"trainer.strategy={strategy}: a unit's gradient is clipped as a whole, and "
            "strategies that shard gradients or weights (ZeRO, FSDP) have it nowhere; with "
            "privacy.epsilon use trainer.strategy=ddp"
        )
    elif strategy not in STRATEGIES:
        yield f"trainer.strategy={strategy}: choose {', '.join(STRATEGIES)}"
    elif count > 1 and strategy == "auto":
        yield (
            f"trainer.devices={trainer.devices} trainer.nodes={trainer.nodes}: say "
            "trainer.strategy=ddp, or one that shards weights (fsdp2, zero2, zero3)"
        )
    elif count == 1 and strategy in SHARDED:
        yield (
            f"trainer.strategy={strategy} shards over several devices and there is one: give "
            "trainer.devices=2 or more, or trainer.strategy=auto"
        )
    elif strategy.startswith("zero") and trainer.precision == "bf16-true":
        yield (
            f"trainer.precision=bf16-true: trainer.strategy={strategy} keeps weights in float32; "
            "use bf16-mixed, or trainer.strategy=fsdp2"
        )


def of_stage(name: str, stage: StageConfig, config: Config, *, private: bool) -> Iterator[str]:
    """What of a stage can't be split so."""
    parts, count = config.trainer.accumulate, world(config.trainer)
    if parts < 1 or count < 1:
        return
    if private:
        if parts > 1:
            yield (
                f"trainer.accumulate={parts}: stage {name} has privacy.epsilon, and its steps are "
                "split by privacy.physical_batch_rows; set trainer.accumulate=1"
            )
    elif stage.batch_size_rows % (parts * count):
        near = max(1, round(stage.batch_size_rows / (parts * count))) * parts * count
        yield (
            f"stage.{name}.batch_size_rows={stage.batch_size_rows} does not divide by "
            f"{count} processes x trainer.accumulate={parts}: set it to {near}"
        )
    if parts > 1 and (mixed := mixing(stage)):
        yield (
            f"stage.{name}.losses.{mixed[0]}: it mixes the rows of a step, so a step can't be "
            "split; set trainer.accumulate=1"
        )


def mixing(stage: StageConfig) -> list[str]:
    """The stage's losses in which a row's value depends on other rows."""
    return [
        name
        for name, settings in stage.losses.items()
        if settings.get("_target_") in MIXING and float(settings.get("weight", 1.0))
    ]
