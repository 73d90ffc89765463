"""Rules of stages that draw pairs from the model (``sample``) and of those that train on them."""

from collections.abc import Iterator
from pathlib import Path

from conf.schema import Config, SampleConfig, StageConfig

OWN = "data.dialogues.scoring."  # scorers of ours: constants and templates, nobody's data
STAGES = Path(__file__).resolve().parent / "stage"


def of_stage(name: str, stage: StageConfig) -> Iterator[str]:
    """What is wrong with a stage that samples."""
    where = f"stage.{name}"
    wanted = stage.sample
    assert wanted is not None
    if stage.train or stage.losses or stage.steps or stage.epochs:
        yield (
            f"{where}.sample: the stage draws answers and trains nothing; set {where}.train=[], "
            f"{where}.losses={{}}, {where}.steps=0 and no epochs, and train in a stage of its own"
        )
    if stage.rows_from is not None:
        yield f"{where}.rows_from={stage.rows_from}: this stage samples; name it in another stage's"
    if stage.batch_size_rows < 1:
        yield f"{where}.batch_size_rows={stage.batch_size_rows}: it must be at least 1"
    if not wanted.score.get("_target_"):
        yield f"{where}.sample.score: needs a _target_ (a function of rows and answers)"
    yield from _numbers(f"{where}.sample", wanted)


def _numbers(where: str, wanted: SampleConfig) -> Iterator[str]:
    if wanted.answers < 2:
        yield f"{where}.answers={wanted.answers}: a pair takes 2 at least"
    if wanted.max_new_tokens < 1:
        yield f"{where}.max_new_tokens={wanted.max_new_tokens}: it must be at least 1"
    if wanted.penalty < 0:
        yield f"{where}.penalty={wanted.penalty}: it must be 0 or more"
    for key in ("temperature", "min_gap"):
        if (value := getattr(wanted, key)) <= 0:
            yield f"{where}.{key}={value}: it must be above 0"


def of_user(name: str, stage: StageConfig, config: Config) -> Iterator[str]:
    """What is wrong with a stage that trains on another's pairs."""
    source = stage.rows_from
    if source is None:
        return
    where = f"stage.{name}.rows_from={source}"
    if source not in config.stage or config.stage[source].sample is None:
        yield f"{where}: no stage of that name samples{hint(source)}"
        return
    if stage.columns != "preference":
        yield f"{where}: it draws pairs; set stage.{name}.columns=preference"
    if stage.people != config.stage[source].people:
        yield (
            f"{where}: it asks data.people.{config.stage[source].people}, and this stage reads "
            f"data.people.{stage.people}; people stay in their split: give both stages one"
        )
    if config.stages is not None:
        return  # what the run has from before is looked at when it is there
    before = config.steps[: config.steps.index(name)] if name in config.steps else config.steps
    if source not in before and (source in config.steps or not config.parent):
        yield (
            f"{where}: steps has no {source} before {name}; put it there, or start from a run that "
            f"has sampled (parent=RUN@{source})"
        )


def under_dp(name: str, stage: StageConfig) -> Iterator[str]:
    """What of a stage that samples from private people no ledger could account for."""
    assert stage.sample is not None
    target = str(stage.sample.score.get("_target_"))
    if not (target.startswith(OWN) or stage.sample.score_public):
        yield (
            f"stage.{name}.sample.score._target_={target}: pairs of private people may depend on "
            "their own rows, public data and accounted models alone. If it learned from public "
            f"people alone, say stage.{name}.sample.score_public=true; else score without it"
        )


def hint(step: str) -> str:
    """How a stage that is shipped and not in the config comes into it."""
    if (STAGES / f"{step}.yaml").exists():
        return f" (conf/stage has {step}: add +stage@stage.{step}={step})"
    return ""
