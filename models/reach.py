"""Why a model of the Hub can't be had: gated, unknown, no network; and what lies here instead."""

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants, get_token, scan_cache_dir
from huggingface_hub.errors import (
    CacheNotFound,
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

SHOWN = 6


def why(error: BaseException, name: str) -> str | None:
    """A sentence with the fix; None where ``error`` is about something else. Never tells a token.

    ``name``: the Hub id that was asked for.
    """
    kinds = tuple(_chain(error))
    if any(isinstance(e, GatedRepoError) for e in kinds):
        if get_token() is None:
            return (
                f"it is gated and no token is set: ask for access on {constants.ENDPOINT}/{name}, "
                "then `hf auth login`, or set HF_TOKEN"
            )
        return "it is gated and the token that is set has no access: ask for it on the model's page"
    if any(isinstance(e, RevisionNotFoundError) for e in kinds):
        return "it has no such revision: set model.revision to a branch, a tag or a commit of it"
    if any(isinstance(e, RepositoryNotFoundError) for e in kinds):
        return "the Hub has no such model, or not for this token"
    if any(isinstance(e, LocalEntryNotFoundError | OfflineModeIsEnabled) for e in kinds):
        off = constants.HF_HUB_OFFLINE
        where = "HF_HUB_OFFLINE is set" if off else "the Hub is out of reach"
        return (
            f"{where} and it is not whole in this machine's cache, which has {cached()}. Give one "
            f"of these or a folder, or {'unset it' if off else 'mend the network'} and run the "
            "same command again"
        )
    return None


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


def _chain(error: BaseException) -> Iterator[BaseException]:
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = inner.__cause__ or inner.__context__
