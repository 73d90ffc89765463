"""``python -m slurm plan probe=true``: a few real steps of every stage, for their time."""

import copy
import secrets
import shutil

from conf import rules
from conf.schema import Config
from lineage.place import place
from train.pace import LEAST_STEPS

STEPS = 16  # of each stage: the first is slower and doesn't count
EASY_EPSILON = 1.0  # so few steps meet it with less noise than the least that is tried


def probe(config: Config) -> None:
    """Train ``STEPS`` steps of each stage in a run of their own that is removed; paces are kept.

    Data are prepared as the run would, and stay in the cache. Raises what training raises.
    """
    from train.run import execute  # Lightning takes seconds, and a plan needs it for this alone

    own = copy.deepcopy(config)
    own.run, own.stages = f"probe-{secrets.token_hex(4)}", rules.stage_names(config)
    own.logger, own.trainer.progress, own.dry_run = {}, False, False
    for name in own.stages:
        if own.stage[name].sample is not None:
            continue  # drawn whole: what trains on its pairs needs them
        stage = own.stage[name]
        steps = STEPS if stage.epochs else stage.steps
        stage.steps, stage.epochs = max(LEAST_STEPS, min(STEPS, steps)), None
    if own.privacy.epsilon is not None and own.parent is None:
        own.privacy.epsilon = min(EASY_EPSILON, own.privacy.epsilon)
    try:
        execute(own)
    finally:
        shutil.rmtree(place(own.checkpoints) / own.run, ignore_errors=True)
