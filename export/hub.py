"""A finished export onto the Hub: a private repository first, all files in one commit.

Large files go to the Hub's storage before they belong to any revision; the commit then names all
files at once. So a push that is cut off shows nothing, and the same command goes on: what was
stored is not sent again. No message tells a token or an address that was signed with one.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import logging as hub_logging

from lineage import files
from lineage.errors import TactError
from lineage.run import PUSHED, RunFolder

TRIES, LONGEST_S = 5, 60
FAILURES = (httpx2.HTTPError, OSError, RuntimeError, ValueError)
KEPT = (".gitattributes",)  # the Hub's own
T = TypeVar("T")


class NameTaken(TactError):
    """A repository of that name is there and this run didn't make it."""


def push(run: RunFolder, folder: Path, *, to: str, update: bool, public: bool) -> dict[str, Any]:
    """Upload ``folder``, the run's export, as ``to`` (OWNER/NAME); the same again goes on.

    ``update``: into a repository that is there already. ``public``: shown to all, once it is whole.
    Raises TactError; NameTaken on a name that exists.
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
    commit = _commit(api, to, local)
    _compare(api, to, commit, local)
    _note(run, {**state, "commit": commit, "files": digest})
    if public:
        _asked(lambda: api.update_repo_settings(to, private=False), to)
    private = bool(_asked(lambda: api.model_info(to).private, to))
    done = {"run": run.name, "to": to, "commit": commit, "files": len(local)}
    return {**done, "public": not private}


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
            if _status(error) != 409:
                raise
            return False
        return True

    if not _asked(make, to) and not update:
        lost = asked_before or tries[0] > 1  # it may have been made and its answer lost
        if not lost or _there(api, to):
            _note(run, {**state, "begun": False})
            raise NameTaken(
                f"{to} exists on the Hub: push to another name, or over what is there with "
                "update=true"
            )
    state["made"] = True
    _note(run, state)


def _there(api: HfApi, to: str, revision: str | None = None) -> dict[str, RepoFile]:
    """Files of the repository by name, less the Hub's own."""
    tree = _asked(lambda: list(api.list_repo_tree(to, recursive=True, revision=revision)), to)
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

    return _asked(commit, to)


def _compare(api: HfApi, to: str, commit: str, local: Mapping[str, Path]) -> None:
    """TactError where the Hub holds anything else than what lies here."""
    there = _there(api, to, revision=commit)
    odd = sorted(there.keys() ^ local.keys())
    odd += [name for name in local if name in there and not _same(there[name], local[name])]
    if odd:
        raise TactError(
            f"{to}: the Hub holds other content than was sent ({', '.join(odd[:4])}); it was not "
            "made public. Push again with update=true; if it stays so, delete the repository"
        )


def _same(there: RepoFile, path: Path) -> bool:
    if there.lfs is not None:
        return there.lfs.sha256 == files.sha256(path)
    content = path.read_bytes()
    return there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _asked(call: Callable[[], T], to: str) -> T:
    """What ``call`` gives; asked again where the Hub is busy, TactError where it says no."""
    for number in range(1, TRIES + 1):
        try:
            return call()
        except OfflineModeIsEnabled:
            raise TactError("HF_HUB_OFFLINE is set: unset it to push") from None
        except HFValidationError:
            raise TactError(f"to={to}: no name that the Hub takes; give OWNER/NAME") from None
        except FAILURES as error:
            status = _status(error)
            again = status is None or status == 429 or status >= 500
            if not again or number == TRIES:
                raise TactError(_told(error, to)) from None
            time.sleep(min(_wait_s(error) or 2.0 ** (number - 1), LONGEST_S))
    raise AssertionError("unreachable")


def _response(error: BaseException) -> Any:
    """The Hub's answer behind an error, or None where there was none."""
    inner: BaseException | None = error
    while inner is not None:
        if getattr(inner, "response", None) is not None:
            return inner.response  # type: ignore[attr-defined]
        inner = inner.__cause__ or inner.__context__
    return None


def _status(error: BaseException) -> int | None:
    response = _response(error)
    return None if response is None else int(response.status_code)


def _wait_s(error: BaseException) -> float | None:
    response = _response(error)
    after = "" if response is None else response.headers.get("Retry-After", "")
    return float(after) if after.isdigit() else None


def _told(error: BaseException, to: str) -> str:
    resumes = "nothing half is shown; the same command goes on"
    match _status(error):
        case None:
            return f"{to}: the Hub can't be reached, or breaks off; {resumes}"
        case 401:
            return (
                f"{to}: the Hub doesn't take this token: it has expired or was revoked, or there "
                f"is no such repository for it. `hf auth login`; {resumes}"
            )
        case 403:
            return f"{to}: this token may not write there; give one with the right to; {resumes}"
        case 404:
            return f"{to}: no such owner or repository for this token; {resumes}"
        case 412:
            return f"{to}: somebody else changed it meanwhile; push again with update=true"
        case 429:
            return f"{to}: the Hub asks to come back later (429); {resumes}"
        case status:
            return f"{to}: the Hub answered {status}; {resumes}"
