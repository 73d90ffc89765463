"""Where runs keep prepared data, and where others keep copies of what they read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from lineage.errors import TactError
from lineage.place import place


def of_runs(checkpoints: Path) -> list[Path]:
    """The caches that the configs of all runs name. TactError on a config that is no YAML."""
    named = (config.get("cache") for config in _configs(checkpoints))
    return list(dict.fromkeys(place(str(cache)).resolve() for cache in named if cache))


def of_others(checkpoints: Path) -> list[Path]:
    """Folders of Hugging Face's caches that hold sets which runs read by a Hub id."""
    from datasets.config import HF_DATASETS_CACHE
    from huggingface_hub.constants import HF_HUB_CACHE

    sources = ((config.get("data") or {}).get("source") or {} for config in _configs(checkpoints))
    ids = dict.fromkeys(str(source["path"]) for source in sources if source.get("path"))
    held = (
        folder
        for name in ids
        for folder in (
            Path(HF_HUB_CACHE) / f"datasets--{name.replace('/', '--')}",
            Path(HF_DATASETS_CACHE) / name.replace("/", "___"),
        )
    )
    return [folder for folder in held if folder.is_dir()]


def _configs(checkpoints: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(checkpoints.glob("*/config.yaml")):
        try:
            yield yaml.safe_load(path.read_text()) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise TactError(
                f"run={path.parent.name}: config.yaml is no whole YAML "
                f"({str(error).splitlines()[0]}); restore it, so that its cache can be found"
            ) from None
