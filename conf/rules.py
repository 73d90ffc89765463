"""Pairs of options that cannot hold together, said before anything is loaded."""

import re
from collections.abc import Iterator

from conf import devices, privacy, sampling
from conf.schema import Config, SiteConfig, StageConfig

PARTS = ("tower", "interface", "language_model", "lora", "reader", "facts")
OTHER_STEPS = ("report", "export")
HARMLESS = (  # may differ where a run goes on
    "run", "dry_run", "json", "progress", "steps", "stages", "checkpoints", "cache",
    "threads", "site", "report", "export", "validate_every_steps",
    "licence.name", "licence.link", "licence.allows",
)  # fmt: skip
SPREAD = ("devices", "nodes", "strategy", "accumulate")  # without DP: the figures are the same


def harmless(config: Config) -> tuple[str, ...]:
    """Keys that may differ where a run goes on.

    On other processes a step's sum differs in its last digits; with DP a replay of it is charged.
    """
    return HARMLESS if config.privacy.epsilon is not None else (*HARMLESS, *SPREAD)


def problems(config: Config) -> Iterator[str]:
    """One message for each thing that is wrong, each with key, value and fix."""
    yield from _interface(config)
    yield from _steps(config)
    known = [name for name in stage_names(config) if name in config.stage]
    private = [name for name in known if is_private(config, config.stage[name])]
    for name in known:
        stage = config.stage[name]
        yield from _people(name, stage, config)
        if stage.sample is not None:
            yield from sampling.of_stage(name, stage)
            continue
        yield from _stage(name, stage)
        yield from sampling.of_user(name, stage, config)
        yield from devices.of_stage(name, stage, config, private=name in private)
    yield from _model(config)
    yield from _site(config.site)
    yield from export_problems(config)
    if config.privacy.epsilon is not None:
        yield from privacy.of_config(config, private)


def stage_names(config: Config) -> list[str]:
    """The stages that this config runs, in order."""
    if config.stages is not None:
        return list(config.stages)
    return [step for step in config.steps if step not in OTHER_STEPS]


def is_public(config: Config, stage: StageConfig) -> bool:
    """Whether all people whom the stage reads are declared public."""
    return stage.people in config.data.public


def export_problems(config: Config) -> Iterator[str]:
    """What is wrong with ``export`` alone, which may be changed once a run is finished."""
    wanted = config.export
    if wanted.form not in ("merged", "adapter"):
        yield f"export.form={wanted.form}: choose merged or adapter"
    if wanted.form == "adapter" and config.model.interface.kind == "private":
        yield (
            "export.form=adapter needs model.interface.kind=open: a server half has words that its "
            "base lacks, so it is no adapter of it"
        )
    if wanted.form == "adapter" and config.model.id is None:
        yield "export.form=adapter needs model.id: without a pretrained model nothing is adapted"
    if wanted.dtype not in ("float32", "bfloat16"):
        yield f"export.dtype={wanted.dtype}: choose float32 or bfloat16"


def is_private(config: Config, stage: StageConfig) -> bool:
    """Whether the stage trains with differential privacy."""
    return config.privacy.epsilon is not None and not is_public(config, stage)


def _interface(config: Config) -> Iterator[str]:
    interface = config.model.interface
    if interface.kind not in ("open", "private"):
        yield (
            f"model.interface.kind={interface.kind}: choose open (tokens as they are) "
            "or private (a stated number of bits a picture)"
        )
    if interface.kind == "private":
        if interface.tokens < 1 or interface.bits < 1 or interface.bits % interface.tokens:
            near = _divisors(interface.bits)
            yield (
                f"model.interface.bits={interface.bits} does not divide into "
                f"model.interface.tokens={interface.tokens}: choose tokens of {near}"
            )
        elif interface.bits // interface.tokens > 16:
            yield (
                f"model.interface: {interface.bits // interface.tokens} bits a token would need "
                f"2^{interface.bits // interface.tokens} words a token; at most 16: raise "
                "model.interface.tokens"
            )


