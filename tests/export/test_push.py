"""Pushes to a Hub on this machine that fails in every way: nothing lost, nothing half shown."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from loopback import Fault, Hub, Repo, known_here, loopback

from export.hub import NameTaken, push
from export.ready import ready
from lineage import people
from lineage.errors import TactError
from lineage.run import RunFolder
from lineage.who import who

TO = "me/demo"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub that this process, too, takes for the one there is; nobody waits for it."""
    monkeypatch.setattr("export.asking.time.sleep", lambda seconds: None)
    with loopback() as made, known_here(made, tmp_path / "cache"):
        yield made


@pytest.fixture
def run(finished: Callable[[str], Path], tmp_path: Path) -> RunFolder:
    shutil.copytree(finished("private"), tmp_path / "run")
    return RunFolder(tmp_path / "run")


def pushed(run: RunFolder, *, update: bool = False, public: bool = False) -> dict[str, object]:
    return push(run, run.path / "export", to=TO, update=update, public=public)


def whole(run: RunFolder) -> dict[str, bytes]:
    folder = run.path / "export"
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_a_push_is_one_commit_into_a_private_repository(hub: Hub, run: RunFolder) -> None:
    done = pushed(run)
    repo = hub.repos[TO]
    assert repo.visibility == "private" and len(repo.commits) == 2
    assert hub.content(TO) == whole(run) and done["commit"] == repo.sha
    assert pushed(run)["commit"] == repo.sha and len(repo.commits) == 2  # nothing to do
    pushed(run, public=True)
    assert repo.visibility == "public" and len(repo.commits) == 2


