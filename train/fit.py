"""One stage of a run: model, rows, loop; from where it stopped, if it stopped."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from datasets import Dataset, disable_progress_bars

from conf import rules
from conf.schema import Config, StageConfig
from data.encoded import EncodedSet
from data.lexicon import WORDS
from data.policy import Policy
from data.prepared import cache_folder
from data.sets.terms import carried
from lineage import people
from lineage.errors import TactError
from lineage.run import RunFolder
from models import attention, configured, lora, state
from models.features import picture_features
from models.vlm import VLM
from models.words import word_mask
from privacy import layers
from train import accounted, pair_files, processes, references, strategies, terms, validation
from train.checkpoint import LAST, AtomicCheckpointIO, SaveLast, steps_done
from train.clock import Clock
from train.loggers import close, keep_metrics, loggers
from train.private import PrivateStage, step_numbers
from train.progress import Progress
from train.rows import encoded_rows, loader, stage_rows, steps_of
from train.sample import sample
from train.stage import Stage
from train.stopping import interrupted
from train.units import check_bounded


def fit(
    config: Config, name: str, run: RunFolder, splits: Mapping[str, Dataset], policy: Policy
) -> None:
    """Train stage ``name`` to its end and write its weights. Raises TactError, Interrupted."""
    _quiet()
    stage = config.stage[name]
    if stage.sample is not None:
        return sample(config, name, run, splits, policy)
    clock = Clock()
    started = [*run.finished_stages()]
    public, private = rules.is_public(config, stage), rules.is_private(config, stage)

    def begin() -> Path:
        if private:
            accounted.have_key(config, run)
        told = carried(config.data.source)
        trains = list(stage.train)
        return run.begin(name, trains=trains, steps=stage.steps, public=public, terms=told)

    def count() -> None:
        run.count(name, steps=stage.steps)

    folder = processes.by_first(begin)
    pl.seed_everything(config.seed * 1000 + len(started), verbose=False)
    model = configured.begun(config, run, policy)
    _check_lora(config, model)
    configured.after(model, config.model, run, started, inherited_parts=config.parent_parts)
    if "lora" in stage.train:
        lora.attach(model.language_model, **configured.lora_settings(config.model))
    rows = _rows(config, stage, run, splits, policy)
    with clock.preparing():
        encoded = encoded_rows(config, name, run, rows, model.parts.encoder)
    processes.by_first(lambda: _note_people(config, name, run, splits, encoded))
    stage = replace(stage, steps=steps_of(stage, len(encoded.rows)), epochs=None)
    processes.by_first(count)
    held = None
    if private:  # a figure of private rows would not be accounted
        check_bounded(config, stage, splits[stage.people], rows, policy)
        module: Stage = _module(config, stage, model, encoded, kind=PrivateStage)
        assert isinstance(module, PrivateStage)
        layers.check(model, without=() if module.features is None else ("tower",))
        module.prepare(accounted.mechanism(config, name, run, encoded), encoded)
    else:
        module = _module(config, stage, model, encoded, kind=Stage)
        held = validation.held_out(config, stage, module, splits, policy, folder=folder)
    with processes.connected():
        caught = _train(config, stage, module, encoded, folder, held, clock)
        validation.conclude(config, stage, module, held, splits, policy, folder=folder)
        weights = strategies.whole(module, config.trainer, private=private)

    def end() -> None:
        state.write(run.weights(name), weights)
        run.end(name)
        if private:
            accounted.close(run, name)
        (folder / LAST).unlink(missing_ok=True)
        clock.keep(config, name, run, encoded)

    processes.by_first(end)
    if caught:  # in the last step, or behind it
        raise interrupted(caught, f"at the end of stage {name}, which is saved")


def _rows(
    config: Config,
    stage: StageConfig,
    run: RunFolder,
    splits: Mapping[str, Dataset],
    policy: Policy,
) -> Dataset:
    """The stage's rows: made of its people's pictures, or those that an earlier stage drew."""
    pictures = splits[stage.people]
    if stage.rows_from is not None:
        return pair_files.read(run, stage.rows_from, people=set(pictures["subject_id"]))
    return stage_rows(stage.rows, pictures, seed=config.seed, policy=policy)


def _note_people(
    config: Config, name: str, run: RunFolder, splits: Mapping[str, Dataset], encoded: EncodedSet
) -> None:
    """Note whom the stage reads, before its first step."""
    subjects = set(encoded.subjects)
    people.note(run, name, kind=people.STAGE, split=config.stage[name].people, people=subjects)
    if validation.SPLIT in splits and config.trainer.validation_rows:
        watched = set(splits[validation.SPLIT]["subject_id"])
        people.note(run, name, kind=people.VALIDATION, split=validation.SPLIT, people=watched)


def _module(
    config: Config,
    stage: StageConfig,
    model: VLM,
    encoded: EncodedSet,
    *,
    kind: type[Stage],
) -> Stage:
    if stage.columns == "preference" and config.model.pairs == "one_sequence":
        _check_one_sequence(model)
    features = None
    if config.trainer.cache_features and "tower" not in stage.train:
        features = picture_features(model, encoded.pictures)
    cached = None
    if stage.columns == "preference" and stage.references == "cached":
        kept, batch = cache_folder(config) / "references", stage.batch_size_rows
        cached = processes.by_first(
            lambda: references.cached(model, encoded, features, folder=kept, batch=batch)
        )
    size = int(model.language_model.get_input_embeddings().weight.shape[0])  # type: ignore
    return kind(
        model,
        stage,
        terms=terms.of_stage(stage),
        words=word_mask(model.parts.encoder.tokenizer, WORDS, size),
        features=features,
        references=cached,
        chunk=config.trainer.lm_head_chunk_positions,
        parts=config.trainer.accumulate,
    )


def _check_lora(config: Config, model: VLM) -> None:
    """The targets of a later stage's adapter too, before this one trains for hours."""
    if any("lora" in config.stage[name].train for name in rules.stage_names(config)):
        lora.check(model.language_model, config.model.lora.targets, whole=model.parts.whole)