def _divisors(bits: int) -> str:
    return ", ".join(str(n) for n in range(1, bits + 1) if bits % n == 0 and bits // n <= 16)


def _steps(config: Config) -> Iterator[str]:
    known = [*config.stage, *OTHER_STEPS]
    for step in [*config.steps, *(config.stages or [])]:
        if step not in known:
            yield f"steps: unknown step {step!r}; known: {', '.join(known)}{sampling.hint(step)}"
    names = stage_names(config)
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        yield f"steps: {', '.join(sorted(repeated))} stands twice; a run trains each stage once"


def _people(name: str, stage: StageConfig, config: Config) -> Iterator[str]:
    where = f"stage.{name}"
    if stage.public_only and not is_public(config, stage):
        yield (
            f"{where}.people={stage.people}: this stage takes public people only; use one of "
            f"{config.data.public}, or declare the split in data.public if its people are public"
        )
    if config.data.people and stage.people not in config.data.people:
        yield f"{where}.people={stage.people}: no such split; there are {list(config.data.people)}"


def _stage(name: str, stage: StageConfig) -> Iterator[str]:
    where = f"stage.{name}"
    for part in stage.train:
        if part not in PARTS:
            yield f"{where}.train: unknown part {part!r}; known: {', '.join(PARTS)}"
    if "lora" in stage.train and "language_model" in stage.train:
        yield f"{where}.train: lora and language_model exclude each other; keep one"
    if stage.columns not in ("messages", "preference"):
        yield f"{where}.columns={stage.columns}: choose messages or preference"
    if stage.references not in ("adapter_off", "cached", "none"):
        yield f"{where}.references={stage.references}: choose adapter_off, cached or none"
    if (
        stage.columns == "preference"
        and "lora" not in stage.train
        and (stage.references == "adapter_off")
    ):
        yield f"{where}.references=adapter_off needs lora in {where}.train; or use cached"
    if stage.optimizer not in ("adamw", "sgd"):
        yield f"{where}.optimizer={stage.optimizer}: choose adamw or sgd"
    if not stage.train:
        yield f"{where}.train=[]: nothing would train; name parts of: {', '.join(PARTS)}"
    if (stage.epochs is None and stage.steps < 1) or stage.batch_size_rows < 1:
        yield f"{where}: steps (or epochs) and batch_size_rows must be at least 1"
    if stage.epochs is not None and stage.epochs <= 0:
        yield f"{where}.epochs={stage.epochs:g}: it must be above 0, or null where steps count"
    if "adversarial_tokens" in stage.losses and "interface" not in stage.train:
        yield (
            f"{where}.losses.adversarial_tokens has an effect only where the interface trains: "
            f"add interface to {where}.train or drop the loss"
        )
    if not any(float(settings.get("weight", 1.0)) for settings in stage.losses.values()):
        yield f"{where}.losses: none has a weight; give one a weight above 0"
    for loss, settings in stage.losses.items():
        if not settings.get("_target_"):
            yield f"{where}.losses.{loss}: needs a _target_ (a function of a train.terms.Step)"


def _model(config: Config) -> Iterator[str]:
    model = config.model
    if (model.id is None) == (model.parts is None):
        yield "model: give either model.id (a Hub id or folder) or model.parts, not both or none"
    if model.attention not in ("sdpa", "eager"):
        yield (
            f"model.attention={model.attention}: choose sdpa or eager (others are refused until "
            "shown equal on one-sequence pairs)"
        )
    if model.pairs not in ("one_sequence", "two_rows"):
        yield f"model.pairs={model.pairs}: choose one_sequence or two_rows"
    for kind in model.adversaries:
        if kind not in ("linear", "mlp", "attention"):
            yield f"model.adversaries: unknown {kind!r}; known: linear, mlp, attention"
    yield from _validation(config)
    yield from devices.problems(config)


def _validation(config: Config) -> Iterator[str]:
    every = config.trainer.validate_every_steps
    people = config.data.people
    if every < 0:
        yield f"trainer.validate_every_steps={every}: 0 (at a stage's end) or more"
    if every and (not config.trainer.validation_rows or (people and not people.get("validation"))):
        yield (
            f"trainer.validate_every_steps={every} needs people to validate on: give "
            "data.people.validation and trainer.validation_rows, or set it to 0"
        )


def _site(site: SiteConfig) -> Iterator[str]:
    if site.scheduler not in ("local", "slurm"):
        yield f"site.scheduler={site.scheduler}: choose local or slurm"
    if site.wrap.count("{command}") != 1:
        yield f"site.wrap={site.wrap!r}: it must say once where the job's {{command}} goes"
    for name, value, least in (("cpus", site.cpus, 1), ("gpus", site.gpus, 0),
                               ("signal_s", site.signal_s, 1)):  # fmt: skip
        if value < least:
            yield f"site.{name}={value}: it must be at least {least}"
    if not re.fullmatch(TIME, site.time):
        yield f"site.time={site.time}: write it as Slurm does, such as 30 (minutes) or 1-12:00:00"
    if site.memory is not None and not re.fullmatch(MEMORY, site.memory):
        yield f"site.memory={site.memory}: write it as Slurm does, such as 32G or 4000 (MiB)"
    if odd := [name for name in site.environment if not name.isidentifier()]:
        yield f"site.environment: {odd[0]!r} is no name of a variable"


TIME = r"\d+-\d+(:\d+){0,2}|\d+(:\d+){0,2}"  # [days-]hours:minutes:seconds and the like
MEMORY = r"\d+([KMGTkmgt][Bb]?)?"
