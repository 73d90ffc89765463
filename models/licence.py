"""The licence of a config's pretrained models, as ``model.licence`` states it of their publisher.

As published, to the best of our knowledge when a preset was written: the model's own page decides.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from conf.schema import ModelConfig
from lineage.run import Manifest
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


def begun_with(config: ModelConfig, manifest: Manifest) -> list[dict[str, Any]]:
    """What a run began with: a Hub id and its commit, or a folder, whose place is not told."""
    found, named = [], origin.named(config)
    for key, name in binding(config).items():
        hub_id = name if key in named and not Path(name).is_dir() else None
        known = (manifest.model or {}).get(key, {})
        found.append(
            {
                "part": key,
                "hub_id": hub_id,
                "commit": None if hub_id is None else known.get("commit"),
                "pinned": key in named and origin.is_pinned(config, key),
                "licence": carried(config),
            }
        )
    return found


def binding(config: ModelConfig) -> dict[str, str]:
    """Key of the config → what it names that may be another's: a function of one's own too."""
    makes = str((config.parts or {}).get("_target_") or OURS)
    own = {} if makes.startswith(OURS) else {"model.parts._target_": makes}
    return origin.named(config) | own
