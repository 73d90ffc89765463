"""What a run takes of a disk: weights of each stage, a checkpoint, what is exported, pictures."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from conf.schema import Config
from data.pictures import undecoded
from lineage.errors import TactError
from lineage.place import place


def needed(
    config: Config, stages: Mapping[str, Mapping[str, int]], sample: Dataset
) -> dict[str, int]:
    """Bytes by what they are of.

    ``stages`` gives each one's bytes of what is kept of it, of all that trains, of its optimiser's
    state and of the whole model. A checkpoint is written beside the one before it; the cache is of
    pictures to be drawn.
    """
    each = stages.values()
    found = {
        "weights": sum(one["kept"] for one in each),
        "checkpoint": 2 * max((one["trained"] + one["optimizer"] for one in each), default=0),
        "export": 0, "cache": 0,
    }  # fmt: skip
    if "export" in config.steps and config.stages is None:
        found["export"] = max((one["model"] for one in each), default=0)
    if "people" in config.data.source:
        found["cache"] = round(_each(sample) * int(config.data.source["people"]))
    return found


def check(config: Config, wanted: Mapping[str, int]) -> None:
    """TactError where the run folders' disk has less than a run's own folder takes."""
    own = sum(size for name, size in wanted.items() if name != "cache")
    free = free_bytes(place(config.checkpoints))
    if own > free:
        raise TactError(
            f"checkpoints={config.checkpoints}: the run takes {own / 2**20:.0f} MiB and its disk "
            f"has {free / 2**20:.0f} MiB left: free some, or choose another folder"
        )


def free_bytes(folder: Path) -> int:
    """What is left where ``folder`` lies or will lie."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _each(sample: Dataset) -> float:
    """Bytes on disk of a person's pictures, as the sample has them."""
    images: list[Any] = undecoded(sample)["image"]
    sizes = [Path(i["path"]).stat().st_size for i in images if i.get("path")]
    return sum(sizes) / len(set(sample["subject_id"]))
