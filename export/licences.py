"""What binds whoever takes an export's weights: licences of models, terms of data of all stages."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from conf.schema import Config
from data.sets import terms
from lineage.run import INHERITED, Manifest
from models import licence

OWN = "apache-2.0"  # Tact's, and so that of weights in which all is ours or new
NOT_STATED, SEVERAL = "not-stated", "several-as-this-card-says"
UNNOTED = {
    "name": "a source of an earlier run",
    "note": "that run was of a version that noted no terms; they are not known here",
}

Said = Mapping[str, Any]


def of_models(config: Config, manifest: Manifest) -> list[dict[str, Any]]:
    """What the run began with, and what runs of which it took parts alone had begun with."""
    own = licence.begun_with(config.model, manifest)
    return own + [each for each in manifest.models_of_parts if each not in own]


def of_data(config: Config, manifest: Manifest) -> list[dict[str, Any]]:
    """The terms of each source of the weights, with the stages that read it, parents' too."""
    found: dict[str, dict[str, Any]] = {}
    for state in manifest.stages:
        here = UNNOTED if state.state == INHERITED else terms.carried(config.data.source)
        said = here if state.terms is None else state.terms
        kept = found.setdefault(json.dumps(said, sort_keys=True), {**said, "stages": []})
        kept["stages"].append(state.stage)
    return list(found.values())


def head(models: Sequence[Said], data: Sequence[Said]) -> dict[str, Any]:
    """The card's ``license``; with name and link where not all is ours, new or under the same."""
    bind: dict[str, str | None] = {}
    for said in models:
        stated = said["licence"] or {"name": NOT_STATED, "link": None}
        bind[stated["name"]] = stated["link"]
    for said in data:
        if said.get("licence") is None:
            bind[NOT_STATED] = None
        elif said["licence"] != terms.FREE:
            name = re.sub(r"[^a-z0-9]+", "-", said["name"].lower())
            bind[f"terms-of-{name}"] = f"https://{said['page']}"
    bind.pop(OWN, None)
    if not bind:
        return {"license": OWN}
    if len(bind) > 1:
        return {"license": "other", "license_name": SEVERAL}
    [(name, link)] = bind.items()
    return {"license": "other", "license_name": name, "license_link": link}
