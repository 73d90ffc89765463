"""Why a model of the Hub can't be had: gated, unknown, refused, no network; and what lies here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_token, scan_cache_dir
from huggingface_hub.errors import (
    CacheNotFound,
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lineage import files

SHOWN = 6
WEIGHTS = (".safetensors", ".bin")
INDEX = "model.safetensors.index.json"
PREPARES = ("processor_config.json", "preprocessor_config.json", "tokenizer.json",
            "tokenizer.model", "vocab.json")  # fmt: skip


def why(error: BaseException, name: str, revision: str | None = None) -> str | None:
    """A sentence with the fix; None where ``error`` is about something else. Never tells a token.

    ``name``: the Hub id that was asked for, at ``revision``.
    """
    kinds = tuple(chain(error))
    if any(isinstance(e, GatedRepoError) for e in kinds):
        if get_token() is None:
            return (
                f"it is gated and no token is set: ask for access on {constants.ENDPOINT}/{name}, "
                "then `hf auth login`, or set HF_TOKEN"
            )
        return "it is gated and the token that is set has no access: ask for it on the model's page"
    if any(isinstance(e, RevisionNotFoundError) for e in kinds):
        return (
            f"it has no such revision ({revision or constants.DEFAULT_REVISION}): set "
            "model.revision to a branch, a tag or a commit of it; a run whose own commit is gone "
            "can't go on"
        )
    if any(isinstance(e, RepositoryNotFoundError) for e in kinds):
        return "the Hub has no such model, or not for this token"
    return _refused(error) or _not_here(error, name, revision)


def snapshot(name: str, revision: str | None) -> Path | None:
    """Where this machine's cache holds the Hub id ``name`` at ``revision``, or None."""
    folder = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    ref = folder / "refs" / (revision or constants.DEFAULT_REVISION)
    commit = ref.read_text().strip() if ref.is_file() else str(revision)
    found = folder / "snapshots" / commit
    return found if found.is_dir() else None


def lacking(folder: Path) -> list[str]:
    """What a model, or a part of one, is read from and ``folder`` has not."""
    there = {path.name for path in folder.iterdir() if path.exists()}
    lacks = [] if "config.json" in there else ["config.json"]
    lacks += [] if there.intersection(PREPARES) else ["processor and tokenizer"]
    if INDEX in there:
        shards = {*files.read_json(folder / INDEX)["weight_map"].values()}
        return lacks + sorted(shards - there)
    return lacks + ([] if any(name.endswith(WEIGHTS) for name in there) else ["weights"])


def empty(name: str, revision: str | None) -> str | None:
    """The first file of weights of 0 bytes, in a folder or in what is cached of a Hub id."""
    folder = Path(name) if Path(name).is_dir() else snapshot(name, revision)
    found = sorted(folder.iterdir()) if folder is not None else []
    return next(
        (p.name for p in found if p.suffix in WEIGHTS and p.exists() and not p.stat().st_size), None
    )


def cached() -> str:
    """The models in this machine's cache, by name."""
    if not Path(constants.HF_HUB_CACHE).is_dir():
        return "no model"
    try:
        found = sorted(
            r.repo_id
            for r in scan_cache_dir(constants.HF_HUB_CACHE).repos
            if r.repo_type == "model"
        )
    except CacheNotFound:
        return "no model"
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return (", ".join(found[:SHOWN]) + more) or "no model"


def _refused(error: BaseException) -> str | None:
    """What the Hub's own refusal says and how it is mended; None where it refused nothing."""
    match status(error):
        case 401 if get_token() is None:
            return "the Hub asks for a token: `hf auth login`, or set HF_TOKEN"
        case 401:
            return (
                "the Hub doesn't take the token that is set: it has expired or was revoked. "
                "`hf auth login`, or set HF_TOKEN anew (a public model needs none)"
            )
        case 403:
            return (
                "the token that is set may not read it: give one with the right to (a fine-grained "
                "one needs that to public gated repositories too)"
            )
        case 429:
            return (
                "the Hub asks to come back later (429, too many requests from here): wait, then "
                "run the same command again; what is fetched stays"
            )
        case int(number) if number >= 500:
            return f"the Hub answered {number}: run the same command again later"
    return None


def _not_here(error: BaseException, name: str, revision: str | None) -> str | None:
    """What the cache has, and lacks, of a model that can't be asked for; None where it is whole."""
    cut_off = any(isinstance(e, LocalEntryNotFoundError | OfflineModeIsEnabled)
                  for e in chain(error))  # fmt: skip
    here = snapshot(name, revision)
    lacks = lacking(here) if here is not None and isinstance(error, OSError) else []
    if not cut_off and not lacks:
        return None
    if constants.HF_HUB_OFFLINE:
        where, mend = "HF_HUB_OFFLINE is set", "unset it"
    else:  # of a model that is cached in part transformers doesn't say which of the two it was
        where = "the Hub is out of reach" + ("" if cut_off else ", or has no more of it,")
        mend = "mend the network"
    if here is None:
        held = (
            f"it is not whole in this machine's cache, which has {cached()}. Give one of these or"
        )
    else:
        there = ", ".join(sorted(p.name for p in here.iterdir())) or "no file"
        more = ", ".join(lacks) or "others"
        held = f"of it this machine's cache has {there} and lacks {more}. Give"
    return f"{where} and {held} a folder, or {mend} and run the same command again"


def response(error: BaseException) -> Any:
    """The Hub's answer behind an error, or None where there was none."""
    found = (getattr(each, "response", None) for each in chain(error))
    return next((answer for answer in found if answer is not None), None)


def status(error: BaseException) -> int | None:
    """That of the Hub's answer; None where there was none."""
    answer = response(error)
    return None if answer is None else int(answer.status_code)


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, the innermost last."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = inner.__cause__ or inner.__context__
