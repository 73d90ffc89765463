"""An experiment's steps, one after the other: stages here, the others as their own doors."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from datasets import Dataset

from conf import compose, rules, target
from conf.schema import Config
from data import prepared
from data.errors import DataError
from data.policy import Policy, policy
from data.sets import terms as terms_of_set
from lineage import exclusion, people
from lineage.errors import TactError
from lineage.place import CHECKOUT, place
from lineage.run import INHERITED, RunFolder
from models import licence, origin
from privacy.plan import private_stages
from train import accounted, pair_files, processes, strategies, terms
from train.beside import follow
from train.fit import fit


def execute(config: Config, *, only: int | None = None) -> dict[str, Any]:
    """Run what is left of the config's steps; returns what was done. Raises TactError.

    ``only`` is the number of one step, counted from 1: the others are left alone.
    """
    rule = policy(config.policy)
    _check_targets(config)
    strategies.check(config.trainer)
    if config.dry_run:
        if config.privacy.epsilon is not None:
            accounted.foresee(config)
        return {"run": config.run, "steps": config.stages or config.steps, "dry_run": True}
    if processes.is_started_beside(config.trainer):
        follow(config)
        return {"run": config.run}
    for told in filter(None, _said_first(config)):
        print(told, file=sys.stderr)
    run = RunFolder.open(config.run, checkpoints=place(config.checkpoints))
    with run.lock():
        run.keep_config(
            compose.to_yaml(config), ignore=rules.harmless(config), stored=compose.normal
        )
        enter(config, run)
        _note_model(config, run)
        dealt = prepared.dealt(config)
        splits = prepared.kept(config, dealt)
        _check_people(config, splits)
        _note_data(config, run, dealt)
        if config.privacy.epsilon is not None:
            accounted.begin(config, run, splits)
        after: str | None = None
        steps = config.stages or config.steps
        if only is not None:
            _follows(steps[: only - 1], run)
        with _processes(config, run, steps, only=only):
            for number, step in enumerate(steps, start=1):
                if only in (None, number):
                    _step(config, step, run, splits, rule, after=after)
                after = after if step in rules.OTHER_STEPS else step
        accounted.forget(config, run)
        manifest = run.read()
        if only in (None, len(steps)):
            manifest.finished = True
            run.write(manifest)
    return {
        "run": config.run,
        "folder": str(run.path),
        "stages": [s.stage for s in manifest.stages],
    }


def _said_first(config: Config) -> Sequence[str | None]:
    """A line each: what nobody may miss, whether or not progress is shown."""
    return (
        unbounded(config),
        terms_of_set.told(config.data.source),
        licence.told(config.model),
        origin.unpinned(config.model),
    )


def unbounded(config: Config) -> str | None:
    """What is said at the start of a run that reads people who are not public without DP."""
    names = [] if config.privacy.epsilon is not None else private_stages(config)
    if not names:
        return None
    return (
        f"no differential privacy: stages {', '.join(names)} read people who are not public, so "
        "epsilon is infinite for the whole run; privacy.epsilon=8 privacy.units=N bounds it"
    )


def enter(config: Config, run: RunFolder) -> None:
    """Have a run that has just begun take over what its parent hands on. Raises TactError."""
    if config.parent and run.read().parent is None:
        name, _, stage = config.parent.partition("@")
        parent = RunFolder.existing(name, checkpoints=place(config.checkpoints))
        exclusion.check(parent, goes_on=f"parent={name}")
        run.inherit(parent, upto=stage or None)
        taken = [s.stage for s in run.read().stages]
        people.inherit(run, parent, taken)
        _inherit_models(config, run, parent)
        pair_files.inherit(run, parent, taken)
    manifest = run.read()
    taken = [s.stage for s in manifest.stages if s.state == INHERITED]
    if again := [name for name in config.stages or [] if name in taken]:
        raise TactError(
            f"stages=[{', '.join(again)}]: parent={config.parent} has trained that already; start "
            f"from an earlier stage of it, as parent=RUN@STAGE (it has {', '.join(taken)})"
        )
    manifest.seed = config.seed
    run.write(manifest)


def _inherit_models(config: Config, run: RunFolder, parent: RunFolder) -> None:
    """Note the models that the parent's parts come from, where these are taken alone."""
    manifest, theirs = run.read(), parent.read()
    own = []
    if config.parent_parts is not None:
        began = compose.from_yaml(parent.path / "config.yaml").model
        own = licence.begun_with(began, theirs)
    manifest.models_of_parts = [*own, *theirs.models_of_parts]
    run.write(manifest)