FAULTS = {
    "busy at creation": [Fault("POST", "repos/create", 500)],
    "creation's answer lost": [Fault("POST", "repos/create", "lost")],
    "busy before upload": [Fault("POST", "preupload", 503), Fault("POST", "batch", 502)],
    "too many requests": [Fault("POST", "preupload", 429, retry_after=7)],
    "too many commits": [Fault("POST", "/commit/", 429, 2, retry_after=3)],
    "upload cut": [Fault("PUT", "/store/", "cut")],
    "upload refused": [Fault("PUT", "/store/", 500, 3)],
    "commit cut": [Fault("POST", "/commit/", "cut")],
    "commit's answer lost": [Fault("POST", "/commit/", "lost")],
    "tree unknown for a while": [Fault("GET", "/tree/", 500, 2)],
    "card not checked": [Fault("POST", "validate-yaml", 500)],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_costs_nothing(hub: Hub, run: RunFolder, fault: str) -> None:
    hub.faults = [Fault(f.method, f.path, f.what, f.times, f.retry_after) for f in FAULTS[fault]]
    pushed(run)
    assert not any(f.times for f in hub.faults)
    assert hub.content(TO) == whole(run) and len(hub.repos[TO].commits) == 2
    assert hub.repos[TO].visibility == "private"


def test_the_hub_is_asked_again_when_it_says(
    hub: Hub,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("export.asking.time.sleep", waited.append)
    dated = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    hub.faults = [Fault("POST", "/commit/", 429, retry_after=after) for after in (110, dated)]
    pushed(run)
    assert waited[0] == 110.0 and 200 < waited[1] <= 300.0
    assert f"{TO}: the Hub is busy (429); asked again in 110 s\n" in capsys.readouterr().err


@pytest.mark.parametrize("after", [7200, format_datetime(datetime(2100, 1, 1, tzinfo=UTC))])
def test_a_wait_of_more_than_ten_minutes_is_left_to_the_user(
    hub: Hub, run: RunFolder, after: int | str
) -> None:
    hub.faults = [Fault("POST", "/commit/", 429, 99, retry_after=after)]
    with pytest.raises(TactError, match=r"come back at 2\d{3}-.* UTC \(429\).*goes on"):
        pushed(run)
    assert hub.faults[0].times == 98  # asked once


def test_what_the_hub_refuses_is_told_with_its_reason(hub: Hub, run: RunFolder) -> None:
    hub.faults = [Fault("POST", "/commit/", 400, 99)]
    with pytest.raises(TactError, match=r"refuses it \(400\): a fault\.") as error:
        pushed(run)
    assert "goes on" not in str(error.value) and hub.faults[0].times == 98


def test_what_fails_here_is_not_said_of_the_hub(
    hub: Hub, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object, **options: object) -> None:
        raise PermissionError("model.safetensors may not be read")

    monkeypatch.setattr("huggingface_hub.HfApi.create_commit", fails)
    with pytest.raises(TactError, match="not pushed, PermissionError: .*may not be read") as error:
        pushed(run)
    assert "reached" not in str(error.value)


STOPS = {
    "uploads fail": (Fault("PUT", "/store/", 500, 99), r"is busy \(500\)"),
    "uploads are cut": (Fault("PUT", "/store/", "cut", 99), "can't be reached"),
    "commits fail": (Fault("POST", "/commit/", 500, 99), r"is busy \(500\)"),
    "the token expires": (Fault("POST", "preupload", 401, 99), "expired"),
    "the token is not enough": (Fault("POST", "preupload", 403, 99), "may not write"),
}


@pytest.mark.parametrize("stop", STOPS)
def test_a_push_that_is_cut_off_shows_nothing_and_goes_on(
    hub: Hub, run: RunFolder, stop: str
) -> None:
    fault, says = STOPS[stop]
    hub.faults = [Fault(fault.method, fault.path, fault.what, 99)]
    with pytest.raises(TactError, match=f"{says}.*the same command goes on") as error:
        pushed(run, public=True)
    assert hub.token not in str(error.value) and "signature" not in str(error.value)
    repo = hub.repos[TO]
    assert repo.visibility == "private" and repo.commits == [{}]
    stored = set(hub.stored)
    hub.faults, hub.asked = [], []
    pushed(run)
    assert hub.content(TO) == whole(run) and len(repo.commits) == 2
    assert not any(f"PUT /store/{oid}" in hub.asked for oid in stored)  # not sent again


def test_content_of_a_wrong_hash_is_found_and_not_made_public(hub: Hub, run: RunFolder) -> None:
    hub.faults = [Fault("PUT", "/store/", "corrupt")]
    with pytest.raises(TactError, match=r"holds other content than was sent.*; it is private\."):
        pushed(run, public=True)
    assert hub.repos[TO].visibility == "private"


WITHDRAWN = {
    "it was public and was made private": [],
    "it may stand public": [Fault("PUT", "/settings", 403, 99)],
}


@pytest.mark.parametrize("said", WITHDRAWN)
def test_wrong_content_in_a_public_repository_is_withdrawn(
    hub: Hub, run: RunFolder, said: str
) -> None:
    hub.repos[TO] = Repo("public", [{"theirs.txt": "a"}])
    hub.stored["a"] = b"theirs"
    hub.faults = [Fault("PUT", "/store/", "corrupt"), *map(replace, WITHDRAWN[said])]
    with pytest.raises(TactError, match=f"holds other content than was sent.*{said}"):
        pushed(run, update=True, public=True)
    assert (hub.repos[TO].visibility == "public") == ("stand public" in said)


def test_nothing_goes_into_a_public_repository_without_leave(
    hub: Hub, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_" + "expired" * 4)
        with pytest.raises(TactError, match="expired"):
            pushed(run)  # it may have made a repository, for all that is known here
    hub.repos[TO] = Repo("public")
    with pytest.raises(TactError, match=f"{TO} is public.*Give public=true"):
        pushed(run)
    assert hub.repos[TO].commits == [{}] and not hub.stored
    pushed(run, public=True)
    assert hub.repos[TO].shown == ["private"] and hub.repos[TO].visibility == "public"


def test_a_name_that_exists_is_left_alone_unless_told(hub: Hub, run: RunFolder) -> None:
    hub.repos[TO] = Repo("public", [{"theirs.txt": "a", "README.md": "b"}])
    hub.stored |= {"a": b"theirs", "b": b"old"}
    with pytest.raises(NameTaken, match=f"{TO} exists on the Hub.*update=true"):
        pushed(run)
    with pytest.raises(NameTaken):  # however often
        pushed(run)
    assert len(hub.repos[TO].commits) == 1
    with pytest.raises(TactError, match="is public"):
        pushed(run, update=True)
    assert len(hub.repos[TO].commits) == 1
    pushed(run, update=True, public=True)
    assert hub.content(TO) == whole(run) and hub.repos[TO].shown == ["public"]  # for its users


def test_all_repositories_that_it_went_to_are_told_with_who_it_was_trained_on(
    hub: Hub, run: RunFolder
) -> None:
    pushed(run)
    hub.repos["me/taken"] = Repo("public", [{}])
    with pytest.raises(NameTaken):
        push(run, run.path / "export", to="me/taken", update=False, public=False)
    push(run, run.path / "export", to="me/second", update=False, public=False)
    shutil.rmtree(run.path / "export")
    (found,) = who(min(people.trained_on(run)), run.path.parent, quiet=True)["runs"]
    assert found["exported"] and found["pushed"] == [TO, "me/second"]


def test_another_export_is_an_update(hub: Hub, run: RunFolder) -> None:
    pushed(run)
    (run.path / "export" / "README.md").write_text("# other\n")
    with pytest.raises(NameTaken, match="holds an earlier export"):
        pushed(run)
    pushed(run, update=True)
    assert hub.content(TO)["README.md"] == b"# other\n" and len(hub.repos[TO].commits) == 3


def test_without_a_token_or_a_network_nothing_is_asked(
    hub: Hub, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TactError, match="give OWNER/NAME"):
        push(run, run.path / "export", to="me/a/b", update=False, public=False)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(TactError, match="no token for the Hub"):
        pushed(run)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "expired" * 4)
    with pytest.raises(TactError, match="expired or was revoked"):
        pushed(run)
    assert not hub.repos and not hub.stored


def test_what_was_changed_since_does_not_leave(run: RunFolder) -> None:
    assert ready(run) == run.path / "export"
    card = run.path / "export" / "README.md"
    before = card.read_text()
    card.write_text(before + "\nmore\n")
    with pytest.raises(TactError, match="was changed or is missing"):
        ready(run)
    card.write_text(before)
    (run.path / "export" / "more.txt").write_text("x")
    with pytest.raises(TactError, match="was changed or is missing"):
        ready(run)
    shutil.rmtree(run.path / "export")
    with pytest.raises(TactError, match="has no export; first"):
        ready(run)


def test_the_door_pushes_and_prints_no_token(run: RunFolder) -> None:
    with loopback() as hub:
        hub.faults = [Fault("PUT", "/store/", 500), Fault("POST", "/commit/", 500)]
        environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": hub.token,
                       "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}  # fmt: skip
        words = ["push", f"run={run.name}", f"to={TO}", f"checkpoints={run.path.parent}"]
        command = [sys.executable, "-m", "export", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert f"to {TO}, one commit (private" in said
        assert hub.content(TO) == whole(run)
        for secret in (hub.token, "secret-of-the-store"):
            assert secret not in said
            files = [p for p in run.path.rglob("*") if p.is_file()]
            assert not any(secret.encode() in p.read_bytes() for p in files)
