"""The licence of a config's pretrained models, as ``model.licence`` states it of their publisher.

As published, to the best of our knowledge when a preset was written: the model's own page decides.
"""

from dataclasses import asdict
from typing import Any

from conf.schema import ModelConfig
from models import origin

OURS = "models."  # functions of ``model.parts`` that read no weights but those that are named


def told(config: ModelConfig) -> str | None:
    """What is said at the start of a run, in one line; None where all of the model is new."""
    names = ", ".join(binding(config).values())
    if not names:
        return None
    if (said := carried(config)) is None:
        return (
            f"{names}: its licence is not stated; read its page, then state it by "
            "model.licence.name=… (and .link, .allows)"
        )
    allows = f": {said['allows']}" if said["allows"] else ""
    check = said["link"] or "its page"
    return f"{names}: licence {said['name']}{allows}. (as published; check {check})"


def carried(config: ModelConfig) -> dict[str, Any] | None:
    """Name, link and what it allows, as an export's papers hold it; None where it isn't stated."""
    return asdict(config.licence) if config.licence.name is not None else None


def binding(config: ModelConfig) -> dict[str, str]:
    """Key of the config → what it names that may be another's: a function of one's own too."""
    makes = str((config.parts or {}).get("_target_") or OURS)
    own = {} if makes.startswith(OURS) else {"model.parts._target_": makes}
    return origin.named(config) | own
