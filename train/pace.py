"""What a stage took when it was last trained: a record in the cache, to foresee others by.

It is kept by all that its time and its rejects depend on: not how long it trains, how fast it
learns or how much noise it draws. It tells a share and times of private rows, so it is private.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from conf import rules
from conf.compose import told
from conf.schema import Config
from data.prepared import cache_folder
from lineage import files

LEAST_STEPS = 3  # of which the first, which is slower, doesn't count
OF_LEARNING = (
    "steps", "epochs", "learning_rate", "adversary_learning_rate", "warmup_steps", "weight_decay",
    "betas", "momentum", "gradient_clip_norm",
)  # fmt: skip
OF_NOISE = ("epsilon", "delta", "max_grad_norm", "fixed_key")
OF_LOGS = ("progress", "log_every_steps", "checkpoint_every_steps", "validate_every_steps")


@dataclass(frozen=True)
class Pace:
    """One stage as it was trained once."""

    run: str
    ended: str
    machine: dict[str, Any]
    rows: int
    rejects: float  # share of the rows
    longest_tokens: int
    around_s: float  # all but the steps: model, rows, features, validation, weights
    step_s: float  # mean of the steps, or parts, but the first, checkpoints included
    prepare_s: float = 0.0  # encoding the rows, which the cache keeps; in neither of the two
    parts: int = 0  # in place of steps, where the stage draws: so many by each process

    def seconds(self, steps: int) -> float:
        """What the stage takes with so many steps, once its rows are in the cache."""
        return self.around_s + self.steps_s(steps)

    def steps_s(self, steps: int) -> float:
        """What so many steps take of that, or its parts."""
        return (self.parts or steps) * self.step_s


def keep(config: Config, name: str, pace: Pace) -> None:
    """Put it in the place of the one before."""
    path = _path(config, name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.write_json(path, asdict(pace), mode=0o600)


def known(config: Config, name: str) -> Pace | None:
    """That of a stage such as ``name``; None where none was trained with this cache."""
    path = _path(config, name)
    return Pace(**files.read_json(path)) if path.exists() else None


def _path(config: Config, name: str) -> Path:
    text = json.dumps(_decides(config, name), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    return cache_folder(config) / "pace" / f"{digest}.json"


def _decides(config: Config, name: str) -> dict[str, Any]:
    """All of the config that a stage's time and rejects depend on."""
    stage, model = config.stage[name], config.model
    if model.parts is not None:  # a seed changes neither
        model = replace(model, parts={k: v for k, v in model.parts.items() if k != "seed"})
    private = rules.is_private(config, stage)
    return {
        "data": told(config.data), "policy": told(config.policy),
        "model": told(model, without=("licence",)),
        "stage": told(stage, without=OF_LEARNING),
        "privacy": told(config.privacy, without=OF_NOISE) if private else None,
        "trainer": told(config.trainer, without=OF_LOGS),
    }  # fmt: skip
