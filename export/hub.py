"""A finished export onto the Hub: a private repository first, all files in one commit.

Large files go to the Hub's storage before they belong to any revision; the commit then names all
files at once. So a push that is cut off shows nothing, and the same command goes on: what was
stored is not sent again.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import logging as hub_logging

from export.asking import asked
from lineage import files
from lineage.errors import TactError
from lineage.run import PUSHED, RunFolder
from models.reach import status

KEPT = (".gitattributes",)  # the Hub's own


class NameTaken(TactError):
    """A repository of that name is there and this run didn't make it."""


def push(run: RunFolder, folder: Path, *, to: str, update: bool, public: bool) -> dict[str, Any]:
    """Upload ``folder``, the run's export, as ``to`` (OWNER/NAME); the same again goes on.

    ``update``: into a repository that is there already. ``public``: shown to all, once it is whole;
    into one that is public and holds files already, at once. Raises TactError; NameTaken on a name
    that exists.
    """
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call] # warnings quote addresses
    if get_token() is None:
        raise TactError("no token for the Hub: `hf auth login`, or set HF_TOKEN")
    api, local = HfApi(), {p.relative_to(folder).as_posix(): p
                           for p in sorted(folder.rglob("*")) if p.is_file()}  # fmt: skip
    digest = files.content_sha256({name: files.sha256(path) for name, path in local.items()})
    state = _state(run, to)
    if state["commit"] and state["files"] != digest and not update:
        raise NameTaken(
            f"{to} holds an earlier export of run={run.name}: push to another name, or over it "
            "with update=true"
        )
    _enter(api, run, to, state, update=update)
    _hide(api, to, public=public)
    commit = _commit(api, to, local)
    _compare(api, to, commit, local)
    _note(run, {**state, "commit": commit, "files": digest})
    if public:
        _show(api, to, private=False)
    done = {"run": run.name, "to": to, "commit": commit, "files": len(local)}
    return {**done, "public": not _is_private(api, to)}


def _state(run: RunFolder, to: str) -> dict[str, Any]:
    path = run.path / PUSHED
    found: dict[str, Any] = files.read_json(path) if path.exists() else {}
    if found.get("to") == to:
        return found
    return {"to": to, "begun": False, "made": False, "commit": None, "files": "",
            "before": run.pushed()}  # fmt: skip


def _note(run: RunFolder, state: Mapping[str, Any]) -> None:
    files.write_json(run.path / PUSHED, state)


def _enter(api: HfApi, run: RunFolder, to: str, state: dict[str, Any], *, update: bool) -> None:
    """Make the repository, private, or take up one that this run began; NameTaken on another."""
    if state["made"]:
        return
    asked_before = state["begun"]
    state["begun"] = True
    _note(run, state)
    tries = [0]

    def make() -> bool:
        tries[0] += 1
        try:
            api.create_repo(to, private=True)
        except HfHubHTTPError as error:
            if status(error) != 409:
                raise
            return False
        return True

    if not asked(make, to) and not update:
        lost = asked_before or tries[0] > 1  # it may have been made and its answer lost
        if not lost or _there(api, to):
            _note(run, {**state, "begun": False})
            raise NameTaken(
                f"{to} exists on the Hub: push to another name, or over what is there with "
                "update=true"
            )
    state["made"] = True
    _note(run, state)


def _hide(api: HfApi, to: str, *, public: bool) -> None:
    """Make an empty repository that is public private; TactError on a public one without leave.

    One that holds files keeps its users: a commit is whole or not at all.
    """
    if _is_private(api, to):
        return
    if not public:
        raise TactError(
            f"{to} is public: what is pushed is seen by all. Give public=true, make it private on "
            "the Hub, or push to another name"
        )
    if not _there(api, to):
        _show(api, to, private=True)


def _is_private(api: HfApi, to: str) -> bool:
    return asked(lambda: api.model_info(to).private, to) is True


def _show(api: HfApi, to: str, *, private: bool) -> None:
    asked(lambda: api.update_repo_settings(to, private=private), to)


def _there(api: HfApi, to: str, revision: str | None = None) -> dict[str, RepoFile]:
    """Files of the repository by name, less the Hub's own."""
    tree = asked(lambda: list(api.list_repo_tree(to, recursive=True, revision=revision)), to)
    return {f.path: f for f in tree if isinstance(f, RepoFile) and f.path not in KEPT}


def _commit(api: HfApi, to: str, local: Mapping[str, Path]) -> str:
    """One commit that makes the repository these files and no others; its id.

    All is asked anew in each try: where only a commit's answer was lost, nothing is left to do.
    """

    def commit() -> str:
        before = api.model_info(to).sha
        adds = [CommitOperationAdd(name, path) for name, path in local.items()]
        drops = [CommitOperationDelete(name) for name in _there(api, to) if name not in local]
        made = api.create_commit(
            to, [*adds, *drops], commit_message="Export by Tact", parent_commit=before
        )
        return str(made.oid)

    return asked(commit, to)


def _compare(api: HfApi, to: str, commit: str, local: Mapping[str, Path]) -> None:
    """TactError where the Hub holds anything else than what lies here, which is then hidden."""
    there = _there(api, to, revision=commit)
    odd = sorted(there.keys() ^ local.keys())
    odd += [name for name in local if name in there and not _same(there[name], local[name])]
    if odd:
        raise TactError(
            f"{to}: the Hub holds other content than was sent ({', '.join(odd[:4])}); "
            f"{_withdrawn(api, to)}. Push again with update=true; if it stays so, delete the "
            "repository"
        )


def _withdrawn(api: HfApi, to: str) -> str:
    """Make it private, where it is not; what came of that, as it is then seen."""
    try:
        if _is_private(api, to):
            return "it is private"
        _show(api, to, private=True)
        if _is_private(api, to):
            return "it was public and was made private"
    except TactError as error:
        return f"it may stand public: make it private on the Hub ({error})"
    return "it stands public: make it private on the Hub"


def _same(there: RepoFile, path: Path) -> bool:
    if there.lfs is not None:
        return there.lfs.sha256 == files.sha256(path)
    content = path.read_bytes()
    return there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