def _check_one_sequence(model: VLM) -> None:
    try:
        attention.one_sequence(model.language_model)
    except ValueError as error:
        raise TactError(str(error)) from error


def _train(
    config: Config,
    stage: StageConfig,
    module: Stage,
    encoded: EncodedSet,
    folder: Path,
    held: validation.HeldOut | None,
    clock: Clock,
) -> int:
    """Take the stage's steps; the number of a signal that came too late to stop them, or 0."""
    torch.set_num_threads(config.trainer.threads)
    torch.set_flush_denormal(True)
    encoder = module.model.parts.encoder
    last = folder / LAST
    start = processes.by_first(lambda: steps_done(last))
    private = isinstance(module, PrivateStage)
    batches: Any
    if private:
        batches = step_numbers(start=start, steps=stage.steps)
    else:
        batches = loader(
            encoded,
            encoder,
            batch=stage.batch_size_rows,
            steps=stage.steps,
            seed=config.seed,
            start=start,
            pixels=module.features is None,
            parts=module.parts,
        )
    every = config.trainer.validate_every_steps
    watched = [validation.Validate(held, every=every)] if held and every else []
    first = processes.rank() == 0
    if first:
        keep_metrics(folder)
    made = loggers(config.logger, folder) if first else []
    how = strategies.chosen(config.trainer, private=private)
    saves = SaveLast(folder, every=config.trainer.checkpoint_every_steps, private=private)
    trainer = pl.Trainer(
        accelerator=config.trainer.accelerator,
        accumulate_grad_batches=module.parts,
        max_steps=stage.steps,
        max_epochs=1,
        gradient_clip_val=stage.gradient_clip_norm,
        logger=made,
        log_every_n_steps=config.trainer.log_every_steps,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        callbacks=[
            *watched,
            clock,
            saves,
            Progress(folder.name, shown=config.trainer.progress and first),
        ],
        plugins=[*how.pop("plugins"), AtomicCheckpointIO()],
        **how,
        limit_val_batches=0,
    )
    module.train()
    if rank := processes.rank():
        torch.manual_seed(module.seed + rank)  # another dropout for other rows
    try:
        with saves.listening():
            trainer.fit(module, batches, ckpt_path=str(last) if start else None, weights_only=True)
    finally:
        close(made)
    if config.model.dtype == "float32":
        module.float()  # as it is read later; what was trained in half precision is exact in it
    return max(processes.by_all(lambda: saves.caught or 0))


def _quiet() -> None:
    """Leave the terminal to the progress bar: libraries speak only of what is wrong."""
    disable_progress_bars()
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
