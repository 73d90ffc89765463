"""What a run's pretrained weights are known by, so that a change of them is never gone on with.

A folder is known by the hash of each of its files that a model is read from, a Hub id by the
commit that it stands for.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from conf.schema import ModelConfig
from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder
from models import pretrained

Origin = dict[str, dict[str, str]]  # key of the config → file or "commit" → hash

READ = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".py")
COMMIT = re.compile(r"[0-9a-f]{40}")
PARTS = ("tower", "language", "tokenizer")  # options of model.parts that may name a model
COMPOSED = "models.compose.llava"  # takes the commits of its parts as ``revisions``


def of(config: ModelConfig) -> Origin:
    """What the config's models are known by now; TactError names one that isn't there."""
    return {
        key: _known_by(key, name, _revision(config, key)) for key, name in named(config).items()
    }


def named(config: ModelConfig) -> dict[str, str]:
    """Key of the config → the Hub id or folder that stands in it."""
    parts = config.parts or {}
    found = {"model.id": config.id} if config.id is not None else {}
    return found | {f"model.parts.{k}": parts[k] for k in PARTS if isinstance(parts.get(k), str)}


def is_pinned(config: ModelConfig, key: str) -> bool:
    """Whether what ``key`` names is stated by itself: a folder, or a Hub id with its commit."""
    commit = COMMIT.fullmatch(_revision(config, key) or "")
    return Path(named(config)[key]).is_dir() or commit is not None


def unpinned(config: ModelConfig) -> str | None:
    """A line on the Hub ids of which no commit is stated; None where there are none."""
    loose = [f"{k}={name}" for k, name in named(config).items() if not is_pinned(config, k)]
    if not loose:
        return None
    return (
        f"no commit pinned: {', '.join(loose)} may be another model tomorrow; the run notes the "
        "commit that it begins with and keeps to it (model.id is pinned by model.revision=COMMIT, "
        "a part of model=composed by +model.parts.revisions.PART=COMMIT)"
    )


def kept(config: ModelConfig, began: Mapping[str, Mapping[str, str]] | None) -> ModelConfig:
    """``config`` at the commits that a run ``began`` with, where it states none itself."""
    loose = [key for key in named(config) if not is_pinned(config, key)]
    noted = {key: (began or {}).get(key, {}).get("commit", "") for key in loose}
    commits = {key: commit for key, commit in noted.items() if COMMIT.fullmatch(commit)}
    revision, parts = commits.pop("model.id", config.revision), config.parts
    if commits and parts is not None and parts.get("_target_") == COMPOSED:
        of_parts = {key.rpartition(".")[2]: commit for key, commit in commits.items()}
        parts = {**parts, "revisions": {**(parts.get("revisions") or {}), **of_parts}}
    return replace(config, revision=revision, parts=parts)


def check(config: ModelConfig, run: RunFolder) -> None:
    """TactError where the models that ``run`` began with are no longer what they were."""
    began = run.read().model
    if began is not None:
        same(began, of(kept(config, began)), run=run.name, since=f"run={run.name}")


def same(began: Mapping[str, Mapping[str, str]], now: Origin, *, run: str, since: str) -> None:
    """TactError that names what differs between what ``since`` began with and what is there."""
    changed = [
        f"{key} ({name})"
        for key in dict.fromkeys([*began, *now])
        for name in dict.fromkeys([*began.get(key, {}), *now.get(key, {})])
        if began.get(key, {}).get(name) != now.get(key, {}).get(name)
    ]
    if changed:
        raise TactError(
            f"run={run}: the model is not the one that {since} began with; changed: "
            f"{', '.join(changed[:4])}{' …' if len(changed) > 4 else ''}. Restore it (a Hub id: "
            "model.revision=COMMIT), or start again without it under another run="
        )


def _revision(config: ModelConfig, key: str) -> str | None:
    if key == "model.id":
        return config.revision
    parts = config.parts or {}
    stated = parts.get("revisions") if parts.get("_target_") == COMPOSED else None
    return (stated or {}).get(key.rpartition(".")[2])


def _known_by(key: str, name: str, revision: str | None) -> dict[str, str]:
    folder = Path(name)
    if folder.is_dir():
        read = sorted(p for p in folder.iterdir() if p.suffix in READ and p.is_file())
        return {path.name: files.sha256(path) for path in read}
    from transformers.utils.hub import cached_file, extract_commit_hash

    try:
        found = cached_file(name, "config.json", revision=revision)
    except pretrained.FAILURES as error:
        raise pretrained.refusal(error, key=key, name=name, revision=revision) from error
    return {"commit": extract_commit_hash(found, None) or "unknown"}
