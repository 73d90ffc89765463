"""What each stage of a config spends: light to import, for a process beside the plan's own."""

from typing import Any

from conf.schema import Config
from privacy.parents import foreseen
from privacy.plan import by_stage, calibrated

SHOWN = ("noise_multiplier", "epsilon_alone", "epsilon_so_far")


def spent_by_stage(config: Config) -> dict[str, dict[str, Any]]:
    """Noise and ε of the run's own stages, by name. TactError where the budget can't be met."""
    return {
        row["stage"]: {key: row[key] for key in SHOWN}
        for row in by_stage(calibrated(foreseen(config)))
        if row["run"] is None
    }
