"""Models of a Hub that can't be had: one clear error each, and no token told."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_families
from loopback import Fault, Hub, Repo, address, known_here, loopback

from conf.schema import ModelConfig
from lineage.errors import TactError
from models import build, compose, origin

TOWER = {"model_type": "siglip_vision_model"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with loopback() as made, known_here(made, tmp_path):
        made.stored["1"] = b'{"model_type": "llava"}'
        made.repos["owner/gated"] = Repo("public", [{"config.json": "1"}], gated=True)
        made.repos["owner/open"] = Repo("public", [{"config.json": "1"}])
        yield made


def whole(id: str, *, revision: str | None = None) -> None:
    build.whole_model(id=id, revision=revision, make=None, dtype="float32", attention="sdpa")


DOORS: dict[str, tuple[str, Callable[[], object]]] = {
    "whole": ("model.id", lambda: whole("owner/gated")),
    "origin": ("model.id", lambda: origin.of(ModelConfig(id="owner/gated"))),
    "part": ("model.parts.language", lambda: compose.llava(tower=TOWER, language="owner/gated")),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_gated_model_without_a_token(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    key, load = DOORS[door]
    said = f"^{key}=owner/gated: it can't be loaded: it is gated and no token is set: .*auth login"
    with pytest.raises(TactError, match=said):
        load()


def test_a_gated_model_with_a_token_that_is_not_enough(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "hf_" + "wrong" * 5
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(TactError, match="gated and the token that is set has no access") as error:
        whole("owner/gated")
    assert token not in str(error.value)


def test_a_model_or_a_revision_that_is_not_there(hub: Hub) -> None:
    with pytest.raises(TactError, match="owner/none: .* no such model, or not for this token"):
        whole("owner/none")
    with pytest.raises(TactError, match="owner/open: .* no such revision .v9.: set model.revision"):
        whole("owner/open", revision="v9")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "doesn't take the token that is set: it has expired or was revoked"),
        (403, "the token that is set may not read it"),
        (429, "asks to come back later"),
        (503, "the Hub answered 503: run the same command again later"),
    ],
)
def test_what_the_hub_refuses_has_its_own_words(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    hub.faults = [Fault("HEAD", "config.json", status, times=99)]
    with pytest.raises(TactError, match=f"owner/open: it can't be loaded: .*{said}") as error:
        whole("owner/open")
    assert hub.token not in str(error.value) and "network" not in str(error.value)
    if status == 401:
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(TactError, match="the Hub asks for a token: `hf auth login`"):
            whole("owner/open")


def without_a_network(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    from huggingface_hub import constants

    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        address(monkeypatch, "http://127.0.0.1:9")  # nobody listens


@pytest.mark.parametrize("how", ["offline", "out of reach"])
def test_without_a_network_it_is_said_what_is_cached(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    without_a_network(monkeypatch, how)
    with pytest.raises(TactError, match=f"{'OFFLINE' if how == 'offline' else how}.*has no model"):
        whole("owner/open")
    snapshot = tmp_path / "models--nearby--small" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    with pytest.raises(TactError, match="which has nearby/small. Give one of these or a folder"):
        whole("owner/open")


SHARDS = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
PARTLY = {
    "config alone": "has config.json and lacks processor and tokenizer, weights",
    "no weights": "tokenizer_config.json and lacks weights",
    "an index": f"lacks {SHARDS[1]}",
}


@pytest.mark.parametrize("how", ["offline", "out of reach"])
@pytest.mark.parametrize("there", PARTLY)
def test_without_a_network_it_is_said_what_of_it_is_cached(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, how: str
) -> None:
    commit, repository = "a" * 40, tmp_path / "models--owner--open"
    folder = repository / "snapshots" / commit
    for part in tiny_families.make("llava"):
        part.save_pretrained(folder)
    weights = folder / "model.safetensors"
    if there == "an index":
        shutil.copy(weights, folder / SHARDS[0])
        index = {"metadata": {}, "weight_map": {f"layer.{s}": s for s in SHARDS}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    weights.unlink()
    for path in folder.iterdir() if there == "config alone" else ():
        if path.name != "config.json":
            path.unlink()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    without_a_network(monkeypatch, how)
    where = "HF_HUB_OFFLINE is set" if how == "offline" else "the Hub is out of reach"
    for revision in (None, commit):
        with pytest.raises(TactError, match=f"{where}.* cache .*{PARTLY[there]}. Give a folder"):
            whole("owner/open", revision=revision)
