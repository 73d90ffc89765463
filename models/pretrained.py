"""Weights by Hub id or folder, refused by name where they aren't whole or aren't the model's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig

from lineage.errors import TactError
from models import reach

FAILURES = (OSError, ValueError, RuntimeError, SafetensorError)
SHOWN = 3


def load(kind: Any, name: str, *, key: str, **options: Any) -> Any:
    """``kind.from_pretrained(name)``; ``key`` is the option of the config that ``name`` stands in.

    Where torch's default device is meta, no weight is read: the model of the config, empty.

    Raises TactError where it can't be read, where weights are missing, left over or of another
    shape than the config says: transformers would fill these by chance or leave them out.
    """
    try:
        if torch.get_default_device().type == "meta":
            return _empty(kind, name, **options)
        with _quiet():
            model, found = kind.from_pretrained(
                name, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
    except FAILURES as error:
        raise refusal(error, key=key, name=name, revision=options.get("revision")) from error
    odd = {
        "missing": sorted(found["missing_keys"]),
        "left over": sorted(found["unexpected_keys"]),
        "of another shape": sorted(str(each[0]) for each in found["mismatched_keys"]),
    }
    told = "; ".join(_told(what, names) for what, names in odd.items() if names)
    if told:
        raise TactError(
            f"{key}={name}: its weights are not those of a {type(model).__name__} of its "
            f"config.json ({told}). Give the whole checkpoint and the config.json that belongs "
            "to it"
        )
    return model


def _empty(kind: Any, name: str, *, revision: str | None = None, **options: Any) -> Any:
    config = AutoConfig.from_pretrained(name, revision=revision)
    return kind.from_config(config, **options)


def refusal(error: Exception, *, key: str, name: str, revision: str | None = None) -> TactError:
    """What the user is told of a model that can't be read."""
    if (said := reach.why(error, name, revision)) is not None:
        return TactError(f"{key}={name}: it can't be loaded: {said}")
    if (file := reach.empty(name, revision)) is not None:
        return TactError(f"{key}={name}: {file} is empty (0 bytes); fetch or copy it again")
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    if "attention implementation" in first:  # Gemma 2, in PaliGemma 2, has its own attention
        why = f"({first.split('. ')[0]}). Set model.attention=eager"
    else:
        why = (
            f"({first}). Give a folder with config.json, weights and processor files, or a Hub id "
            "that this machine can reach"
        )
    return TactError(f"{key}={name}: it can't be loaded {why}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' own table of what is missing: the error says it once."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _told(what: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what}: {', '.join(names[:SHOWN])}{more}"
