"""A stage's loggers, each writing where the run lies; numbers only, never a row."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from pytorch_lightning.loggers import Logger, WandbLogger


def loggers(settings: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Logger]:
    """The loggers of ``conf/logger`` for the stage whose folder this is."""
    return [instantiate({**defaults(own, folder), **own}) for own in settings.values()]


def defaults(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Where a logger writes and what it calls the stage, unless its settings say otherwise."""
    name = f"{folder.parents[1].name}-{folder.name}"  # RUN-1-base_tower
    match settings["_target_"].rpartition(".")[2]:
        case "CSVLogger":
            return {"save_dir": str(folder), "name": "", "version": ""}
        case "TensorBoardLogger":
            return {"save_dir": str(folder), "name": "tensorboard", "version": ""}
        case "WandbLogger":
            return {"save_dir": str(folder), "name": name}
        case "MLFlowLogger" if "MLFLOW_TRACKING_URI" in os.environ:
            return {"run_name": name}
        case "MLFlowLogger":  # one store for all runs, beside their folders
            store = folder.parents[2] / "mlflow.db"
            return {"run_name": name, "tracking_uri": f"sqlite:///{store}"}
        case _:
            return {}


def close(made: Iterable[Logger]) -> None:
    """End what outlives a stage: W&B would log the next one into the same run."""
    for logger in made:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()