def _note_model(config: Config, run: RunFolder) -> None:
    """Note what the pretrained model is known by, or refuse one that the run did not begin with.

    A run that has just begun asks its parent, unless it takes only parts of the parent's model.
    """
    manifest, begun_by = run.read(), config.model
    began, since = manifest.model, f"run={run.name}"
    if began is None and config.parent and config.parent_parts is None:
        name = config.parent.partition("@")[0]
        since = f"parent={name}"
        parent = RunFolder.existing(name, checkpoints=place(config.checkpoints))
        began, begun_by = parent.read().model, compose.from_yaml(parent.path / "config.yaml").model
    same_names = origin.named(begun_by) == origin.named(config.model)
    found = origin.of(origin.kept(config.model, began) if same_names else config.model)
    if began is not None:
        origin.same(began, found, run=run.name, since=since)
    manifest.model = found
    run.write(manifest)


def _note_data(config: Config, run: RunFolder, splits: Mapping[str, Dataset]) -> None:
    manifest = run.read()
    found = prepared.fingerprint(splits)
    if manifest.data_fingerprint not in (None, found):
        raise TactError(
            f"run={run.name}: the source's people or pictures have changed since it began; "
            "restore them, or choose another run="
        )
    manifest.data_fingerprint = found
    run.write(manifest)


def _check_targets(config: Config) -> None:
    """What later stages name too, before an earlier one trains for hours. Raises TactError."""
    for name in rules.stage_names(config):
        target.function(config.stage[name].rows, where=f"stage.{name}.rows")
        terms.of_stage(config.stage[name])
        if (drawn := config.stage[name].sample) is not None:
            target.function(drawn.score, where=f"stage.{name}.sample.score")


def _check_people(config: Config, splits: Mapping[str, Dataset]) -> None:
    for name in rules.stage_names(config):
        people = config.stage[name].people
        if people not in splits or not len(splits[people]):
            raise DataError(f"stage.{name}.people={people}: no such split, or no people in it")


def _step(
    config: Config,
    step: str,
    run: RunFolder,
    splits: Mapping[str, Dataset],
    rule: Policy,
    *,
    after: str | None,
) -> None:
    """One step; a report is of the run as it was ``after`` the stage before it in the list."""
    done = {s.stage for s in run.finished_stages()}
    if step == "report":
        _door("evaluation", config, run, *([f"stage={after}"] if after else []))
    elif step == "export":
        _door("export", config, run)
    elif step not in done:
        _needs(config, step, done)
        exclusion.check(run, goes_on=f"stage {step}")
        if processes.world() > 1:
            processes.tell(step)  # the others train it too
        fit(config, step, run, splits, rule)


def _processes(
    config: Config, run: RunFolder, steps: Sequence[str], *, only: int | None
) -> AbstractContextManager[None]:
    """The run's group, where one of its steps trains."""
    wanted = [step for number, step in enumerate(steps, start=1) if only in (None, number)]
    if set(wanted) <= set(rules.OTHER_STEPS):
        return nullcontext()
    return processes.group(config.trainer, run)


def _follows(before: Sequence[str], run: RunFolder) -> None:
    """TactError where a stage of the steps ``before`` a single one is not done."""
    done = {s.stage for s in run.finished_stages()}
    if left := [step for step in before if step not in (*rules.OTHER_STEPS, *done)]:
        raise TactError(f"run={run.name}: {', '.join(left)} must be done before this step")


def _needs(config: Config, step: str, done: set[str]) -> None:
    """A stage alone needs a model to start from: a parent's, an earlier stage's or a pretrained."""
    order = [s for s in config.steps if s not in rules.OTHER_STEPS]
    before = order[: order.index(step)] if step in order else order
    if config.model.id is None and before and not done:
        raise TactError(
            f"stages=[{step}]: the model has no weights to start from (missing: "
            f"{', '.join(before)}). Give parent=RUN, model.id=…, or run the earlier stages too"
        )


def _door(room: str, config: Config, run: RunFolder, *more: str) -> None:
    words = [f"run={run.name}", f"checkpoints={run.path.parent}", f"cache={config.cache}", *more]
    path = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]  # a user's own source
    done = subprocess.run(
        [sys.executable, "-m", room, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        check=False,
    )
    if done.returncode:
        raise TactError(f"step {room} of run={run.name} failed (status {done.returncode})")
