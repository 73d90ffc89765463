"""Compose a config from ``experiment=… key=value`` words and check it before anything is loaded."""

import difflib
import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from conf import rules
from conf.schema import Config
from lineage.errors import TactError

NEUTRAL = (
    "run", "parent", "description", "steps", "stages", "checkpoints", "cache", "logger", "site",
    "export", "dry_run", "json", "model.licence", "trainer.threads", "trainer.progress",
    "trainer.log_every_steps", "trainer.checkpoint_every_steps", "trainer.validate_every_steps",
)  # fmt: skip
INSTEAD = {  # keys of other trainers → what stands in their place here
    "gradient_clip_val": "stage.NAME.gradient_clip_norm; with privacy.epsilon "
    "privacy.max_grad_norm, which clips each unit",
    "accumulate_grad_batches": "trainer.accumulate, which splits a step of "
    "stage.NAME.batch_size_rows and leaves it as it is; with privacy.epsilon "
    "privacy.physical_batch_rows, which bounds memory and leaves the sampling as it is",
    "adversary_steps": "nothing: an adversary has one update a model update, in the same gradient",
    "class_weights": "nothing: weights and counts taken from private rows are not accounted",
    "erasure": "nothing: a subspace fitted on private rows is not accounted; use losses",
}
ROOT = Path(__file__).resolve().parent


class ConfigError(ValueError):
    """A config that cannot be run: the message names the key, the value and the fix."""


def load(overrides: Sequence[str], *, check: bool = True) -> Config:
    """Compose ``conf/config.yaml`` with ``overrides`` and return it as the typed ``Config``.

    A folder of the user's own config files comes in as ``hydra.searchpath=[file:///…]`` and a
    package of theirs through ``PYTHONPATH``. Raises ConfigError.
    """
    plain = _composed(list(overrides))
    try:
        untyped = OmegaConf.to_container(plain)  # a key that was added by + is in its types
        typed = OmegaConf.merge(OmegaConf.structured(Config), untyped)
        config = cast(Config, OmegaConf.to_object(typed))
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(_explain(error, plain)) from None
    if check:
        problems = list(rules.problems(config))
        if problems:
            raise ConfigError("\n".join(problems))
    return config


def to_yaml(config: Config) -> str:
    """The resolved config as YAML, as ``config.yaml`` of a run folder holds it.

    Keys keep their order: people are dealt to the splits in the order that these stand in.
    """
    return OmegaConf.to_yaml(OmegaConf.structured(config), sort_keys=False)


def from_yaml(path: Path) -> Config:
    """The typed config of a run folder's ``config.yaml``.

    A key that it lacks has the schema's default. Raises TactError on one that this version does
    not know or that has no default, and where the file is missing or cut off.
    """
    try:
        typed = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(path))
        return cast(Config, OmegaConf.to_object(typed))
    except (OmegaConfBaseException, ValueError, YAMLError, OSError) as error:
        key = getattr(error, "full_key", None)
        reason = str(error).splitlines()[0]
        raise TactError(
            f"run={path.parent.name}: {path.name} is not one that this version can read "
            f"({f'key {key}: ' if key else ''}{reason}); use the version that wrote it, or train "
            "again under another run="
        ) from error


def fingerprint(config: Config) -> str:
    """Hash of all that decides a run's figures: not its name, places, loggers or progress."""
    plain = told(config, without=NEUTRAL)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:24]


def told(value: Any, *, without: Collection[str] = (), _at: str = "") -> Any:
    """A config as plain values, less what is at its default and the keys ``without``.

    So a key that a later version adds changes no hash of a config that says nothing of it.
    """
    if is_dataclass(value):
        found = {}
        for f in fields(value):
            own, key = getattr(value, f.name), f"{_at}{f.name}"
            if key not in without and own != _default(f):
                kept = told(own, without=without, _at=f"{key}.")
                if kept != {} or not is_dataclass(own):
                    found[f.name] = kept
        return found
    if isinstance(value, dict):
        return {key: told(each, without=without, _at=f"{_at}{key}.") for key, each in value.items()}
    return value


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def normal(path: Path) -> str:
    """A stored config as this version writes it: keys that it lacks at their default."""
    return to_yaml(from_yaml(path))


def options(group: str) -> list[str]:
    """Names that may follow ``group=``, such as the experiments there are."""
    return sorted(path.stem for path in (ROOT / group).glob("*.yaml"))


def register() -> None:
    """Let Hydra know the schema that ``conf/config.yaml`` begins with."""
    ConfigStore.instance().store(name="schema", node=Config)


def _composed(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(config_dir=str(ROOT), version_base="1.3", job_name="tact"):
        try:
            composed: DictConfig = compose(config_name="config", overrides=overrides)
            return composed
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_explain(error, None, overrides)) from None


def _explain(error: Exception, plain: Any, overrides: Sequence[str] = ()) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = error.__cause__
    if cause is not None:
        lines += [line.strip() for line in str(cause).splitlines() if line.strip()]
    key = getattr(error, "full_key", None) or _named_key(lines, overrides)
    message = f"config: {lines[0]}" if lines else f"config: {type(error).__name__}"
    if key:
        message += f"\n  key: {key}"
        if plain is not None and (value := OmegaConf.select(plain, str(key))) is not None:
            message += f" = {value!r}"
        if instead := INSTEAD.get(str(key).split(".")[-1]):
            return f"{message}\n  instead: {instead}"
        close = difflib.get_close_matches(str(key), list(_keys(Config)), n=3, cutoff=0.5)
        if close:
            message += f"\n  did you mean: {', '.join(close)}?"
    elif len(lines) > 1:
        message += "\n  " + "\n  ".join(lines[1:4])
    return message + "\n  fix the key or its value; `python -m train --help` lists what there is"


def _named_key(lines: Sequence[str], overrides: Sequence[str]) -> str | None:
    for override in overrides:
        key = override.lstrip("+~").split("=")[0]
        if any(f"'{key}'" in line or f"'{key.split('.')[-1]}'" in line for line in lines):
            return key
    return None


def _keys(schema: Any, prefix: str = "") -> Iterator[str]:
    for name, node in OmegaConf.structured(schema).items_ex(resolve=False):
        yield f"{prefix}{name}"
        if isinstance(node, DictConfig) and node._metadata.object_type not in (dict, None):
            yield from _keys(node._metadata.object_type, f"{prefix}{name}.")
