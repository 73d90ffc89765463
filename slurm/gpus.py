"""Which GPUs a stage fits on, and in how many parts it then takes a step."""

from collections.abc import Callable
from dataclasses import replace
from math import floor

from conf import devices, rules
from conf.schema import Config
from train.footprint import Footprint

SIZES_GB = (24, 80, 141)  # of 10^9 bytes, as they are sold
SHARE = 0.85  # of it for tensors: the rest is the CUDA context, fragments and the plan's own error

Size = Callable[[Config], Footprint]


def fitting(config: Config, name: str, whole: Footprint, size: Size) -> dict[int, int | None]:
    """GPU's size in GB → the rows of stage ``name`` that go through it at once; None: not one.

    ``whole`` is the footprint of the config as it stands, ``size`` tells that of another. Memory
    is linear in rows, so two of them tell the rest.
    """
    rows = rows_at_once(config, name)
    one = whole if rows == 1 else size(_of_rows(config, name, 1))
    each = 0.0 if rows == 1 else (whole.peak - one.peak) / (rows - 1)
    found: dict[int, int | None] = {}
    for gb in SIZES_GB:
        left = gb * 1e9 * SHARE - one.peak
        if left < 0:
            found[gb] = None
        else:
            most = rows if each <= 0 else min(rows, 1 + floor(left / each))
            found[gb] = next(n for n in range(most, 0, -1) if rows % n == 0)
    return found


def rows_at_once(config: Config, name: str) -> int:
    """Rows that go through one device together."""
    stage = config.stage[name]
    if rules.is_private(config, stage):
        return config.privacy.physical_batch_rows
    return stage.batch_size_rows // (devices.world(config.trainer) * config.trainer.accumulate)


def _of_rows(config: Config, name: str, rows: int) -> Config:
    """The same with so many rows at once."""
    stage = config.stage[name]
    if rules.is_private(config, stage):
        return replace(config, privacy=replace(config.privacy, physical_batch_rows=rows))
    parts = stage.batch_size_rows // (devices.world(config.trainer) * rows)
    return replace(config, trainer=replace(config.trainer, accumulate=parts))
