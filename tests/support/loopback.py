"""A small Hub on this machine: the calls that huggingface_hub makes, kept in memory, with faults.

It holds repositories (files, commits, visibility), large files, and the tokens that it takes.
``faults`` are taken one by one: the next request whose method and path match gets it.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

LARGE = (".safetensors", ".png")
BATCH = re.compile(r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
MODEL = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/(?P<verb>\w+)(?:/(?P<revision>[^/]+))?)?")
RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


@dataclass
class Fault:
    """``what``: a status, ``cut`` (the connection is closed), ``corrupt`` (stored wrong) or
    ``lost`` (done, but the answer never comes)."""

    method: str
    path: str  # a regular expression
    what: int | str
    times: int = 1
    retry_after: int | str | None = None  # seconds, or a date


@dataclass
class Repo:
    """One repository; the last of ``commits`` is what stands there: name → oid."""

    visibility: str
    commits: list[dict[str, str]] = field(default_factory=lambda: [{}])
    gated: bool = False
    shown: list[str] = field(default_factory=list)  # its visibility as each commit came

    @property
    def sha(self) -> str:
        return hashlib.sha1(json.dumps(self.commits).encode()).hexdigest()


class Hub:
    """What is on it; ``address`` is for HF_ENDPOINT."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.stored: dict[str, bytes] = {}  # large files by SHA-256, others by git's id
        self.tokens = {"hf_" + "valid" * 5}
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.address = ""

    @property
    def token(self) -> str:
        return min(self.tokens)

    def content(self, repo: str) -> dict[str, bytes]:
        """Files as they stand in the repository."""
        return {name: self.stored[oid] for name, oid in self.repos[repo].commits[-1].items()}

    def fault(self, method: str, path: str) -> Fault | None:
        for each in self.faults:
            if each.times and each.method == method and re.search(each.path, path):
                each.times -= 1
                return each
        return None


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *given: Any) -> None:
        """Silent."""

    def _any(self) -> None:
        url, hub = urlsplit(self.path), self.hub
        hub.asked.append(f"{self.command} {url.path}")
        fault = hub.fault(self.command, url.path)
        length = int(self.headers.get("Content-Length") or 0)
        if fault and fault.what == "cut":
            self.rfile.read(length // 2)
            self.close_connection = True
            return self.connection.close()
        body = self.rfile.read(length)
        if fault and isinstance(fault.what, int):
            more = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            return self._say(fault.what, {"error": "a fault"}, **more)
        if fault and fault.what == "corrupt":
            hub.stored[url.path.rsplit("/", 1)[1]] = body[:-1] + bytes([body[-1] ^ 1])
            return self._say(200, {})
        self.lost = bool(fault and fault.what == "lost")
        self._route(unquote(url.path), body)

    do_GET = do_POST = do_PUT = do_HEAD = _any

    def _route(self, path: str, body: bytes) -> None:
        known = self.headers.get("Authorization", "").removeprefix("Bearer ") in self.hub.tokens
        if path.startswith("/store/"):
            return self._store(path.rsplit("/", 1)[1], body)
        if found := RESOLVE.fullmatch(path):
            return self._resolve(found, known)
        model = MODEL.fullmatch(path)
        repo = self.hub.repos.get(model["repo"]) if model else None
        shown = repo is not None and repo.visibility == "public" and self.command == "GET"
        if not known and not shown:
            return self._say(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._say(200, {"errors": [], "warnings": []})
        if found := BATCH.fullmatch(path):
            return self._batch(json.loads(body))
        if model and repo is not None:
            return self._model(model, repo, body)
        self._say(404, {"error": "not found"}, **{"X-Error-Code": "RepoNotFound"})

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.hub.repos:
            return self._say(409, {"error": "You already created this model repo"})
        self.hub.repos[name] = Repo(wanted.get("visibility") or "public")
        self._say(200, {"url": f"{self.hub.address}/{name}", "name": name, "id": name})

    def _model(self, found: re.Match[str], repo: Repo, body: bytes) -> None:
        if found["revision"] not in (None, "main", repo.sha):
            return self._say(404, {}, **{"X-Error-Code": "RevisionNotFound"})
        match found["verb"]:
            case "preupload":
                files = [self._mode(repo, f["path"]) for f in json.loads(body)["files"]]
                self._say(200, {"files": files})
            case "commit":
                self._commit(found["repo"], repo, body)
            case "tree":
                self._say(200, [self._entry(n, oid) for n, oid in repo.commits[-1].items()])
            case "settings":
                repo.visibility = json.loads(body)["visibility"]
                self._say(200, {})
            case _:
                info = {"id": found["repo"], "sha": repo.sha, "siblings": [], "tags": [],
                        "private": repo.visibility == "private"}  # fmt: skip
                self._say(200, info)

    def _mode(self, repo: Repo, path: str) -> dict[str, Any]:
        mode = "lfs" if path.endswith(LARGE) else "regular"
        oid = repo.commits[-1].get(path)
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = []
        for each in wanted["objects"]:
            made = dict(each)
            if each["oid"] not in self.hub.stored:
                href = f"{self.hub.address}/store/{each['oid']}?signature=secret-of-the-store"
                made["actions"] = {"upload": {"href": href}}
            objects.append(made)
        self._say(200, {"transfer": "basic", "objects": objects})

    def _store(self, oid: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self._say(400, {"error": "the content is not of that hash"})
        self.hub.stored[oid] = body
        self._say(200, {})

    def _commit(self, name: str, repo: Repo, body: bytes) -> None:
        lines = [json.loads(line) for line in body.decode().splitlines()]
        [head] = [line["value"] for line in lines if line["key"] == "header"]
        if head.get("parentCommit") not in (None, repo.sha):
            return self._say(412, {"error": "the parent is not the last commit"})
        made = dict(repo.commits[-1])
        for line in lines:
            value = line["value"]
            if line["key"] == "lfsFile":
                if value["oid"] not in self.hub.stored:
                    return self._say(400, {"error": "that object was never stored"})
                made[value["path"]] = value["oid"]
            elif line["key"] == "file":
                content = base64.b64decode(value["content"])
                oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                self.hub.stored[oid] = content
                made[value["path"]] = oid
            elif line["key"] == "deletedFile":
                del made[value["path"]]
        repo.commits.append(made)
        repo.shown.append(repo.visibility)
        url = f"{self.hub.address}/{name}/commit/{repo.sha}"
        self._say(200, {"commitUrl": url, "commitOid": repo.sha, "success": True})

    def _entry(self, name: str, oid: str) -> dict[str, Any]:
        content = self.hub.stored[oid]
        entry = {"type": "file", "path": name, "size": len(content), "oid": oid}
        if name.endswith(LARGE):
            own = hashlib.sha256(content).hexdigest()  # of what is stored, whatever was promised
            entry["lfs"] = {"oid": own, "size": len(content), "pointerSize": 130}
        return entry

    def _resolve(self, found: re.Match[str], known: bool) -> None:
        repo = self.hub.repos.get(found["repo"])
        if repo is None:
            return self._say(401, {}, **{"X-Error-Code": "RepoNotFound"})
        if repo.gated and not known:
            return self._say(401, {}, **{"X-Error-Code": "GatedRepo"})
        if found["revision"] not in ("main", repo.sha):
            return self._say(404, {}, **{"X-Error-Code": "RevisionNotFound"})
        oid = repo.commits[-1].get(found["path"])
        if oid is None:
            return self._say(404, {}, **{"X-Error-Code": "EntryNotFound"})
        content = self.hub.stored[oid]
        self._say(200, content, ETag=f'"{oid}"', **{"X-Repo-Commit": repo.sha})

    def _say(self, status: int, content: Any, **headers: str) -> None:
        if getattr(self, "lost", False):
            self.close_connection = True
            return self.connection.close()
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)


def address(patch: pytest.MonkeyPatch, url: str) -> None:
    """Have huggingface_hub and transformers of this process ask ``url``."""
    from huggingface_hub import constants

    files = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + files)
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr("transformers.utils.hub._hf_api", None)  # it keeps the address


@contextmanager
def known_here(hub: Hub, cache: Path) -> Iterator[None]:
    """Have this process take ``hub`` for the Hub, ``cache`` for its cache, and the hub's token.

    The library's own waits between tries take no time.
    """
    import huggingface_hub
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        address(patch, hub.address)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no-token"))
        patch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
        patch.setenv("HF_TOKEN", hub.token)
        huggingface_hub.close_session()
        yield
    huggingface_hub.close_session()


@contextmanager
def loopback() -> Iterator[Hub]:
    """A Hub that listens on this machine alone, as long as the block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
