"""From a config to splits of pictures: the one way in, for training and evaluation alike."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from datasets import Dataset

from conf import target
from conf.schema import Config
from data.errors import DataError
from data.sources import splits
from lineage import aliases, exclusion
from lineage.place import place


def cache_folder(config: Config) -> Path:
    """Where prepared data are kept; relative paths are the checkout's."""
    return place(config.cache)


def prepared(config: Config) -> dict[str, Dataset]:
    """The config's source, built or read, parted by person, without the excluded.

    Raises DataError.
    """
    return kept(config, dealt(config))


def kept(config: Config, parted: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """``parted`` without people who are excluded (``python -m lineage exclude``)."""
    out = exclusion.ids(place(config.checkpoints), cache_folder(config))
    if not out:
        return dict(parted)
    return {
        name: table.select([i for i, who in enumerate(table["subject_id"]) if who not in out])
        for name, table in parted.items()
    }


def dealt(config: Config) -> dict[str, Dataset]:
    """The config's source parted by person, the excluded among them.

    They are dealt like all others and taken out after, so that no one else changes split. Where the
    source made one person of several names, these are noted.
    """
    checkpoints, cache = place(config.checkpoints), cache_folder(config)
    exclusion.share(checkpoints, cache)
    make = target.function(config.data.source, where="data.source")
    table = make(cache=str(cache))
    if "names" in table.column_names:
        several = table.select_columns(["names"]).with_format("arrow")[:]["names"].drop_null()
        aliases.note(several.to_pylist(), checkpoints)
        table = table.remove_columns("names")
    if not config.data.people:
        raise DataError("data.people: say how many people each split has, as {private: 20}")
    return splits(table, config.data.people, seed=config.seed)


def fingerprint(parted: Mapping[str, Dataset]) -> str:
    """Hash of who is in which split and what their pictures are called."""
    digest = hashlib.sha256()
    for name, table in parted.items():
        digest.update(name.encode())
        for row in zip(table["picture_id"], table["subject_id"], strict=True):
            digest.update("\t".join(row).encode())
    return digest.hexdigest()[:24]
