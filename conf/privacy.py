"""Rules of training with differential privacy that need nothing but the config."""

from collections.abc import Collection, Iterator

from conf import devices, sampling
from conf.schema import Config, StageConfig


def of_config(config: Config, private: Collection[str]) -> Iterator[str]:
    """What is wrong with ``privacy``, and with the ``private`` stages that it is about."""
    wanted = config.privacy
    assert wanted.epsilon is not None
    if wanted.epsilon <= 0:
        yield f"privacy.epsilon={wanted.epsilon}: it must be above 0; null trains without DP"
    if wanted.unit not in ("subject", "row"):
        yield f"privacy.unit={wanted.unit}: choose subject or row"
    if wanted.units is None or wanted.units < 1:
        yield (
            f"privacy.units={wanted.units}: give the public number of units (people, for "
            "privacy.unit=subject) whom the private stages may read"
        )
    elif not 0 < wanted.delta < 1 / wanted.units:
        yield (
            f"privacy.delta={wanted.delta}: it must be above 0 and below 1/privacy.units = "
            f"{1 / wanted.units:.2g}, or giving one unit's rows away would be allowed"
        )
    elif not 0 < wanted.expected_batch_units <= wanted.units:
        yield (
            f"privacy.expected_batch_units={wanted.expected_batch_units}: it must be above 0 and "
            f"at most privacy.units={wanted.units}"
        )
    for name, value in (("max_grad_norm", wanted.max_grad_norm),
                        ("rows_per_unit", wanted.rows_per_unit),
                        ("physical_batch_rows", wanted.physical_batch_rows)):  # fmt: skip
        if value <= 0:
            yield f"privacy.{name}={value}: it must be above 0"
    if config.model.lora.dropout:
        yield f"model.lora.dropout={config.model.lora.dropout}: set it to 0 with privacy.epsilon"
    for name in private:
        yield from _of_stage(name, config.stage[name])
    read = {config.stage[name].people for name in private}
    people = sum(config.data.people.get(split, 0) for split in read)
    if wanted.unit == "subject" and wanted.units and people > wanted.units:
        yield (
            f"privacy.units={wanted.units}: the private stages read {people} people "
            f"({', '.join(sorted(read))} of data.people); give at least that many"
        )


def _of_stage(name: str, stage: StageConfig) -> Iterator[str]:
    where = f"stage.{name}"
    if stage.sample is not None:
        yield from sampling.under_dp(name, stage)
        yield from _drawn(where, stage)
        return
    if stage.rows_from is None:
        yield from _drawn(where, stage)
    if stage.gradient_clip_norm:
        yield (
            f"{where}.gradient_clip_norm={stage.gradient_clip_norm}: privacy.max_grad_norm clips "
            f"each unit instead; set {where}.gradient_clip_norm=0"
        )
    if stage.epochs is not None:
        yield (
            f"{where}.epochs={stage.epochs:g}: how many rows private people have is no public "
            f"number, and steps are what is accounted; set {where}.steps and {where}.epochs=null"
        )
    if "language_model" in stage.train:
        yield (
            f"{where}.train: language_model's head is given the words of all rows in one line, so "
            "no row has a gradient of its own; train lora"
        )
    for loss in devices.mixing(stage):
        yield (
            f"{where}.losses.{loss}: it mixes rows, so no unit has a gradient of its own; "
            "use it in a stage on public people"
        )
    if stage.flip:
        yield f"{where}.flip=true: a replayed step would differ; set it to false"


def _drawn(where: str, stage: StageConfig) -> Iterator[str]:
    rows = stage.rows
    drawn = rows.get("count") is not None or str(rows.get("_target_")).startswith("data.dialogues.")
    if drawn and rows.get("rows_per_subject") is None:
        yield (
            f"{where}.rows: a person's rows depend on who else is in the split (so many of all "
            f"pictures are drawn); give {where}.rows.rows_per_subject"
        )
